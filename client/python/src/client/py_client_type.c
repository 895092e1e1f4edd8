/* The type _core.Client: creation, settings and destruction, and the table of its methods. */
#include <Python.h>
#include <sys/random.h>

#include "client_docs.h"
#include "glue/args.h"
#include "glue/py_errors.h"
#include "py_client.h"
#include "py_handle.h"
#include "py_keys.h"
#include "py_methods.h"

/* ---- creation and destruction ---- */

/* The library checks all but a NUL. */
static int parse_manifest(struct client *client, PyObject *manifest) {
  Py_ssize_t size;
  client->options.manifest = PyUnicode_AsUTF8AndSize(manifest, &size);
  if (client->options.manifest == NULL)
    return -1;
  if (strlen(client->options.manifest) == (size_t)size)
    return 0;
  (void)errors_raise(FCACHE_EINVAL, "the manifest has a NUL in it: it is text, best of JSON");
  return -1;
}

static int parse_strings(struct client *client, PyObject *strings) {
  const char **outs[] = {&client->options.name_space, &client->options.socket,
                         &client->options.client};
  static const char *const names[] = {"namespace", "socket", "client"};
  for (int i = 0; i < 3; i++) {
    PyObject *string = PyTuple_GET_ITEM(strings, i);
    if (string != Py_None && keys_name(string, names[i], outs[i]) < 0)
      return -1;
  }
  PyObject *manifest = PyTuple_GET_ITEM(strings, 3);
  if (manifest != Py_None && parse_manifest(client, manifest) < 0)
    return -1;
  client->strings = Py_NewRef(strings);
  return 0;
}

static int parse_max_bytes(struct client *client, PyObject *max_bytes) {
  if (max_bytes == Py_None)
    return 0;
  long long bytes = PyLong_AsLongLong(max_bytes);
  if (bytes == -1 && PyErr_Occurred())
    return -1;
  if (bytes <= 0) {
    (void)errors_raise(FCACHE_EINVAL, "max_bytes must be positive");
    return -1;
  }
  client->options.max_bytes = (uint64_t)bytes;
  return 0;
}

static int parse_limits(struct client *client, PyObject *max_entries, PyObject *max_bytes,
                        double verify, int wait_ms) {
  client->options.wait_ms = wait_ms < 0 ? FCACHE_NO_WAIT : (uint32_t)wait_ms;
  if (max_entries != Py_None) {
    client->max_entries = PyLong_AsLongLong(max_entries);
    if (client->max_entries == -1 && PyErr_Occurred())
      return -1;
    client->options.max_entries = &client->max_entries;
  }
  if (parse_max_bytes(client, max_bytes) < 0)
    return -1;
  if (!(verify >= 0 && verify <= 1)) {
    (void)errors_raise(FCACHE_EINVAL, "verify must be a share of the hits, 0 to 1");
    return -1;
  }
  client->verify_below = verify == 1.0 ? UINT64_MAX : (uint64_t)(verify * 0x1p64);
  if (getentropy(&client->random, sizeof client->random) < 0) {
    (void)PyErr_SetFromErrno(PyExc_OSError);
    return -1;
  }
  client->random += client->random == 0; /* xorshift never leaves the state 0 */
  return 0;
}

/* Opens a handle of this thread, which checks the settings. 0, or -1 with an exception. */
static int check_settings(struct client *client) {
  client->closed = false;
  struct handle *handle = handle_begin(client);
  if (handle == NULL) {
    client->closed = true;
    return -1;
  }
  handle_end(handle);
  return 0;
}

static int type_init(PyObject *self, PyObject *args, PyObject *keywords) {
  static const char *const names[] = {"namespace", "socket",  "client",      "deadline_ms",
                                      "lease_ms",  "wait_ms", "max_entries", "max_bytes",
                                      "manifest",  "verify",  "ranks",       NULL};
  struct client *client = (struct client *)self;
  PyObject *name_space, *socket, *name, *max_entries, *max_bytes, *manifest, *ranks;
  unsigned deadline_ms, lease_ms;
  int wait_ms;
  double verify;
  if (client->initialized) {
    PyErr_SetString(PyExc_RuntimeError, "a client is initialized once");
    return -1;
  }
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O$OOIIiOOOdO:Client", (char **)(uintptr_t)names,
                                   &name_space, &socket, &name, &deadline_ms, &lease_ms, &wait_ms,
                                   &max_entries, &max_bytes, &manifest, &verify, &ranks))
    return -1;
  client->initialized = true;
  client->options = (struct fcache_options)FCACHE_OPTIONS_INIT;
  client->options.deadline_ms = deadline_ms;
  client->options.lease_ms = lease_ms;
  client->forks = fork_count();
  client->ranks = ranks == Py_None ? NULL : Py_NewRef(ranks);
  PyObject *strings = PyTuple_Pack(4, name_space, socket, name, manifest);
  int rc = strings == NULL ? -1 : parse_strings(client, strings);
  Py_XDECREF(strings);
  if (rc == 0)
    rc = parse_limits(client, max_entries, max_bytes, verify, wait_ms);
  return rc < 0 ? rc : check_settings(client);
}

