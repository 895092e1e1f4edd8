/* py_many.h - the common part of the methods for many prompts: arguments, the lookups in shared
 * memory, and the list of results. All functions need the GIL. */
#ifndef FCACHED_PY_MANY_H
#define FCACHED_PY_MANY_H

#include <Python.h>

#include "py_client.h"
#include "py_handle.h"
#include "py_keys.h"

struct many_call {
  struct client *client;
  struct handle *handle; /* NULL: the client is off */
  PyObject *op;          /* borrowed, as are the strings of `key` */
  struct fcache_key key; /* without a prompt */
  struct prompts prompts;
  PyObject **results; /* one for each prompt, or NULL */
  /* The prompts that are not in shared memory. */
  size_t *rest; /* their indices */
  struct fcache_hash *hashes;
  struct fcache_value *values;
  size_t n_rest;
};

/* Begins a call after client_enter: reads the arguments and gets a handle. 0, or -1 with an
 * exception. The caller calls many_end in both cases. */
int many_begin(struct many_call *many, struct client *client, PyObject *op, PyObject *view,
               PyObject *prompts, PyObject *top_k);
void many_end(struct many_call *many);

/* Called with the value of prompt `i`, which is valid during the call. 0, or -1 with an exception.
 */
typedef int many_hit_fn(void *arg, size_t i, struct fcache_value *value);

/* Looks up all prompts in shared memory, calls `hit` for hits and fills `rest` with the others. 0,
 * or -1 with an exception. */
int many_get_local(struct many_call *many, unsigned flags, many_hit_fn *hit, void *arg);

/* Moves the results into a new list, with MISS for prompts without one. NULL with an exception. */
PyObject *many_list(struct many_call *many);

#endif
