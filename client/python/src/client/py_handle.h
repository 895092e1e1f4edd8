/* py_handle.h - handles of the C library: a client has one for each thread that uses it.
 *
 * They belong to the thread, and are freed at its end, through the dictionary of its state; their
 * connections are the client's, and end with it. Everything here needs the GIL. Within a call the
 * GIL may be released (handle_release): the handle is then `away`, and only who released it touches
 * what is the library's. Python code that runs in the same thread meanwhile (a signal's handler, in
 * the middle of a wait) is given another handle.
 *
 * In a forked child the forking thread goes on with its own handles, as the library can. Those of
 * the other threads, which do not exist there, are let go of; what was away is not even closed. */
#ifndef FCACHED_PY_HANDLE_H
#define FCACHED_PY_HANDLE_H

#include <Python.h>
#include <fcache.h>
#include <stdbool.h>

#include "py_client.h"

struct thread;

struct handle {
  struct fcache *cache;  /* NULL: closed */
  struct client *client; /* NULL: it is gone */
  struct handle *next_of_client, *next_of_thread;
  struct thread *thread;
  unsigned depth;                       /* calls under way, one within the other */
  bool gil_released;                    /* the GIL is released */
  PyThreadState *state;                 /* while it is away */
  struct fcache_counters last_counters; /* as it was when it went away */
  bool last_connected;
  uint64_t probes;             /* that it has heard of: client->probes */
  struct fcache_value scratch; /* what a lookup fills */
};

/* What a wait returns that Python code ended, by an exception; no result of the library. */
#define HANDLE_RAISED 1000

/* 0, or -1 with an exception. */
int handle_init(void);

/* The number of forks that led to this process, from its first on. */
uint64_t fork_count(void);

/* A handle of this thread for a call, opened where there is none; to be left. NULL with an
 * exception. */
struct handle *handle_begin(struct client *client);

/* Closes it where the client was closed meanwhile. Keeps the exception that is set. */
void handle_end(struct handle *handle);

/* Releases the GIL, and takes it again. */
void handle_release(struct handle *handle);
void handle_acquire(struct handle *handle);

/* Raises what went wrong with the handle last. Always NULL. */
PyObject *handle_raise(struct handle *handle, int code);

/* The buffer for values, which others may not use meanwhile; and gives it back. */
struct fcache_value handle_borrow_scratch(struct handle *handle);
void handle_return_scratch(struct handle *handle, struct fcache_value *scratch);

/* For the client: its end, and a forked child's first use. */
void handle_close_all(struct client *client);
void handle_orphan_all(struct client *client);
void handle_forget_others(struct client *client);

/* The counters of all of a client's handles, closed ones included. */
struct fcache_counters handle_count_all(const struct client *client);
void counters_add(struct fcache_counters *sum, const struct fcache_counters *more);
bool handle_any_connected(const struct client *client);

#endif
