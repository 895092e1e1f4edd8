/* The function _doctor, for python -m fcached doctor. */
#include <Python.h>

#include "client/lib/doctor/doctor.h"
#include "py_methods.h"

/* Keeps the findings in a list; NULL after an exception. */
static void add(void *arg, const struct doctor_finding *finding) {
  PyObject **list = arg;
  if (*list == NULL)
    return;
  PyObject *row = Py_BuildValue("(ssss)", doctor_level_names[finding->level], finding->check,
                                finding->text, finding->advice);
  if (row == NULL || PyList_Append(*list, row) < 0)
    Py_CLEAR(*list);
  Py_XDECREF(row);
}

static PyObject *doctor(PyObject *module, PyObject *args) {
  struct doctor_options options = {.program = "the Python package"};
  (void)module;
  if (!PyArg_ParseTuple(args, "zs:_doctor", &options.socket, &options.version))
    return NULL;
  PyObject *list = PyList_New(0);
  enum doctor_result result = list == NULL ? DOCTOR_NOT_WELL : doctor_run(&options, add, &list);
  return list == NULL ? NULL : Py_BuildValue("(iN)", (int)result, list);
}

PyMethodDef doctor_methods[] = {
    {"_doctor", doctor, METH_VARARGS,
     "_doctor(socket, version, /)\n--\n\nRuns the checks of the C library. Returns the exit status "
     "and a list of (level, check, text, advice). Keeps the GIL, for some deadlines at most."},
    {NULL, NULL, 0, NULL},
};
