#include "py_keys.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "glue/py_errors.h"
#include "items.h"

/* Points *data at the UTF-8 of a str. ASCII, which most are, is read in place. 0, or -1 with an
 * exception. */
static int utf8_of(PyObject *object, const char **data, Py_ssize_t *size) {
  if (PyUnicode_IS_COMPACT_ASCII(object)) {
    *data = (const char *)PyUnicode_DATA(object);
    *size = PyUnicode_GET_LENGTH(object);
    return 0;
  }
  *data = PyUnicode_AsUTF8AndSize(object, size);
  return *data == NULL ? -1 : 0;
}

int keys_name(PyObject *object, const char *what, const char **out) {
  Py_ssize_t size;
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s must be a str, not %.200s", what, Py_TYPE(object)->tp_name);
    return -1;
  }
  if (utf8_of(object, out, &size) < 0)
    return -1;
  if (strlen(*out) == (size_t)size)
    return 0;
  PyErr_Format(errors_argument, "%s %R has a NUL in it: names have no control characters", what,
               object);
  return -1;
}

int keys_prompt(PyObject *prompt, struct fcache_hash *out) {
  const char *data;
  Py_ssize_t size;
  if (PyUnicode_Check(prompt)) {
    if (utf8_of(prompt, &data, &size) < 0)
      return -1;
  } else if (PyBytes_Check(prompt)) {
    data = PyBytes_AS_STRING(prompt);
    size = PyBytes_GET_SIZE(prompt);
  } else {
    PyErr_Format(PyExc_TypeError, "a prompt must be a str or bytes, not %.200s",
                 Py_TYPE(prompt)->tp_name);
    return -1;
  }
  *out = fcache_hash(data, (size_t)size);
  return 0;
}

/* Returns the number if it has at most 64 bits, else a hash of its bits. 0 with an exception. */
static uint64_t bits_of(PyObject *number) {
  uint64_t bits = PyLong_AsUnsignedLongLong(number);
  if (!PyErr_Occurred())
    return bits;
  if (!PyErr_ExceptionMatches(PyExc_OverflowError))
    return 0;
  PyErr_Clear();
  PyObject *text = PyNumber_ToBase(
      number, 16); /* Python limits the number of decimal digits, not of hex digits */
  if (text == NULL)
    return 0;
  bits = XXH3_64bits(PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
  Py_DECREF(text);
  return bits != 0 ? bits : 1;
}

static int parse_top_k(PyObject *number, struct top_k *out) {
  int overflow = 0;
  long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (value < 0 && overflow <= 0) { /* value is -1 on overflow */
    PyErr_Format(errors_argument, "top_k must be 0 or more; got %R", number);
    return -1;
  }
  if (overflow == 0 && value <= UINT32_MAX) {
    out->number = (uint32_t)value;
    return 0;
  }
  out->number = UINT32_MAX;
  out->beyond = bits_of(number);
  return out->beyond == 0 ? -1 : 0;
}

int keys_top_k(PyObject *top_k, struct top_k *out) {
  *out = (struct top_k){0};
  if (top_k == NULL)
    return 0;
  if (PyLong_CheckExact(top_k))
    return parse_top_k(top_k, out);
  PyObject *number = PyNumber_Index(top_k);
  if (number == NULL) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "top_k must be an int, not %.200s", Py_TYPE(top_k)->tp_name);
    return -1;
  }
  int rc = parse_top_k(number, out);
  Py_DECREF(number);
  return rc;
}

struct fcache_hash keys_hash(struct fcache_hash prompt, const struct top_k *top_k) {
  XXH128_canonical_t canonical;
  struct fcache_hash hash;
  if (top_k->beyond == 0)
    return prompt;
  XXH128_canonicalFromHash(&canonical,
                           XXH3_128bits_withSeed(prompt.bytes, sizeof prompt.bytes, top_k->beyond));
  memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
  return hash;
}

int keys_make(PyObject *op, PyObject *view, PyObject *prompt, PyObject *top_k,
              struct fcache_key *out) {
  struct top_k number;
  if (keys_name(op, "op", &out->op) < 0 || keys_name(view, "view", &out->view) < 0 ||
      keys_top_k(top_k, &number) < 0 || keys_prompt(prompt, &out->prompt) < 0)
    return -1;
  out->top_k = number.number;
  out->prompt = keys_hash(out->prompt, &number);
  return 0;
}

static int hash_all(struct prompts *prompts, const struct top_k *top_k) {
  prompts->hashes = PyMem_Calloc(prompts->n > 0 ? prompts->n : 1, sizeof *prompts->hashes);
  if (prompts->hashes == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (size_t i = 0; i < prompts->n; i++) {
    struct fcache_hash *hash = &prompts->hashes[i];
    if (keys_prompt(PyTuple_GET_ITEM(prompts->list, (Py_ssize_t)i), hash) < 0)
      return -1;
    *hash = keys_hash(*hash, top_k);
  }
  return 0;
}

int keys_prompts(PyObject *object, const struct top_k *top_k, struct prompts *out) {
  *out = (struct prompts){0};
  /* A copy: code that runs later may change the caller's list. */
  out->list = items_in_order(object, "prompts", PY_SSIZE_T_MAX);
  if (out->list == NULL)
    return -1;
  out->n = (size_t)PyTuple_GET_SIZE(out->list);
  if (hash_all(out, top_k) == 0)
    return 0;
  keys_prompts_free(out);
  return -1;
}

void keys_prompts_free(struct prompts *prompts) {
  PyMem_Free(prompts->hashes);
  prompts->hashes = NULL;
  Py_CLEAR(prompts->list);
}

int keys_seconds(PyObject *object, const char *what, double unit_s, uint64_t max, uint64_t *out) {
  double seconds = PyFloat_AsDouble(object);
  if (seconds == -1.0 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "%s must be a number of seconds, not %.200s", what,
                   Py_TYPE(object)->tp_name);
    return -1;
  }
  if (isnan(seconds) || seconds < 0) {
    PyErr_Format(errors_argument, "%s must be 0 or more seconds; got %R", what, object);
    return -1;
  }
  double units = ceil(seconds / unit_s);
  *out = units >= (double)max ? max : (uint64_t)units;
  return 0;
}