static PyObject *type_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  (void)args;
  (void)keywords;
  struct client *client = (struct client *)type->tp_alloc(type, 0);
  if (client != NULL)
    client->closed = true; /* until it is initialized */
  return (PyObject *)client;
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
  struct client *client = (struct client *)self;
  Py_VISIT(client->ranks);
  Py_VISIT(client->strings);
  Py_VISIT(client->probe);
  return 0;
}

/* Keeps the strings: the options borrow them, and strings are in no reference cycle. */
static int clear_references(PyObject *self) {
  Py_CLEAR(((struct client *)self)->ranks);
  return 0;
}

static void dealloc(PyObject *self) {
  struct client *client = (struct client *)self;
  PyObject_GC_UnTrack(self);
  client->closed = true;
  handle_detach_all(client);
  (void)clear_references(self);
  Py_CLEAR(client->strings);
  Py_CLEAR(client->probe);
  Py_TYPE(self)->tp_free(self);
}

static PyObject *client_close(PyObject *self, PyObject *ignored) {
  struct client *client = (struct client *)self;
  (void)ignored;
  client_notice_fork(client);
  client->closed = true;
  handle_close_all(client);
  Py_RETURN_NONE;
}

/* ---- settings ---- */

static PyObject *set_probe(struct client *client, PyObject *probe) {
  const char *text;
  if (probe != Py_None && keys_name(probe, "probe", &text) < 0)
    return NULL;
  PyObject *before = client->probe;
  client->probe = probe == Py_None ? NULL : Py_NewRef(probe);
  client->probes++;
  struct handle *handle = handle_begin(client);
  if (handle != NULL) {
    handle_end(handle);
    Py_XDECREF(before);
    Py_RETURN_NONE;
  }
  Py_XDECREF(client->probe);
  client->probe = before;
  client->probes++;
  return NULL;
}

/* Sets the probe on the handle of this thread, which checks it. Other threads set it on theirs at
 * their next call. */
static METHOD_FAST(client_set_probe) {
  static const struct args_spec spec = {"set_probe", 1, 1, {"probe", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  return set_probe(client, given[0]);
}

static PyObject *get_connected(PyObject *self, void *closure) {
  struct client *client = (struct client *)self;
  (void)closure;
  client_notice_fork(client);
  return PyBool_FromLong(!client->closed && handle_any_connected(client));
}

static PyObject *get_closed(PyObject *self, void *closure) {
  (void)closure;
  return PyBool_FromLong(((struct client *)self)->closed);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS
static PyMethodDef methods[] = {
    {"get", FAST(client_get), DOC_GET},
    {"put", FAST(client_put), DOC_PUT},
    {"give_up", FAST(client_give_up), DOC_GIVE_UP},
    {"_local", FAST(client_local), DOC_LOCAL},
    {"get_many", FAST(client_get_many), DOC_GET_MANY},
    {"put_many", FAST(client_put_many), DOC_PUT_MANY},
    {"give_up_many", FAST(client_give_up_many), DOC_GIVE_UP_MANY},
    {"cached", FAST(client_cached), DOC_CACHED},
    {"cached_batch", FAST(client_cached_batch), DOC_CACHED_BATCH},
    {"_cached_batch", FAST(client_cached_batch_found), DOC_CACHED_BATCH_FOUND},
    {"set_probe", FAST(client_set_probe), DOC_SET_PROBE},
    {"clear", FAST(client_clear), DOC_CLEAR},
    {"delete", FAST(client_delete), DOC_DELETE},
    {"close", client_close, METH_NOARGS, DOC_CLOSE},
    {"_counters", client_counters, METH_NOARGS, DOC_COUNTERS},
    {"_server_stats", client_server_stats, METH_NOARGS, DOC_SERVER_STATS},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"connected", get_connected, NULL, "True while a connection of this client is up.", NULL},
    {"closed", get_closed, NULL, "True after close(): calls then raise ArgumentError.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "fcached._core.Client",
    .tp_doc = DOC_CLIENT,
    .tp_basicsize = sizeof(struct client),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = type_new,
    .tp_init = type_init,
    .tp_dealloc = dealloc,
    .tp_traverse = traverse,
    .tp_clear = clear_references,
    .tp_methods = methods,
    .tp_getset = properties,
};

int client_type_init(PyObject *module) {
  if (PyType_Ready(&type) < 0)
    return -1;
  return PyModule_AddObjectRef(module, "Client", (PyObject *)&type);
}
