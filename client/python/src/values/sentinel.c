#include "sentinel.h"

struct sentinel {
  PyObject_HEAD const char *name; /* of the attribute of the module */
};

PyObject *sentinel_miss, *sentinel_leased;

static PyObject *get_repr(PyObject *self) {
  return PyUnicode_FromString(((struct sentinel *)self)->name);
}

static int is_true(PyObject *self) {
  (void)self;
  return 0;
}

/* For a string, pickle looks the name up in the module of the type. So every process gets its own
 * object. */
static PyObject *reduce(PyObject *self, PyObject *ignored) {
  (void)ignored;
  return get_repr(self);
}

static PyMethodDef methods[] = {
    {"__reduce__", reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyNumberMethods as_number = {.nb_bool = is_true};
static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "fcached._core._Sentinel",
    .tp_basicsize = sizeof(struct sentinel),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "fcached.MISS or fcached.LEASED. Falsy; the same object after copy and pickle.",
    .tp_repr = get_repr,
    .tp_as_number = &as_number,
    .tp_methods = methods,
};

static PyObject *make(PyObject *module, const char *name) {
  struct sentinel *sentinel = PyObject_New(struct sentinel, &type);
  if (sentinel == NULL)
    return NULL;
  sentinel->name = name;
  if (PyModule_AddObjectRef(module, name, (PyObject *)sentinel) < 0)
    Py_CLEAR(sentinel);
  return (PyObject *)sentinel;
}

int sentinel_init(PyObject *module) {
  if (PyType_Ready(&type) < 0 || PyModule_AddObjectRef(module, "_Sentinel", (PyObject *)&type) < 0)
    return -1;
  sentinel_miss = make(module, "MISS");
  sentinel_leased = make(module, "LEASED");
  return sentinel_miss == NULL || sentinel_leased == NULL ? -1 : 0;
}
