/* The type _core.Instrumentation: the hits of fcached.instrumentation.BackendInstrumentation, which
 * extends it. Everything else is in Python: what is no hit, counters and traces of other classes.
 */
#include <Python.h>
#include <structmember.h>

#include "client/lib/util/clock.h"
#include "client_docs.h"
#include "glue/args.h"
#include "glue/py_errors.h"
#include "hit_stats.h"
#include "py_methods.h"
#include "values/sentinel.h"

struct instrumentation {
  PyObject_HEAD PyObject *routes; /* a dict: view -> (look, the view in keys, client) */
  PyObject *stats, *trace;
};

static PyObject *new_route_name, *slow_name, *unshared_name, *count_name;

/* Returns self._routes.get(view) or self._new_route(view). A new reference, or NULL with an
 * exception. */
static PyObject *find_route(struct instrumentation *self, PyObject *view) {
  PyObject *route = NULL;
  if (self->routes != NULL && PyDict_CheckExact(self->routes))
    route = PyDict_GetItemWithError(self->routes, view);
  if (route != NULL)
    return Py_NewRef(route);
  if (PyErr_Occurred() != NULL)
    return NULL;
  route = PyObject_CallMethodOneArg((PyObject *)self, new_route_name, view);
  if (route != NULL && (!PyTuple_Check(route) || PyTuple_GET_SIZE(route) != 3)) {
    PyErr_SetString(PyExc_TypeError, "_new_route returns a Route");
    Py_CLEAR(route);
  }
  return route;
}

/* Calls route.look(op, view, prompt, top_k): mostly the method _local of a client. */
static PyObject *look_up(PyObject *route, PyObject *const *args) {
  PyObject *look = PyTuple_GET_ITEM(route, 0);
  PyObject *key[] = {args[0], PyTuple_GET_ITEM(route, 1), args[2], args[3]};
  if (PyCFunction_CheckExact(look) &&
      PyCFunction_GET_FUNCTION(look) == (PyCFunction)(void (*)(void))client_local)
    return client_local(PyCFunction_GET_SELF(look), key, 4, NULL);
  return PyObject_Vectorcall(look, key, 4, NULL);
}

/* Counts and traces a hit. Errors of counters and trace are logged in Python. 0, or -1 with an
 * exception that is not an Exception. */
static int count_hit(struct instrumentation *self, PyObject *const *args, double wall_s) {
  if (self->trace != NULL && self->stats != NULL && hit_stats_trace_is_off(self->trace) &&
      hit_stats_add(self->stats, wall_s))
    return 0;
  PyObject *wall = PyFloat_FromDouble(wall_s);
  PyObject *result = wall == NULL
                         ? NULL
                         : PyObject_CallMethodObjArgs((PyObject *)self, count_name, args[0],
                                                      args[1], args[2], args[3], wall, NULL);
  Py_XDECREF(wall);
  Py_XDECREF(result);
  return result == NULL ? -1 : 0;
}

/* Continues a lookup that is no hit, with `method`. */
static PyObject *go_on(struct instrumentation *self, PyObject *method, PyObject *route,
                       PyObject *const *args, double started_s) {
  PyObject *started = PyFloat_FromDouble(started_s);
  PyObject *result = NULL;
  if (started != NULL)
    result = PyObject_CallMethodObjArgs((PyObject *)self, method, route, args[0], args[1], args[2],
                                        args[3], args[4], started, NULL);
  Py_XDECREF(started);
  return result;
}

/* Returns the method for what is no hit, or NULL if the exception is the caller's. */
static PyObject *method_after(PyObject *value) {
  if (value != NULL)
    return slow_name;
  PyObject *method = NULL;
  if (PyErr_ExceptionMatches(errors_decode)) /* the client counts it and computes */
    method = slow_name;
  else if (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError) ||
           PyErr_ExceptionMatches(PyExc_OverflowError)) /* routes.NOT_SHAREABLE */
    method = unshared_name;
  if (method != NULL)
    PyErr_Clear();
  return method;
}

static METHOD_FAST(instrumentation_cached) {
  static const struct args_spec spec = {
      "cached", 5, 5, {"op", "view_id", "prompt", "top_k", "compute", NULL}};
  struct instrumentation *inst = (struct instrumentation *)self;
  PyObject *given[ARGS_MAX];
  uint64_t started_ns = clock_now_ns(); /* as time.perf_counter_ns() */
  if (n_args != 5 || keywords != NULL) {
    if (args_parse(&spec, args, n_args, keywords, given) < 0)
      return NULL;
    args = given;
  }
  PyObject *route = find_route(inst, args[1]);
  if (route == NULL)
    return NULL;
  PyObject *value = look_up(route, args);
  if (value == NULL || value == sentinel_miss) {
    PyObject *method = method_after(value);
    Py_XDECREF(value);
    value = method == NULL ? NULL : go_on(inst, method, route, args, (double)started_ns / 1e9);
  } else if (count_hit(inst, args, (double)(clock_now_ns() - started_ns) / 1e9) < 0) {
    Py_CLEAR(value);
  }
  Py_DECREF(route);
  return value;
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
  struct instrumentation *inst = (struct instrumentation *)self;
  Py_VISIT(inst->routes);
  Py_VISIT(inst->stats);
  Py_VISIT(inst->trace);
  return 0;
}

static int clear_references(PyObject *self) {
  struct instrumentation *inst = (struct instrumentation *)self;
  Py_CLEAR(inst->routes);
  Py_CLEAR(inst->stats);
  Py_CLEAR(inst->trace);
  return 0;
}

static void dealloc(PyObject *self) {
  PyObject_GC_UnTrack(self);
  (void)clear_references(self);
  Py_TYPE(self)->tp_free(self);
}

static PyMethodDef methods[] = {
    {"cached", (PyCFunction)(void (*)(void))instrumentation_cached, METH_FASTCALL | METH_KEYWORDS,
     DOC_INSTRUMENTATION_CACHED},
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name, field)                                                                        \
  { name, T_OBJECT_EX, offsetof(struct instrumentation, field), 0, NULL }
static PyMemberDef attributes[] = {
    MEMBER("_routes", routes),
    MEMBER("stats", stats),
    MEMBER("trace", trace),
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "fcached._core.Instrumentation",
    .tp_doc = DOC_INSTRUMENTATION,
    .tp_basicsize = sizeof(struct instrumentation),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = dealloc,
    .tp_traverse = traverse,
    .tp_clear = clear_references,
    .tp_methods = methods,
    .tp_members = attributes,
};

int instrumentation_type_init(PyObject *module) {
  new_route_name = PyUnicode_InternFromString("_new_route");
  slow_name = PyUnicode_InternFromString("_cached_slow");
  unshared_name = PyUnicode_InternFromString("_cached_unshared");
  count_name = PyUnicode_InternFromString("_count_prompt_hit");
  if (new_route_name == NULL || slow_name == NULL || unshared_name == NULL || count_name == NULL)
    return -1;
  if (hit_stats_init() < 0 || PyType_Ready(&type) < 0)
    return -1;
  return PyModule_AddObjectRef(module, "Instrumentation", (PyObject *)&type);
}
