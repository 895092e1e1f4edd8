/* client.h - the type _core.Client, which fcached.Client extends: a namespace's settings, and a
 * handle of the C library for each thread that uses it. The methods' contract is in _core.pyi. */
#ifndef FCACHED_PY_CLIENT_H
#define FCACHED_PY_CLIENT_H

#include <Python.h>

/* Adds the type and the sentinels MISS and LEASED to the module. 0, or -1 with an exception. */
int client_init(PyObject *module);

#endif
