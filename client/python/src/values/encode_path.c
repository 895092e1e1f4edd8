#include "encode_path.h"

#include "glue/chain.h"
#include "glue/py_errors.h"

enum {
  SHOWN_STEPS = 12, /* of a longer path: half of them at each end */
  SHOWN_KEY = 40,   /* characters of a key */
};

/* Returns the repr of a key, cut to SHOWN_KEY characters. Keys whose repr would run the user's code
 * are shown as their type. A new reference, or NULL with an exception. */
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
  case STEP_ENCODED:
    return PyUnicode_FromString(" (the result of its encode function)");
  case STEP_INDEX:
  default:
    return PyUnicode_FromFormat("[%zd]", step->index);
  }
}

/* Returns "value['a'][3].logprobs", without the middle of a long path. A new reference, or NULL
 * with an exception. */
static PyObject *path_text(const struct encoder *encoder) {
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

bool encode_refuse(const struct encoder *encoder, const char *format, ...) {
  PyObject *type;
  PyObject *cause;
  PyObject *traceback;
  PyObject *path;
  PyObject *text;
  va_list arguments;

  PyErr_Fetch(&type, &cause, &traceback);
  path = path_text(encoder);
  va_start(arguments, format);
  text = path ? PyUnicode_FromFormatV(format, arguments) : NULL;
  va_end(arguments);
  if (text && type) {
    PyErr_Restore(type, cause, traceback);
    chain_raise(errors_encode, "%U: %U", path, text);
  } else {
    Py_XDECREF(type);
    Py_XDECREF(cause);
    Py_XDECREF(traceback);
    if (text)
      (void)PyErr_Format(errors_encode, "%U: %U", path, text);
  }
  Py_XDECREF(path);
  Py_XDECREF(text);
  return false;
}

bool encode_enter(struct encoder *encoder) {
  if (encoder->depth == MAX_DEPTH)
    return encode_refuse(encoder, "it nests more than %d deep, or contains itself", MAX_DEPTH);
  encoder->steps[encoder->depth++] = (struct step){0};
  return true;
}
