/* py_client.h - the state of a _core.Client, which fcached.Client extends: the settings of a
 * namespace and a handle of the C library for each thread that uses it (py_handle.h). All functions
 * need the GIL. */
#ifndef FCACHED_PY_CLIENT_H
#define FCACHED_PY_CLIENT_H

#include <Python.h>
#include <fcache.h>
#include <stdatomic.h>
#include <stdbool.h>

struct computation;
struct handle;

/* Lines of the library that a client logs once, however many handles it has. */
enum { LOGGED_OFF, LOGGED_OTHER, N_LOGGED };

/* Counters of the package, beside those of the library. */
struct own_counters {
  uint64_t unencodable, undecodable, verified, differing;
};

struct client {
  PyObject_HEAD bool initialized; /* __init__ has run */
  bool closed;                    /* also until it is initialized */
  bool off;                       /* there are several ranks: sharing stays off */
  PyObject *ranks;                /* a callable: are there several? NULL: ranks are independent */
  PyObject *strings;              /* a tuple that owns what `options` borrows */
  struct fcache_options options;
  int64_t max_entries; /* options.max_entries points here */
  struct handle *handles;
  struct computation *computations; /* of all threads */
  uint64_t forks;                   /* fork_count() at the last use */
  PyObject *probe;                  /* a str, or NULL */
  uint64_t
      probes; /* number of set_probe calls: a handle with another number sets its probe again */
  uint64_t verify_below; /* verify a hit if `random` is not above it; 0: none */
  uint64_t random;       /* state of xorshift64, never 0 */
  struct own_counters own;
  struct fcache_counters closed_counters; /* sum over closed handles */
  struct fcache_counters handleless;      /* calls, or parts of them, that no handle counts */
  atomic_bool logged[N_LOGGED];
};

/* Begins a call. False with an ArgumentError if the client is closed. */
bool client_enter(struct client *client);

/* In a forked child: resets the counters, and releases the handles of all threads but this one. */
void client_notice_fork(struct client *client);

/* Calls client->ranks. Several ranks turn the client off for good, and so does an error of the
 * callable. Returns 1 if the client is off, 0 if not, or -1 with an exception that is not an
 * Exception. */
int client_is_off(struct client *client);

/* Draws whether this hit is one of the share that is verified. */
bool client_verifies(struct client *client);

#endif
