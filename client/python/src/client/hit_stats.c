#include "hit_stats.h"

#include "values/slot.h"

static PyObject *hits_name, *wall_name, *is_on_name;

/* The class of the latest stats, and where its instances have the counters. The version changes
 * with each change of the class. */
static struct {
  PyTypeObject *class; /* a reference */
  unsigned version;
  Py_ssize_t hits, wall; /* 0: no slot */
} known;

int hit_stats_init(void) {
  hits_name = PyUnicode_InternFromString("cache_hits");
  wall_name = PyUnicode_InternFromString("scoring_wall_s");
  is_on_name = PyUnicode_InternFromString("is_on");
  return hits_name != NULL && wall_name != NULL && is_on_name != NULL ? 0 : -1;
}

static void learn(PyTypeObject *class) {
  Py_ssize_t hits = 0, wall = 0;
  if (class->tp_getattro == PyObject_GenericGetAttr &&
      class->tp_setattro == PyObject_GenericSetAttr) {
    hits = slot_offset(class, hits_name);
    wall = slot_offset(class, wall_name);
  }
  Py_XSETREF(known.class, (PyTypeObject *)Py_NewRef(class));
  known.version = class->tp_version_tag; /* 0: none, which never matches */
  known.hits = hits;
  known.wall = wall;
}

static PyObject **slot_at(PyObject *object, Py_ssize_t offset) {
  return (PyObject **)(void *)((char *)object + offset);
}

bool hit_stats_add(PyObject *stats, double wall_s) {
  PyTypeObject *class = Py_TYPE(stats);
  if (known.class != class || known.version == 0 || known.version != class->tp_version_tag)
    learn(class);
  if (known.hits == 0 || known.wall == 0)
    return false;
  PyObject **hits = slot_at(stats, known.hits), **wall = slot_at(stats, known.wall);
  if (*hits == NULL || !PyLong_CheckExact(*hits) || *wall == NULL || !PyFloat_CheckExact(*wall))
    return false;
  int overflow;
  long long number = PyLong_AsLongLongAndOverflow(*hits, &overflow);
  if (overflow != 0 || number == LLONG_MAX)
    return false;
  PyObject *new_hits = PyLong_FromLongLong(number + 1);
  PyObject *new_wall = PyFloat_FromDouble(PyFloat_AS_DOUBLE(*wall) + wall_s);
  if (new_hits == NULL || new_wall == NULL) {
    PyErr_Clear();
    Py_XDECREF(new_hits);
    Py_XDECREF(new_wall);
    return false;
  }
  /* Both are numbers, whose ends run no code. */
  Py_SETREF(*hits, new_hits);
  Py_SETREF(*wall, new_wall);
  return true;
}

/* Returns the class TraceWriter, borrowed, or NULL without an exception. */
static PyTypeObject *trace_writer(void) {
  static PyObject *class;
  if (class == NULL) {
    PyObject *module = PyImport_ImportModule("fcached.instrumentation.trace");
    class = module != NULL ? PyObject_GetAttrString(module, "TraceWriter") : NULL;
    Py_XDECREF(module);
    if (class == NULL)
      PyErr_Clear();
  }
  return (PyTypeObject *)class;
}

bool hit_stats_trace_is_off(PyObject *trace) {
  if (Py_TYPE(trace) != trace_writer())
    return false;
  PyObject *is_on = PyObject_GetAttr(trace, is_on_name);
  if (is_on == NULL)
    PyErr_Clear();
  Py_XDECREF(is_on);
  return is_on == Py_False;
}
