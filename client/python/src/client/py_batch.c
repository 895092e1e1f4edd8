/* Client.cached_batch. First what is in shared memory, without leaving Python's lock; the rest is
 * the library's; and then, in one more call of compute_misses, the hits that are to be verified and
 * those that cannot be decoded here. */
#include "computing.h"
#include "glue/args.h"
#include "glue/py_errors.h"
#include "glue/py_value.h"
#include "items.h"
#include "methods.h"
#include "py_hits.h"
#include "py_many.h"

/* Why a hit is computed again. */
enum again { NOT = 0, VERIFY, REPLACE };

struct batching {
  struct many many;
  PyObject *compute_misses;    /* borrowed */
  PyObject *found;             /* borrowed: is called with the indices of hits; or NULL */
  PyObject *errors;            /* a list: of what was computed and has no encoding */
  enum again *again;           /* of each prompt */
  bool *settled;               /* of each prompt: computed here, or `found` was called with it */
  struct fcache_value *stored; /* of each that is to be verified */
  size_t n_again;
};

/* ---- calling compute_misses ---- */

static PyObject *make_indices(const size_t *indices, size_t n) {
  PyObject *list = PyList_New((Py_ssize_t)n);
  for (size_t i = 0; list != NULL && i < n; i++) {
    PyObject *number = PyLong_FromSize_t(indices[i]);
    if (number == NULL)
      Py_CLEAR(list);
    else
      PyList_SET_ITEM(list, (Py_ssize_t)i, number);
  }
  return list;
}

/* Calls `found` with the hits since the last time, before a computation that may fail. 0; or -1
 * with an exception that is no Exception. */
static int tell_found(struct batching *batching) {
  struct many *many = &batching->many;
  size_t n = 0, *hits = NULL;
  if (batching->found != NULL && batching->settled != NULL)
    hits = PyMem_Calloc(many->prompts.n + 1, sizeof *hits);
  for (size_t i = 0; hits != NULL && i < many->prompts.n; i++) {
    if (many->results[i] == NULL || batching->settled[i])
      continue;
    batching->settled[i] = true;
    hits[n++] = i;
  }
  PyObject *list = n == 0 ? NULL : make_indices(hits, n);
  PyObject *result = list == NULL ? NULL : PyObject_CallOneArg(batching->found, list);
  Py_XDECREF(result);
  Py_XDECREF(list);
  PyMem_Free(hits);
  return hits_excuse(batching->found);
}

/* What compute_misses returned, as a tuple of `n` values; or NULL with an exception. */
static PyObject *values_of(PyObject *computed, size_t n) {
  Py_ssize_t count = items_count(computed, "what compute_misses returns");
  if (count < 0)
    return NULL;
  if ((size_t)count == n)
    return items_at(computed, count);
  char text[96];
  (void)snprintf(text, sizeof text, "batched compute returned %zd values for %zu misses", count,
                 n); /* fits */
  return errors_raise(FCACHE_EBATCH, text);
}

static PyObject *call_compute(struct batching *batching, const size_t *indices, size_t n) {
  PyObject *list = tell_found(batching) < 0 ? NULL : make_indices(indices, n);
  PyObject *computed = list == NULL ? NULL : PyObject_CallOneArg(batching->compute_misses, list);
  Py_XDECREF(list);
  PyObject *values = computed == NULL ? NULL : values_of(computed, n);
  Py_XDECREF(computed);
  return values;
}

/* Calls it for the prompts at `indices`: a tuple of as many values, or NULL with an exception. */
static PyObject *compute(struct batching *batching, const size_t *indices, size_t n,
                         struct computing_time *time) {
  struct computing *computing = computing_begin(batching->many.client, batching->many.handle);
  if (computing == NULL)
    return NULL;
  PyObject *values = call_compute(batching, indices, n);
  *time = computing_end(computing);
  return values;
}

/* The result of prompt `i`, encoded. 0; 1 where it has no encoding, which is noted; or -1. */
static int take_computed(struct batching *batching, size_t i, PyObject *value,
                         struct fcache_value *encoded) {
  PyObject *error;
  Py_XSETREF(batching->many.results[i], Py_NewRef(value));
  batching->settled[i] = true;
  int rc = hits_encode(value, encoded, &error);
  if (rc > 0 && PyList_Append(batching->errors, error) < 0)
    (void)hits_excuse(error); /* there was no memory */
  Py_XDECREF(error);
  return rc;
}

/* ---- hits ---- */

