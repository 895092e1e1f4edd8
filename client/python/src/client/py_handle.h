/* py_handle.h - handles of the C library: a client has one for each thread that uses it.
 *
 * A thread owns its handles through the dictionary of its thread state, which frees them when the
 * thread ends. Closing the client closes their connections. All functions need the GIL.
 *
 * A call may release the GIL (handle_release). Until handle_acquire, only the library uses
 * handle->cache. Python code that runs in the same thread in that time, such as a signal handler
 * during a wait, gets another handle.
 *
 * In a forked child the forking thread keeps its handles, which the library supports. The handles
 * of the other threads are dropped: their threads do not exist in the child. One whose GIL was
 * released is not closed, because the library was using it. */
#ifndef FCACHED_PY_HANDLE_H
#define FCACHED_PY_HANDLE_H

#include <Python.h>
#include <fcache.h>
#include <stdbool.h>

#include "py_client.h"

struct thread;

struct handle {
  struct fcache *cache;  /* NULL: closed */
  struct client *client; /* NULL: it was freed */
  struct handle *next_of_client, *next_of_thread;
  struct thread *thread;
  unsigned depth;                       /* nested calls that use the handle */
  bool gil_released;                    /* between handle_release and handle_acquire */
  PyThreadState *state;                 /* while the GIL is released */
  struct fcache_counters last_counters; /* at handle_release */
  bool last_connected;
  uint64_t probes;             /* client->probes when its probe was set */
  struct fcache_value scratch; /* receives the values of lookups */
};

/* The result of a library call whose callback raised an exception. Not a code of the library. */
#define HANDLE_RAISED 1000

/* Called once, when the module is imported. 0, or -1 with an exception. */
int handle_init(void);

/* Returns the number of forks between the process that imported the module and this one. */
uint64_t fork_count(void);

/* Returns the handle of this thread for a call, which ends with handle_end. Opens one if there is
 * none. NULL with an exception. */
struct handle *handle_begin(struct client *client);

/* Ends the call. Closes the handle if the client was closed during it. Keeps the exception that is
 * set. */
void handle_end(struct handle *handle);

/* Release and acquire the GIL around a call of the library. */
void handle_release(struct handle *handle);
void handle_acquire(struct handle *handle);

/* Raises the error `code` with the handle's last error text. Returns NULL. */
PyObject *handle_raise(struct handle *handle, int code);

/* Returns the handle's buffer for the value of a lookup. It is empty after a value took it over,
 * and then reuses a freed one. */
struct fcache_value *handle_scratch(struct handle *handle);

/* Moves the buffer for values out of the handle, so that Python code that uses the handle cannot
 * overwrite it; and moves it back. */
struct fcache_value handle_borrow_scratch(struct handle *handle);
void handle_return_scratch(struct handle *handle, struct fcache_value *scratch);

/* close: when the client closes. detach: when it is freed. forget: in a forked child. */
void handle_close_all(struct client *client);
void handle_detach_all(struct client *client);
void handle_forget_others(struct client *client);

/* Returns the sum of the counters of all handles of the client, also closed ones. */
struct fcache_counters handle_count_all(const struct client *client);
void counters_add(struct fcache_counters *sum, const struct fcache_counters *more);
bool handle_any_connected(const struct client *client);

#endif
