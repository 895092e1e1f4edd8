/* py_many.h - what the calls for many prompts have in common: their arguments, the pass over what
 * is in shared memory, and the list that they return. All need the GIL. */
#ifndef FCACHED_PY_MANY_H
#define FCACHED_PY_MANY_H

#include <Python.h>

#include "keys.h"
#include "py_client.h"
#include "py_handle.h"

struct many_call {
  struct client *client;
  struct handle *handle; /* NULL: sharing is off for good */
  PyObject *op;          /* borrowed, as what `key` points to */
  struct fcache_key key; /* but for its prompt */
  struct prompts prompts;
  PyObject **results; /* of each prompt, NULL where there is none yet */
  /* What is not in shared memory, for the library. */
  size_t *rest; /* indices */
  struct fcache_hash *hashes;
  struct fcache_value *values;
  size_t n_rest;
};

/* Begins a call with an entered client: takes a handle. 0, or -1 with an exception. many_end in any
 * case, for a zeroed one too. */
int many_begin(struct many_call *many, struct client *client, PyObject *op, PyObject *view,
               PyObject *prompts, PyObject *top_k);
void many_end(struct many_call *many);

/* What is done with a hit, prompt `i`; `value` is lent. 0, or -1 with an exception. */
typedef int many_hit_fn(void *arg, size_t i, struct fcache_value *value);

/* Looks for all in shared memory, and makes the lists of the rest. 0, or -1 with an exception. */
int many_look(struct many_call *many, unsigned flags, many_hit_fn *hit, void *arg);

/* The results as a list, whose they are then; where there is none, MISS. NULL with an exception. */
PyObject *many_list(struct many_call *many);

#endif
