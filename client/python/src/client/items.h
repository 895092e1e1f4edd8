/* items.h - several things that the caller gives at once: prompts, values. What is not a list or a
 * tuple is judged by fcached.items. All need the GIL, and may run the caller's code. */
#ifndef FCACHED_PY_ITEMS_H
#define FCACHED_PY_ITEMS_H

#include <Python.h>

/* A new tuple of the items of `object` in its order, `most` and one more at most; or NULL with an
 * exception: TypeError, which names `what`, for a mapping, a set, text or bytes. */
PyObject *items_in_order(PyObject *object, const char *what, Py_ssize_t most);

/* len(object), where it also has positions; or -1 with an exception, as above, and for an iterator
 * too. */
Py_ssize_t items_count(PyObject *object, const char *what);

/* A new tuple of object[0] to object[n - 1]: the items of what items_count took. NULL with an
 * exception. */
PyObject *items_at(PyObject *object, Py_ssize_t n);

#endif
