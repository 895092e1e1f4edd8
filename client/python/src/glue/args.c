#include "args.h"

#include <string.h>

static int find(const struct args_spec *spec, PyObject *keyword) {
  for (int i = 0; spec->names[i] != NULL; i++)
    if (PyUnicode_CompareWithASCIIString(keyword, spec->names[i]) == 0)
      return i;
  PyErr_Format(PyExc_TypeError, "%s() has no argument %R", spec->method, keyword);
  return -1;
}

int args_parse(const struct args_spec *spec, PyObject *const *args, Py_ssize_t n_args,
               PyObject *keywords, PyObject *out[ARGS_MAX]) {
  if (n_args > (Py_ssize_t)spec->positional) {
    PyErr_Format(PyExc_TypeError, "%s() takes %u arguments without a name; got %zd", spec->method,
                 spec->positional, n_args);
    return -1;
  }
  memset(out, 0, ARGS_MAX * sizeof *out);
  for (Py_ssize_t i = 0; i < n_args; i++)
    out[i] = args[i];
  Py_ssize_t n_keywords = keywords != NULL ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; i < n_keywords; i++) {
    int at = find(spec, PyTuple_GET_ITEM(keywords, i));
    if (at < 0)
      return -1;
    if (out[at] != NULL) {
      PyErr_Format(PyExc_TypeError, "%s() got argument '%s' twice", spec->method, spec->names[at]);
      return -1;
    }
    out[at] = args[n_args + i];
  }
  for (unsigned i = 0; i < spec->required; i++)
    if (out[i] == NULL) {
      PyErr_Format(PyExc_TypeError, "%s() needs argument '%s'", spec->method, spec->names[i]);
      return -1;
    }
  return 0;
}

int args_bool(PyObject *argument, int missing) {
  return argument == NULL ? missing : PyObject_IsTrue(argument);
}
