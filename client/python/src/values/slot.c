#include "slot.h"

#include <structmember.h>

/* The member descriptor of the slot has the offset. */
Py_ssize_t slot_offset(PyTypeObject *class, PyObject *name) {
  PyObject *found = PyObject_GetAttr((PyObject *)class, name);
  Py_ssize_t offset = 0;

  if (!found) {
    PyErr_Clear(); /* a field without a default, which is in the instance's dict */
    return 0;
  }
  if (Py_TYPE(found) == &PyMemberDescr_Type) {
    const PyMemberDescrObject *member = (const PyMemberDescrObject *)found;

    if (member->d_member->type == T_OBJECT_EX && PyType_IsSubtype(class, member->d_common.d_type))
      offset = member->d_member->offset;
  }
  Py_DECREF(found);
  return offset;
}
