/* py_client.h - the type _core.Client, which fcached.Client extends: a namespace's settings, and a
 * handle of the C library for each thread that uses it (py_handle.h). The methods' contract is in
 * _core.pyi; each has a file: lookups.c, py_many.c, py_cached.c, py_batch.c, py_stats.c. */
#ifndef FCACHED_PY_CLIENT_H
#define FCACHED_PY_CLIENT_H

#include <Python.h>
#include <fcache.h>
#include <stdatomic.h>
#include <stdbool.h>

struct computing;
struct handle;

/* Lines of the library that are said once for a client, however many handles it has. */
enum { SAID_OFF, SAID_OTHER, N_SAID };

/* What the package counts itself. */
struct own_counters {
  uint64_t unencodable, undecodable, verified, differing;
};

struct client {
  PyObject_HEAD bool made; /* by __init__ */
  bool closed;             /* also before it is made */
  bool off;                /* for good: there are several ranks */
  PyObject *ranks;         /* asked whether there are several; NULL: they are independent */
  PyObject *strings;       /* a tuple of what `options` borrows */
  struct fcache_options options;
  int64_t max_entries; /* that options.max_entries points to */
  struct handle *handles;
  struct computing *computing; /* what runs at the moment, in any thread */
  uint64_t forks;              /* fork_count() when it was used last */
  PyObject *probe;             /* a str, or NULL */
  uint64_t probes;             /* sets so far: a handle that knows of fewer has an old one */
  uint64_t verify_below;       /* a random number below it: verify this hit; 0: none */
  uint64_t random;             /* state of xorshift64, never 0 */
  struct own_counters own;
  struct fcache_counters gone;    /* of handles that are closed */
  struct fcache_counters without; /* of calls, or parts of them, that no handle counts */
  atomic_bool said[N_SAID];
};

/* Adds the type to the module. 0, or -1 with an exception. */
int client_init(PyObject *module);

/* Each call starts here. False, with an exception, where the client is closed. */
bool client_enter(struct client *client);

/* What a forked child starts with: no counts, and no handles but the forking thread's. */
void client_notice_fork(struct client *client);

/* Asks whether there are several ranks, which turns the client off for good, as does a question
 * that fails. 1: it is off; 0; or -1 with an exception that is no Exception. */
int client_is_off(struct client *client);

/* Is this hit one of the share that is computed again? */
bool client_verifies(struct client *client);

#endif