static int take_hit(void *arg, size_t i, struct fcache_value *value) {
  struct batching *batching = arg;
  struct many *many = &batching->many;
  if (client_verifies(many->client) &&
      fcache_value_set(&batching->stored[i], value->data, value->size) == FCACHE_OK) {
    batching->again[i] = VERIFY;
    batching->n_again++;
    return 0;
  }
  many->results[i] = value_decode(value->data, value->size);
  if (many->results[i] != NULL)
    return 0;
  batching->again[i] = REPLACE;
  batching->n_again++;
  return hits_undecodable(many->client, many->op);
}

/* Takes what the library has found of the rest: all of it at the end of its call, before that what
 * it has filled (an empty value waits for the end). 0, or -1. */
static int take_found(struct batching *batching, bool at_end) {
  struct many *many = &batching->many;
  int rc = 0;
  for (size_t k = 0; rc == 0 && k < many->n_rest; k++) {
    size_t i = many->rest[k];
    if ((at_end || many->values[k].size > 0) && many->results[i] == NULL &&
        batching->again[i] == NOT)
      rc = take_hit(batching, i, &many->values[k]);
  }
  return rc;
}

/* ---- what the library asks for ---- */

static int add_all(struct batching *batching, const size_t *indices, PyObject *values,
                   struct fcache_batch *batch) {
  struct fcache_value encoded = {0};
  int rc = 0;
  for (Py_ssize_t k = 0; rc == 0 && k < PyTuple_GET_SIZE(values); k++) {
    rc = take_computed(batching, indices[k], PyTuple_GET_ITEM(values, k), &encoded);
    if (rc < 0)
      break;
    if (rc == 0)
      rc = fcache_batch_add(batch, encoded.data, encoded.size);
    if (rc != 0 && (rc = fcache_batch_skip(batch)) < 0) /* also where there is no memory for it */
      PyErr_NoMemory();
  }
  fcache_value_free(&encoded);
  return rc < 0 ? HANDLE_RAISED : 0;
}

/* `misses` are indices of the rest; they become those of all prompts. */
static int compute_rest(struct batching *batching, const size_t *misses, size_t n,
                        struct fcache_batch *batch) {
  size_t *indices = PyMem_Calloc(n, sizeof *indices);
  if (indices == NULL) {
    PyErr_NoMemory();
    return HANDLE_RAISED;
  }
  for (size_t k = 0; k < n; k++)
    indices[k] = batching->many.rest[misses[k]];
  struct computing_time time;
  PyObject *values = take_found(batching, false) < 0 ? NULL : compute(batching, indices, n, &time);
  int rc = values == NULL ? HANDLE_RAISED : add_all(batching, indices, values, batch);
  if (rc == 0)
    computing_uncharge(batching->many.client, time.without_ns);
  Py_XDECREF(values);
  PyMem_Free(indices);
  return rc;
}

static int compute_unlocked(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  struct batching *batching = arg;
  handle_acquire(batching->many.handle);
  int rc = compute_rest(batching, misses, n, batch);
  handle_release(batching->many.handle);
  return rc;
}

static int look_up_rest(struct batching *batching) {
  struct many *many = &batching->many;
  struct handle *handle = many->handle;
  const struct fcache_key *key = &many->key;
  handle_release(handle);
  int rc = fcache_cached_batch(handle->cache, key->op, key->view, key->top_k, many->hashes,
                               many->n_rest, compute_unlocked, batching, many->values);
  handle_acquire(handle);
  if (rc != 0 && rc != HANDLE_RAISED)
    (void)handle_raise(handle, rc);
  return rc == 0 ? take_found(batching, true) : -1;
}

/* ---- hits that are computed again ---- */

static void put_again(struct batching *batching, size_t i, const struct fcache_value *encoded,
                      uint64_t compute_ns) {
  struct handle *handle = batching->many.handle;
  struct fcache_key key = batching->many.key;
  key.prompt = batching->many.prompts.hashes[i];
  handle_release(handle);
  (void)fcache_put(handle->cache, &key, encoded->data, encoded->size, compute_ns,
                   0); /* the caller has its value either way, and the library counts */
  handle_acquire(handle);
}

/* One result, which took `compute_ns`. */
static int settle(struct batching *batching, size_t i, PyObject *value,
                  struct fcache_value *encoded, uint64_t compute_ns) {
  struct many *many = &batching->many;
  bool verifies = batching->again[i] == VERIFY;
  int rc = take_computed(batching, i, value, encoded);
  if (rc < 0)
    return rc;
  if (rc > 0 || verifies)
    hits_count_passes(many->client, 1, !verifies, compute_ns);
  if (rc > 0)
    return 0;
  if (verifies) {
    struct fcache_key key = many->key;
    key.prompt = many->prompts.hashes[i];
    return hits_verify(many->client, &key, &batching->stored[i], encoded);
  }
  put_again(batching, i, encoded, compute_ns);
  return 0;
}

