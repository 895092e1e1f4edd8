/* computation.h - measures computations without the calls of the same client that are nested in
 * them.
 *
 * A nested call charges its own time: to its handle, or here if no handle counts it. All functions
 * need the GIL. */
#ifndef FCACHED_PY_COMPUTATION_H
#define FCACHED_PY_COMPUTATION_H

#include "py_client.h"
#include "py_handle.h"

/* A computation that runs in one thread. It is on the heap and not on the caller's stack, because
 * greenlets move stacks. */
struct computation;

struct computation_time {
  uint64_t own_ns;        /* without nested calls */
  uint64_t handleless_ns; /* of nested calls: time charged to client->handleless */
};

/* Starts the clock. `handle` is the calling thread's, or NULL if the call has none. NULL with a
 * MemoryError. */
struct computation *computation_begin(struct client *client, struct handle *handle);

/* Stops the clock and frees the computation. Keeps the exception that is set. */
struct computation_time computation_end(struct computation *computation);

/* Charges scoring time that no handle counts. */
void computation_charge(struct client *client, uint64_t wall_ns);

/* Takes back `handleless_ns` of nested calls. For a computation whose whole time the library has
 * charged to a handle: the library does not know client->handleless. */
void computation_uncharge(struct client *client, uint64_t handleless_ns);

/* CLOCK_MONOTONIC. */
uint64_t computation_clock_ns(void);

#endif
