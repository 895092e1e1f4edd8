/* py_keys.h - converts Python arguments to keys of the library. All functions need the GIL. They
 * return 0, or -1 with an exception: TypeError for a wrong type, ArgumentError for a value out of
 * range. The results borrow from the Python objects. */
#ifndef FCACHED_PY_KEYS_H
#define FCACHED_PY_KEYS_H

#include <Python.h>
#include <fcache.h>

/* Reads a name: a str without NUL. The library checks its length and characters. */
int keys_name(PyObject *object, const char *what, const char **out);

/* Hashes a prompt: a str (its UTF-8) or bytes. */
int keys_prompt(PyObject *prompt, struct fcache_hash *out);

/* top_k has 32 bits in the library, and any number in Python, where sys.maxsize often means "all".
 * A larger one becomes 2^32-1, and its excess is mixed into the prompt's hash. So workers share
 * results of the same top_k, and two different ones never share a result. */
struct top_k {
  uint32_t number;
  uint64_t beyond; /* 0 if `number` is the top_k */
};

/* Reads an int, or an object with __index__, of 0 or more. NULL reads as 0. */
int keys_top_k(PyObject *top_k, struct top_k *out);

/* Returns the hash of a prompt in keys with this top_k. */
struct fcache_hash keys_hash(struct fcache_hash prompt, const struct top_k *top_k);

/* Reads a whole key. `top_k` may be NULL, which reads as 0. */
int keys_make(PyObject *op, PyObject *view, PyObject *prompt, PyObject *top_k,
              struct fcache_key *out);

/* The prompts of a batch, read by items_in_order. */
struct prompts {
  PyObject *list;             /* a tuple of the prompts */
  struct fcache_hash *hashes; /* one for each prompt, as in the keys */
  size_t n;
};
int keys_prompts(PyObject *object, const struct top_k *top_k, struct prompts *out);
void keys_prompts_free(struct prompts *prompts); /* idempotent; allows zeroed prompts */

/* Reads seconds, 0 or more and not NaN. *out is in units of `unit_s` seconds, rounded up, at most
 * `max`. */
int keys_seconds(PyObject *object, const char *what, double unit_s, uint64_t max, uint64_t *out);

#endif
