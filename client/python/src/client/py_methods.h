/* py_methods.h - the methods of _core.Client, and its type. _core.pyi is their contract, and
 * client_docs.h has their docstrings. */
#ifndef FCACHED_PY_METHODS_H
#define FCACHED_PY_METHODS_H

#include <Python.h>

#define METHOD_FAST(name)                                                                          \
  PyObject *name(PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords)

METHOD_FAST(client_get); /* lookups.c */
METHOD_FAST(client_put);
METHOD_FAST(client_give_up);
METHOD_FAST(client_delete);
METHOD_FAST(client_local);
METHOD_FAST(client_get_many); /* py_many.c */
METHOD_FAST(client_put_many);
METHOD_FAST(client_give_up_many);
METHOD_FAST(client_cached);       /* py_cached.c */
METHOD_FAST(client_cached_batch); /* py_batch.c */
METHOD_FAST(client_cached_batch_found);
METHOD_FAST(client_clear); /* py_stats.c */
PyObject *client_counters(PyObject *self, PyObject *ignored);
PyObject *client_server_stats(PyObject *self, PyObject *ignored);

/* The function _doctor. py_doctor.c */
extern PyMethodDef doctor_methods[];

/* Add the types Client and Instrumentation to the module. 0, or -1 with an exception.
 * py_client_type.c, py_instrumentation.c */
int client_type_init(PyObject *module);
int instrumentation_type_init(PyObject *module);

#endif
