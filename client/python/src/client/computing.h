/* computing.h - the time of a computation, without that of the same client's calls nested in it:
 * those are charged by themselves. All need the GIL. */
#ifndef FCACHED_PY_COMPUTING_H
#define FCACHED_PY_COMPUTING_H

#include "py_client.h"
#include "py_handle.h"

/* A computation under way in this thread. It has memory of its own, and not the caller's stack:
 * greenlets move that. */
struct computing;

struct computing_time {
  uint64_t own_ns;     /* without nested calls */
  uint64_t without_ns; /* of the nested calls, what `client->without` was charged with */
};

/* Begins one; `handle` is this thread's, or NULL where the call has none. NULL with an exception.
 */
struct computing *computing_begin(struct client *client, struct handle *handle);

/* Ends and frees it. Keeps the exception that is set. */
struct computing_time computing_end(struct computing *computing);

/* Charges scoring time that no handle is charged with. */
void computing_charge(struct client *client, uint64_t wall_ns);

/* After the library has charged a handle with a computation: takes back what both were charged
 * with, as the library knows nothing of `client->without`. */
void computing_uncharge(struct client *client, uint64_t without_ns);

#endif
