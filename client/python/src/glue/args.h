/* args.h - sorts the arguments of a vectorcall method (METH_FASTCALL | METH_KEYWORDS) by name.
 * Needs the GIL. */
#ifndef FCACHED_PY_ARGS_H
#define FCACHED_PY_ARGS_H

#include <Python.h>

#define ARGS_MAX 9

struct args_spec {
  const char *method;
  unsigned required;               /* the first `required` arguments are not optional */
  unsigned positional;             /* the first `positional` arguments need no keyword */
  const char *names[ARGS_MAX + 1]; /* NULL-terminated */
};

/* Fills `out` with borrowed references, NULL for an argument that was not given. 0, or -1 with a
 * TypeError. */
int args_parse(const struct args_spec *spec, PyObject *const *args, Py_ssize_t n_args,
               PyObject *keywords, PyObject *out[ARGS_MAX]);

/* Returns the truth of an argument, or `missing` if it was not given. -1 with an exception. */
int args_bool(PyObject *argument, int missing);

#endif
