/* slot.h - the places of the attributes that a class lists in __slots__. */
#ifndef FCACHED_PY_SLOT_H
#define FCACHED_PY_SLOT_H

#include <Python.h>

/* Returns the offset of an attribute in an instance if it is a slot of the class or of a base,
 * else 0. Needs the GIL, and leaves no exception. */
Py_ssize_t slot_offset(PyTypeObject *class, PyObject *name);

#endif
