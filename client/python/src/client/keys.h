/* keys.h - what Python passes for a key, checked and made the library's. All need the GIL; all
 * return 0, or -1 with an exception: TypeError for another type, ArgumentError for a value that is
 * out of range. What they fill borrows from the Python objects. */
#ifndef FCACHED_PY_KEYS_H
#define FCACHED_PY_KEYS_H

#include <Python.h>
#include <fcache.h>

/* A name: a str without NUL. Its length and characters are the library's to judge. */
int keys_name(PyObject *object, const char *what, const char **out);

/* A prompt: the hash of a str's UTF-8, or of bytes. */
int keys_prompt(PyObject *prompt, struct fcache_hash *out);

/* The library's top_k has 32 bits; Python's has none to spare: sys.maxsize often means "all". One
 * over 2^32-1 becomes 2^32-1, and the prompt's hash is made another, which depends on it: so it is
 * shared, and two of them never share a result, whatever the op takes them for. */
struct top_k {
  uint32_t number;
  uint64_t beyond; /* 0: `number` is all of it */
};

/* 0 or more; an int, or what has __index__. NULL is 0. */
int keys_top_k(PyObject *top_k, struct top_k *out);

/* The hash in a key with this top_k. */
struct fcache_hash keys_hash(struct fcache_hash prompt, const struct top_k *top_k);

/* A whole key; `top_k` may be NULL: 0. */
int keys_make(PyObject *op, PyObject *view, PyObject *prompt, PyObject *top_k,
              struct fcache_key *out);

/* Several prompts, in an order: see items.h. */
struct prompts {
  PyObject *list;             /* a tuple of the prompts */
  struct fcache_hash *hashes; /* as in keys with that top_k */
  size_t n;
};
int keys_prompts(PyObject *object, const struct top_k *top_k, struct prompts *out);
void keys_prompts_free(struct prompts *prompts); /* zeroed is allowed; idempotent */

/* Seconds, not negative and no NaN, in whole units of `unit_s` seconds, rounded up, at most `max`.
 */
int keys_seconds(PyObject *object, const char *what, double unit_s, uint64_t max, uint64_t *out);

#endif
