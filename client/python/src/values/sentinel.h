/* sentinel.h - MISS and LEASED: what a lookup returns that has no value. Falsy; the repr is the
 * name; copies and pickles are the same object. */
#ifndef FCACHED_PY_SENTINEL_H
#define FCACHED_PY_SENTINEL_H

#include <Python.h>

/* Borrowed; alive as long as the process. */
extern PyObject *sentinel_miss;
extern PyObject *sentinel_leased;

/* Makes them, and adds them to the module. 0, or -1 with an exception. */
int sentinel_init(PyObject *module);

#endif
