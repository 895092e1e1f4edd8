#include "items.h"

#include "glue/chain.h"

static int is_plain(PyObject *object) {
  return PyList_CheckExact(object) || PyTuple_CheckExact(object);
}

static PyObject *call_items(const char *function, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  PyObject *result = chain_call_in("fcached.items", function, format, arguments);
  va_end(arguments);
  return result;
}

/* Returns `result` as a new tuple, or NULL with an exception. Takes the reference. */
static PyObject *tuple_of(PyObject *result) {
  PyObject *tuple = result == NULL ? NULL : PySequence_Tuple(result);
  Py_XDECREF(result);
  return tuple;
}

PyObject *items_in_order(PyObject *object, const char *what, Py_ssize_t most) {
  if (is_plain(object))
    return PySequence_Tuple(object);
  return tuple_of(call_items("in_order", "(Osn)", object, what, most));
}

Py_ssize_t items_count(PyObject *object, const char *what) {
  if (is_plain(object))
    return PySequence_Size(object);
  PyObject *result = call_items("count", "(Os)", object, what);
  Py_ssize_t n = result == NULL ? -1 : PyLong_AsSsize_t(result);
  Py_XDECREF(result);
  return n;
}

PyObject *items_at(PyObject *object, Py_ssize_t n) {
  if (is_plain(object))
    return PySequence_Tuple(object);
  return tuple_of(call_items("at_positions", "(On)", object, n));
}
