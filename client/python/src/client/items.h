/* items.h - reads sequences of prompts and of values from the caller. fcached.items handles all
 * types but list and tuple. All functions need the GIL and may run the caller's code. */
#ifndef FCACHED_PY_ITEMS_H
#define FCACHED_PY_ITEMS_H

#include <Python.h>

/* Returns a new tuple of the items of `object`, at most `most` + 1 of them. NULL with an exception:
 * a mapping, set, text or bytes raises a TypeError that names `what`. */
PyObject *items_in_order(PyObject *object, const char *what, Py_ssize_t most);

/* Returns len(object) if the object can be indexed by position. -1 with an exception: TypeError
 * also for an iterator. */
Py_ssize_t items_count(PyObject *object, const char *what);

/* Returns a new tuple of object[0] to object[n - 1], for an object that items_count accepted. NULL
 * with an exception. */
PyObject *items_at(PyObject *object, Py_ssize_t n);

#endif
