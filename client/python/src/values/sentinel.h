/* sentinel.h - MISS and LEASED, the results of lookups without a value. They are falsy, their repr
 * is their name, and copy and pickle return the same object. */
#ifndef FCACHED_PY_SENTINEL_H
#define FCACHED_PY_SENTINEL_H

#include <Python.h>

/* Borrowed references. */
extern PyObject *sentinel_miss;
extern PyObject *sentinel_leased;

/* Adds both to the module. 0, or -1 with an exception. */
int sentinel_init(PyObject *module);

#endif
