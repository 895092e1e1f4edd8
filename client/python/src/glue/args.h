/* args.h - the arguments of a vectorcall method (METH_FASTCALL | METH_KEYWORDS), put in the order
 * of their names. Needs the GIL. */
#ifndef FCACHED_PY_ARGS_H
#define FCACHED_PY_ARGS_H

#include <Python.h>

#define ARGS_MAX 9

struct args_spec {
  const char *method;
  unsigned required;               /* the first ones, which have to be there */
  unsigned positional;             /* the first ones, which may stand without a name */
  const char *names[ARGS_MAX + 1]; /* NULL-terminated */
};

/* Fills `out` with borrowed references, NULL where one was not given. 0, or -1 with a TypeError. */
int args_parse(const struct args_spec *spec, PyObject *const *args, Py_ssize_t n_args,
               PyObject *keywords, PyObject *out[ARGS_MAX]);

#endif