static int compute_again(struct batching *batching) {
  size_t n = 0, *indices = PyMem_Calloc(batching->n_again, sizeof *indices);
  struct fcache_value encoded = {0};
  if (indices == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (size_t i = 0; i < batching->many.prompts.n; i++)
    if (batching->again[i] != NOT)
      indices[n++] = i;
  struct computing_time time = {0};
  PyObject *values = compute(batching, indices, n, &time);
  uint64_t each_ns = time.own_ns / batching->n_again;
  int rc = values == NULL ? -1 : 0;
  for (size_t k = 0; rc == 0 && k < n; k++)
    rc = settle(batching, indices[k], PyTuple_GET_ITEM(values, (Py_ssize_t)k), &encoded, each_ns);
  Py_XDECREF(values);
  fcache_value_free(&encoded);
  PyMem_Free(indices);
  return rc;
}

/* ---- the call ---- */

/* Without the daemon, and without a handle. */
static int compute_all(struct batching *batching) {
  struct many *many = &batching->many;
  struct fcache_counters *counters = &many->client->without;
  struct computing_time time = {0};
  uint64_t n = many->prompts.n;
  if (n == 0)
    return 0;
  for (size_t i = 0; i < n; i++)
    many->rest[i] = i;
  PyObject *values = compute(batching, many->rest, n, &time);
  if (values == NULL)
    return -1;
  hits_count_passes(many->client, n, true, time.own_ns);
  counters->batches_sent++;
  counters->batched_prompts += n;
  counters->max_batch_size = n > counters->max_batch_size ? n : counters->max_batch_size;
  for (size_t i = 0; i < n; i++)
    many->results[i] = Py_NewRef(PyTuple_GET_ITEM(values, (Py_ssize_t)i));
  Py_DECREF(values);
  return 0;
}

static int tell_unencodable(struct batching *batching) {
  int rc = 0;
  for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(batching->errors); i++)
    rc = hits_unencodable(batching->many.client, batching->many.op,
                          PyList_GET_ITEM(batching->errors, i));
  return rc;
}

static int run(struct batching *batching) {
  struct many *many = &batching->many;
  size_t n = many->prompts.n + 1; /* never 0 */
  if (many->handle == NULL)
    return compute_all(batching);
  batching->errors = PyList_New(0);
  batching->again = PyMem_Calloc(n, sizeof *batching->again);
  batching->settled = PyMem_Calloc(n, sizeof *batching->settled);
  batching->stored = PyMem_Calloc(n, sizeof *batching->stored);
  if (batching->errors == NULL || batching->again == NULL || batching->settled == NULL ||
      batching->stored == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  int rc = many_look(many, 0, take_hit, batching);
  if (rc == 0 && many->n_rest > 0)
    rc = look_up_rest(batching);
  if (rc == 0 && batching->n_again > 0)
    rc = compute_again(batching);
  return rc < 0 ? rc : tell_unencodable(batching);
}

static void batching_free(struct batching *batching) {
  for (size_t i = 0; batching->stored != NULL && i < batching->many.prompts.n; i++)
    fcache_value_free(&batching->stored[i]);
  PyMem_Free(batching->stored);
  PyMem_Free(batching->again);
  PyMem_Free(batching->settled);
  Py_XDECREF(batching->errors);
  many_end(&batching->many);
}

static PyObject *cached_batch(struct client *client, PyObject *const given[ARGS_MAX],
                              PyObject *found) {
  struct batching batching = {.compute_misses = given[4], .found = found};
  PyObject *list = NULL;
  if (many_begin(&batching.many, client, given[0], given[1], given[2], given[3]) == 0 &&
      run(&batching) == 0)
    list = many_list(&batching.many);
  batching_free(&batching);
  return list;
}

METHOD_FAST(client_cached_batch) {
  static const struct args_spec spec = {
      "cached_batch", 5, 5, {"op", "view", "prompts", "top_k", "compute_misses", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  if (!client_enter(client) || args_take(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  return cached_batch(client, given, NULL);
}

METHOD_FAST(client_cached_batch_found) {
  static const struct args_spec spec = {
      "_cached_batch", 6, 6, {"op", "view", "prompts", "top_k", "compute_misses", "found", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  if (!client_enter(client) || args_take(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  return cached_batch(client, given, given[5]);
}
