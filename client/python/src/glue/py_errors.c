#include "py_errors.h"

#include <fcache.h>

/* In the order of the table below. */
enum {
  ERROR,
  ARGUMENT,
  NAMESPACE,
  TOO_BIG,
  BATCH,
  DENIED,
  UNAVAILABLE,
  PROTOCOL,
  REFUSED,
  ENCODE,
  DECODE,
  N_CLASSES,
};
static const char *const names[N_CLASSES] = {
    "Error",        "ArgumentError", "NamespaceError",   "TooBigError",
    "BatchError",   "DeniedError",   "UnavailableError", "ProtocolError",
    "RefusedError", "EncodeError",   "DecodeError",
};
static PyObject *classes[N_CLASSES];

PyObject *errors_argument, *errors_encode, *errors_decode, *errors_batch;

int errors_init(void) {
  PyObject *module = PyImport_ImportModule("fcached.errors");
  if (module == NULL)
    return -1;
  int rc = 0;
  for (unsigned i = 0; rc == 0 && i < N_CLASSES; i++) {
    Py_XSETREF(classes[i], PyObject_GetAttrString(module, names[i]));
    rc = classes[i] == NULL ? -1 : 0;
  }
  Py_DECREF(module);
  errors_argument = classes[ARGUMENT];
  errors_encode = classes[ENCODE];
  errors_decode = classes[DECODE];
  errors_batch = classes[BATCH];
  return rc;
}

static PyObject *class_of(int code) {
  switch (code) {
  case FCACHE_EINVAL:
  case FCACHE_ENAME:
  case FCACHE_EMAXENTRIES:
    return classes[ARGUMENT];
  case FCACHE_ENONAMESPACE:
    return classes[NAMESPACE];
  case FCACHE_ETOOBIG:
    return classes[TOO_BIG];
  case FCACHE_EBATCH:
    return classes[BATCH];
  case FCACHE_EDENIED:
    return classes[DENIED];
  case FCACHE_EUNAVAILABLE:
    return classes[UNAVAILABLE];
  case FCACHE_EPROTOCOL:
    return classes[PROTOCOL];
  case FCACHE_EREFUSED:
    return classes[REFUSED];
  default:
    return classes[ERROR];
  }
}

PyObject *errors_raise(int code, const char *text) {
  if (code == FCACHE_ENOMEM)
    return PyErr_NoMemory();
  if (text == NULL || text[0] == '\0')
    text = fcache_strerror(code);
  /* The library may cut a text in the middle of a character. */
  PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
  PyObject *error = message == NULL ? NULL : PyObject_CallOneArg(class_of(code), message);
  PyObject *number = error == NULL ? NULL : PyLong_FromLong(code);
  if (number != NULL && PyObject_SetAttrString(error, "code", number) == 0)
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
  Py_XDECREF(number);
  Py_XDECREF(error);
  Py_XDECREF(message);
  return NULL;
}

int errors_suppress(PyObject *source) {
  if (PyErr_Occurred() == NULL)
    return 0;
  if (!PyErr_ExceptionMatches(PyExc_Exception))
    return -1;
  PyErr_WriteUnraisable(source);
  return 0;
}
