/* Paths into a value. */
#include "value_path.h"

enum {
  SHOWN_STEPS = 12, /* of these, half at either end */
  SHOWN_KEY = 40,   /* characters */
};

/* A key as it would be written, where that runs no code of the user's and is not long. */
static PyObject *key_text(PyObject *key) {
  PyObject *text;
  PyObject *cut;

  if (!PyUnicode_CheckExact(key) && !PyLong_CheckExact(key) && !PyBytes_CheckExact(key) &&
      !PyFloat_CheckExact(key) && !PyBool_Check(key) && key != Py_None)
    return PyUnicode_FromFormat("<%s>", Py_TYPE(key)->tp_name);
  text = PyObject_Repr(key);
  if (!text && PyErr_ExceptionMatches(PyExc_ValueError)) { /* an int of more than 4300 digits */
    PyErr_Clear();
    return PyUnicode_FromString("<int>");
  }
  if (!text || PyUnicode_GET_LENGTH(text) <= SHOWN_KEY)
    return text;
  cut = PyUnicode_Substring(text, 0, SHOWN_KEY);
  Py_DECREF(text);
  text = cut ? PyUnicode_FromFormat("%U...", cut) : NULL;
  Py_XDECREF(cut);
  return text;
}

static PyObject *keyed_text(const struct step *step) {
  PyObject *key = key_text(step->key);
  PyObject *text = key ? PyUnicode_FromFormat("[%U]", key) : NULL;

  Py_XDECREF(key);
  return text;
}

static PyObject *step_text(const struct step *step) {
  switch (step->kind) {
  case STEP_KEY:
    return keyed_text(step);
  case STEP_KEYS:
    return PyUnicode_FromFormat(".keys()[%zd]", step->index);
  case STEP_FIELD:
    return PyUnicode_FromFormat(".%U", step->key);
  case STEP_FLAT:
    return PyUnicode_FromFormat(".ravel('K')[%zd]", step->index);
  case STEP_MADE:
    return PyUnicode_FromString(" (as its encode function gave it)");
  case STEP_INDEX:
  default:
    return PyUnicode_FromFormat("[%zd]", step->index);
  }
}

PyObject *path_text(const struct encoder *encoder) {
  PyObject *path = PyUnicode_FromString("value");
  unsigned depth = encoder->depth;

  for (unsigned i = 0; path && i < depth; i++) {
    bool left_out = depth > SHOWN_STEPS && i == SHOWN_STEPS / 2;
    PyObject *part = left_out ? PyUnicode_FromString("[...]") : step_text(&encoder->steps[i]);
    PyObject *longer = part ? PyUnicode_Concat(path, part) : NULL;

    Py_XDECREF(part);
    Py_DECREF(path);
    path = longer;
    if (left_out)
      i = depth - SHOWN_STEPS / 2;
  }
  return path;
}
