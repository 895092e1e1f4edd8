#include "keys.h"

#include <math.h>
#include <string.h>

#include "errors.h"

int keys_name(PyObject *object, const char *what, const char **out) {
  Py_ssize_t size;
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s must be a str, not %.200s", what, Py_TYPE(object)->tp_name);
    return -1;
  }
  *out = PyUnicode_AsUTF8AndSize(object, &size);
  if (*out == NULL)
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
    data = PyUnicode_AsUTF8AndSize(prompt, &size);
    if (data == NULL)
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

int keys_top_k(PyObject *top_k, uint32_t *out) {
  *out = 0;
  if (top_k == NULL)
    return 0;
  int overflow = 0;
  PyObject *number = PyNumber_Index(top_k);
  if (number == NULL) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "top_k must be an int, not %.200s", Py_TYPE(top_k)->tp_name);
    return -1;
  }
  long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow != 0 || value < 0 || value > UINT32_MAX) {
    PyErr_Format(errors_argument, "top_k must be 0 to 4294967295; got %R", number);
    Py_DECREF(number);
    return -1;
  }
  Py_DECREF(number);
  *out = (uint32_t)value;
  return 0;
}

int keys_make(PyObject *op, PyObject *view, PyObject *prompt, PyObject *top_k,
              struct fcache_key *out) {
  if (keys_name(op, "op", &out->op) < 0 || keys_name(view, "view", &out->view) < 0 ||
      keys_top_k(top_k, &out->top_k) < 0)
    return -1;
  return keys_prompt(prompt, &out->prompt);
}

int keys_prompts(PyObject *object, struct prompts *out) {
  *out = (struct prompts){0};
  if (PyUnicode_Check(object) || PyBytes_Check(object)) {
    PyErr_Format(PyExc_TypeError, "prompts must be a sequence of prompts, not one %.200s",
                 Py_TYPE(object)->tp_name);
    return -1;
  }
  /* A copy of a list: code that runs later may change the caller's. */
  out->list = PySequence_Tuple(object);
  if (out->list == NULL)
    return -1;
  out->n = (size_t)PyTuple_GET_SIZE(out->list);
  out->hashes = PyMem_Calloc(out->n > 0 ? out->n : 1, sizeof *out->hashes);
  if (out->hashes == NULL)
    PyErr_NoMemory();
  for (size_t i = 0; out->hashes != NULL && i < out->n; i++)
    if (keys_prompt(PyTuple_GET_ITEM(out->list, (Py_ssize_t)i), &out->hashes[i]) < 0)
      break;
  if (!PyErr_Occurred())
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
