#include "chain.h"

#include <stdarg.h>

static bool stays(PyObject *class) {
  return PyErr_ExceptionMatches(class) || PyErr_ExceptionMatches(PyExc_MemoryError) ||
         !PyErr_ExceptionMatches(PyExc_Exception);
}

/* Appends the text of the cause, if it has one. */
static void raise_because(PyObject *class, PyObject *text, PyObject *cause) {
  PyObject *reason = PyObject_Str(cause);

  if (!reason)
    PyErr_Clear();
  if (reason && PyUnicode_GET_LENGTH(reason) > 0)
    (void)PyErr_Format(class, "%U: %U", text, reason);
  else
    PyErr_SetObject(class, text);
  Py_XDECREF(reason);
}

void chain_raise(PyObject *class, const char *format, ...) {
  PyObject *type;
  PyObject *value;
  PyObject *traceback;
  PyObject *cause;
  PyObject *text;
  va_list arguments;

  if (stays(class))
    return;
  PyErr_Fetch(&type, &cause, &traceback);
  PyErr_NormalizeException(&type, &cause, &traceback);
  if (traceback)
    (void)PyException_SetTraceback(cause, traceback); /* cannot fail: it is a traceback */
  Py_XDECREF(traceback);
  Py_XDECREF(type);
  va_start(arguments, format);
  text = PyUnicode_FromFormatV(format, arguments);
  va_end(arguments);
  if (text)
    raise_because(class, text, cause);
  Py_XDECREF(text);
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  PyException_SetCause(value, cause); /* takes the reference of the cause */
  PyErr_Restore(type, value, traceback);
}

PyObject *chain_call_in(const char *module, const char *function, const char *format,
                        va_list list) {
  PyObject *imported = PyImport_ImportModule(module);
  PyObject *callable = imported ? PyObject_GetAttrString(imported, function) : NULL;
  PyObject *tuple = callable ? Py_VaBuildValue(format, list) : NULL;
  PyObject *result = tuple ? PyObject_CallObject(callable, tuple) : NULL;

  Py_XDECREF(tuple);
  Py_XDECREF(callable);
  Py_XDECREF(imported);
  return result;
}

PyObject *chain_call(const char *function, const char *format, ...) {
  va_list arguments;

  va_start(arguments, format);
  PyObject *result = chain_call_in("fcached.values", function, format, arguments);
  va_end(arguments);
  return result;
}
