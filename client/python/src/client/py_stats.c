/* The methods _counters, _server_stats and clear. */
#include <stddef.h>

#include "glue/args.h"
#include "glue/py_errors.h"
#include "py_client.h"
#include "py_handle.h"
#include "py_keys.h"
#include "py_methods.h"

struct named {
  const char *name;
  size_t offset;
};
#define COUNTER(name)                                                                              \
  { #name, offsetof(struct fcache_counters, name) }
#define OWN(name)                                                                                  \
  { #name, offsetof(struct own_counters, name) }
static const struct named counters[] = {
    COUNTER(cache_hits),      COUNTER(cache_misses),   COUNTER(forward_passes),
    COUNTER(scoring_wall_ns), COUNTER(batches_sent),   COUNTER(batched_prompts),
    COUNTER(max_batch_size),  COUNTER(degraded),       COUNTER(reconnects),
    COUNTER(too_big),         COUNTER(region_hits),    COUNTER(unrecorded),
    COUNTER(leases_granted),  COUNTER(coalesced_hits), COUNTER(lease_wait_ns),
};
static const struct named own[] = {OWN(unencodable), OWN(undecodable), OWN(verified),
                                   OWN(differing)};

static int set_all(PyObject *dictionary, const struct named *named, size_t n, const void *base) {
  for (size_t i = 0; i < n; i++) {
    uint64_t value;
    memcpy(&value, (const char *)base + named[i].offset, sizeof value);
    PyObject *number = PyLong_FromUnsignedLongLong(value);
    int rc = number == NULL ? -1 : PyDict_SetItemString(dictionary, named[i].name, number);
    Py_XDECREF(number);
    if (rc < 0)
      return -1;
  }
  return 0;
}

/* Works for closed clients too. */
PyObject *client_counters(PyObject *self, PyObject *ignored) {
  struct client *client = (struct client *)self;
  (void)ignored;
  client_notice_fork(client);
  struct fcache_counters sum = handle_count_all(client);
  PyObject *dictionary = PyDict_New();
  if (dictionary != NULL &&
      (set_all(dictionary, counters, sizeof counters / sizeof *counters, &sum) < 0 ||
       set_all(dictionary, own, sizeof own / sizeof *own, &client->own) < 0))
    Py_CLEAR(dictionary);
  return dictionary;
}

/* Collects the daemon's statistics, some hundred. Acquires the GIL for each. */
struct collector {
  struct handle *handle;
  PyObject *list; /* NULL after an exception */
};

static PyObject *value_of(const struct fcache_stat *stat) {
  switch (stat->kind) {
  case FCACHE_STAT_COUNT:
  case FCACHE_STAT_BYTES:
    return PyLong_FromUnsignedLongLong(stat->integer);
  case FCACHE_STAT_SECONDS:
  case FCACHE_STAT_RATIO:
    return PyFloat_FromDouble(stat->real);
  default:
    return PyUnicode_DecodeUTF8(stat->text, (Py_ssize_t)strlen(stat->text), "replace");
  }
}

static void collect(void *arg, const struct fcache_stat *stat) {
  struct collector *collector = arg;
  handle_acquire(collector->handle);
  if (collector->list != NULL) {
    PyObject *entry = Py_BuildValue("(zsN)", stat->name_space, stat->name, value_of(stat));
    if (entry == NULL || PyList_Append(collector->list, entry) < 0)
      Py_CLEAR(collector->list);
    Py_XDECREF(entry);
  }
  handle_release(collector->handle);
}

PyObject *client_server_stats(PyObject *self, PyObject *ignored) {
  struct client *client = (struct client *)self;
  (void)ignored;
  if (!client_enter(client))
    return NULL;
  struct collector collector = {.handle = handle_begin(client)};
  if (collector.handle == NULL)
    return NULL;
  collector.list = PyList_New(0);
  if (collector.list != NULL) {
    handle_release(collector.handle);
    int rc = fcache_server_stats(collector.handle->cache, collect, &collector);
    handle_acquire(collector.handle);
    if (rc < 0 && !PyErr_Occurred()) {
      Py_CLEAR(collector.list);
      (void)handle_raise(collector.handle, rc);
    }
  }
  handle_end(collector.handle);
  return collector.list;
}

METHOD_FAST(client_clear) {
  static const struct args_spec spec = {"clear", 0, 2, {"view", "op", "local", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  const char *view = NULL, *op = NULL;
  uint64_t removed = 0;
  int local = 0;
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0 ||
      (given[0] != NULL && given[0] != Py_None && keys_name(given[0], "view", &view) < 0) ||
      (given[1] != NULL && given[1] != Py_None && keys_name(given[1], "op", &op) < 0) ||
      (local = args_bool(given[2], false)) < 0)
    return NULL;
  struct handle *handle = handle_begin(client);
  if (handle == NULL)
    return NULL;
  handle_release(handle);
  int rc = (local ? fcache_clear_local : fcache_clear)(handle->cache, view, op, &removed);
  handle_acquire(handle);
  PyObject *result = rc < 0 ? handle_raise(handle, rc) : PyLong_FromUnsignedLongLong(removed);
  handle_end(handle);
  return result;
}
