/* The module fcached._core. A process has one, because its types are static. */
#include <Python.h>

#include "digest.h"
#include "glue/py_errors.h"
#include "py_handle.h"
#include "py_methods.h"
#include "values/py_value.h"
#include "values/sentinel.h"

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "fcached._core",
    .m_doc = "The C part of the package fcached. Use the names that fcached exports.",
    .m_size = -1,
};

static int fill(PyObject *module) {
  if (errors_init() < 0 || sentinel_init(module) < 0 || value_init() < 0 || handle_init() < 0 ||
      client_type_init(module) < 0 || instrumentation_type_init(module) < 0)
    return -1;
  if (PyModule_AddFunctions(module, value_methods) < 0 ||
      PyModule_AddFunctions(module, doctor_methods) < 0)
    return -1;
  return PyModule_AddFunctions(module, digest_methods);
}

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) {
  PyObject *module = PyModule_Create(&definition);
  if (module != NULL && fill(module) < 0)
    Py_CLEAR(module);
  return module;
}
