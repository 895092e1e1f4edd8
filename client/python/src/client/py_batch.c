/* The method cached_batch, in three steps: it reads hits from shared memory without releasing the
 * GIL, passes the rest to fcache_cached_batch, and calls compute_misses once more for hits that it
 * verifies or cannot decode. */
#include "computation.h"
#include "glue/args.h"
#include "glue/py_errors.h"
#include "items.h"
#include "py_hits.h"
#include "py_many.h"
#include "py_methods.h"
#include "values/py_value.h"

/* The reason for computing a hit again. */
enum recompute { RECOMPUTE_NO = 0, RECOMPUTE_VERIFY, RECOMPUTE_REPLACE };

struct batch_call {
  struct many_call many;
  PyObject *compute_misses;    /* borrowed */
  PyObject *found;             /* borrowed; called with the indices of hits; or NULL */
  PyObject *errors;            /* a list: for computed values that cannot be encoded */
  enum recompute *recompute;   /* one for each prompt */
  bool *settled;               /* one for each prompt: computed here, or passed to `found` */
  struct fcache_value *stored; /* one for each prompt; set for hits to verify */
  size_t n_recompute;
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

/* Calls `found` with the hits since its last call, before a computation that may fail. 0, or -1 as
 * errors_suppress. */
static int report_found(struct batch_call *call) {
  struct many_call *many = &call->many;
  size_t n = 0, *hits = NULL;
  if (call->found != NULL && call->settled != NULL)
    hits = PyMem_Calloc(many->prompts.n + 1, sizeof *hits);
  for (size_t i = 0; hits != NULL && i < many->prompts.n; i++) {
    if (many->results[i] == NULL || call->settled[i])
      continue;
    call->settled[i] = true;
    hits[n++] = i;
  }
  PyObject *list = n == 0 ? NULL : make_indices(hits, n);
  PyObject *result = list == NULL ? NULL : PyObject_CallOneArg(call->found, list);
  Py_XDECREF(result);
  Py_XDECREF(list);
  PyMem_Free(hits);
  return errors_suppress(call->found);
}

/* Returns the result of compute_misses as a tuple of `n` values, or NULL with an exception. */
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

static PyObject *call_compute(struct batch_call *call, const size_t *indices, size_t n) {
  PyObject *list = report_found(call) < 0 ? NULL : make_indices(indices, n);
  PyObject *computed = list == NULL ? NULL : PyObject_CallOneArg(call->compute_misses, list);
  Py_XDECREF(list);
  PyObject *values = computed == NULL ? NULL : values_of(computed, n);
  Py_XDECREF(computed);
  return values;
}

/* Calls compute_misses for the prompts at `indices`. Returns a tuple of `n` values, or NULL with an
 * exception. */
static PyObject *compute(struct batch_call *call, const size_t *indices, size_t n,
                         struct computation_time *time) {
  struct computation *computation = computation_begin(call->many.client, call->many.handle);
  if (computation == NULL)
    return NULL;
  PyObject *values = call_compute(call, indices, n);
  *time = computation_end(computation);
  return values;
}

/* Stores and encodes the result of prompt `i`. Returns 0; 1 if it cannot be encoded, which is noted
 * in call->errors; or -1 with an exception. */
static int store_computed(struct batch_call *call, size_t i, PyObject *value,
                          struct fcache_value *encoded) {
  PyObject *error;
  Py_XSETREF(call->many.results[i], Py_NewRef(value));
  call->settled[i] = true;
  int rc = hits_encode(value, encoded, &error);
  if (rc > 0 && PyList_Append(call->errors, error) < 0)
    (void)errors_suppress(error); /* out of memory: the error is not counted */
  Py_XDECREF(error);
  return rc;
}

/* ---- hits ---- */

static int use_hit(void *arg, size_t i, struct fcache_value *value) {
  struct batch_call *call = arg;
  struct many_call *many = &call->many;
  if (client_verifies(many->client) &&
      fcache_value_set(&call->stored[i], value->data, value->size) == FCACHE_OK) {
    call->recompute[i] = RECOMPUTE_VERIFY;
    call->n_recompute++;
    return 0;
  }
  many->results[i] = value_decode(value);
  if (many->results[i] != NULL)
    return 0;
  call->recompute[i] = RECOMPUTE_REPLACE;
  call->n_recompute++;
  return hits_undecodable(many->client, many->op);
}

/* Decodes the hits among call->many.values: all if `at_end`, else those that are not empty, because
 * an empty one may not be filled yet. 0, or -1 with an exception. */
static int decode_found(struct batch_call *call, bool at_end) {
  struct many_call *many = &call->many;
  int rc = 0;
  for (size_t k = 0; rc == 0 && k < many->n_rest; k++) {
    size_t i = many->rest[k];
    if ((at_end || many->values[k].size > 0) && many->results[i] == NULL &&
        call->recompute[i] == RECOMPUTE_NO)
      rc = use_hit(call, i, &many->values[k]);
  }
  return rc;
}

/* ---- misses ---- */

static int add_all(struct batch_call *call, const size_t *indices, PyObject *values,
                   struct fcache_batch *batch) {
  struct fcache_value encoded = {0};
  int rc = 0;
  for (Py_ssize_t k = 0; rc == 0 && k < PyTuple_GET_SIZE(values); k++) {
    rc = store_computed(call, indices[k], PyTuple_GET_ITEM(values, k), &encoded);
    if (rc < 0)
      break;
    if (rc == 0)
      rc = fcache_batch_add(batch, encoded.data, encoded.size);
    if (rc != 0 && (rc = fcache_batch_skip(batch)) < 0) /* not encoded, or out of memory */
      PyErr_NoMemory();
  }
  fcache_value_free(&encoded);
  return rc < 0 ? HANDLE_RAISED : 0;
}

/* `misses` are indices into many->rest; compute_misses gets those into the prompts. */
static int compute_rest(struct batch_call *call, const size_t *misses, size_t n,
                        struct fcache_batch *batch) {
  size_t *indices = PyMem_Calloc(n, sizeof *indices);
  if (indices == NULL) {
    PyErr_NoMemory();
    return HANDLE_RAISED;
  }
  for (size_t k = 0; k < n; k++)
    indices[k] = call->many.rest[misses[k]];
  struct computation_time time;
  PyObject *values = decode_found(call, false) < 0 ? NULL : compute(call, indices, n, &time);
  int rc = values == NULL ? HANDLE_RAISED : add_all(call, indices, values, batch);
  if (rc == 0)
    computation_uncharge(call->many.client, time.handleless_ns);
  Py_XDECREF(values);
  PyMem_Free(indices);
  return rc;
}

static int compute_unlocked(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  struct batch_call *call = arg;
  handle_acquire(call->many.handle);
  int rc = compute_rest(call, misses, n, batch);
  handle_release(call->many.handle);
  return rc;
}

static int look_up_rest(struct batch_call *call) {
  struct many_call *many = &call->many;
  struct handle *handle = many->handle;
  const struct fcache_key *key = &many->key;
  handle_release(handle);
  int rc = fcache_cached_batch(handle->cache, key->op, key->view, key->top_k, many->hashes,
                               many->n_rest, compute_unlocked, call, many->values);
  handle_acquire(handle);
  if (rc != 0 && rc != HANDLE_RAISED)
    (void)handle_raise(handle, rc);
  return rc == 0 ? decode_found(call, true) : -1;
}

/* ---- hits that are computed again ---- */

static void put_replacement(struct batch_call *call, size_t i, const struct fcache_value *encoded,
                            uint64_t compute_ns) {
  struct handle *handle = call->many.handle;
  struct fcache_key key = call->many.key;
  key.prompt = call->many.prompts.hashes[i];
  handle_release(handle);
  (void)fcache_put(handle->cache, &key, encoded->data, encoded->size, compute_ns,
                   0); /* if it fails, the caller still gets its value */
  handle_acquire(handle);
}

/* Verifies or replaces one hit with its new result, which took `compute_ns`. 0, or -1 with an
 * exception. */
static int finish_recomputed(struct batch_call *call, size_t i, PyObject *value,
                             struct fcache_value *encoded, uint64_t compute_ns) {
  struct many_call *many = &call->many;
  bool verifies = call->recompute[i] == RECOMPUTE_VERIFY;
  int rc = store_computed(call, i, value, encoded);
  if (rc < 0)
    return rc;
  if (rc > 0 || verifies)
    hits_count_passes(many->client, 1, !verifies, compute_ns);
  if (rc > 0)
    return 0;
  if (verifies) {
    struct fcache_key key = many->key;
    key.prompt = many->prompts.hashes[i];
    return hits_verify(many->client, &key, &call->stored[i], encoded);
  }
  put_replacement(call, i, encoded, compute_ns);
  return 0;
}

static int recompute_hits(struct batch_call *call) {
  size_t n = 0, *indices = PyMem_Calloc(call->n_recompute, sizeof *indices);
  struct fcache_value encoded = {0};
  if (indices == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (size_t i = 0; i < call->many.prompts.n; i++)
    if (call->recompute[i] != RECOMPUTE_NO)
      indices[n++] = i;
  struct computation_time time = {0};
  PyObject *values = compute(call, indices, n, &time);
  uint64_t each_ns = time.own_ns / call->n_recompute;
  int rc = values == NULL ? -1 : 0;
  for (size_t k = 0; rc == 0 && k < n; k++)
    rc = finish_recomputed(call, indices[k], PyTuple_GET_ITEM(values, (Py_ssize_t)k), &encoded,
                           each_ns);
  Py_XDECREF(values);
  fcache_value_free(&encoded);
  PyMem_Free(indices);
  return rc;
}

/* ---- the call ---- */

/* Computes all prompts without a handle. 0, or -1 with an exception. */
static int compute_all(struct batch_call *call) {
  struct many_call *many = &call->many;
  struct fcache_counters *counters = &many->client->handleless;
  struct computation_time time = {0};
  uint64_t n = many->prompts.n;
  if (n == 0)
    return 0;
  for (size_t i = 0; i < n; i++)
    many->rest[i] = i;
  PyObject *values = compute(call, many->rest, n, &time);
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

static int report_unencodable(struct batch_call *call) {
  int rc = 0;
  for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(call->errors); i++)
    rc = hits_unencodable(call->many.client, call->many.op, PyList_GET_ITEM(call->errors, i));
  return rc;
}

static int run(struct batch_call *call) {
  struct many_call *many = &call->many;
  size_t n = many->prompts.n + 1; /* never 0 */
  if (many->handle == NULL)
    return compute_all(call);
  call->errors = PyList_New(0);
  call->recompute = PyMem_Calloc(n, sizeof *call->recompute);
  call->settled = PyMem_Calloc(n, sizeof *call->settled);
  call->stored = PyMem_Calloc(n, sizeof *call->stored);
  if (call->errors == NULL || call->recompute == NULL || call->settled == NULL ||
      call->stored == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  int rc = many_get_local(many, 0, use_hit, call);
  if (rc == 0 && many->n_rest > 0)
    rc = look_up_rest(call);
  if (rc == 0 && call->n_recompute > 0)
    rc = recompute_hits(call);
  return rc < 0 ? rc : report_unencodable(call);
}

static void batch_call_free(struct batch_call *call) {
  for (size_t i = 0; call->stored != NULL && i < call->many.prompts.n; i++)
    fcache_value_free(&call->stored[i]);
  PyMem_Free(call->stored);
  PyMem_Free(call->recompute);
  PyMem_Free(call->settled);
  Py_XDECREF(call->errors);
  many_end(&call->many);
}

static PyObject *cached_batch(struct client *client, PyObject *const given[ARGS_MAX],
                              PyObject *found) {
  struct batch_call call = {.compute_misses = given[4], .found = found};
  PyObject *list = NULL;
  if (many_begin(&call.many, client, given[0], given[1], given[2], given[3]) == 0 &&
      run(&call) == 0)
    list = many_list(&call.many);
  batch_call_free(&call);
  return list;
}

METHOD_FAST(client_cached_batch) {
  static const struct args_spec spec = {
      "cached_batch", 5, 5, {"op", "view", "prompts", "top_k", "compute_misses", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  return cached_batch(client, given, NULL);
}

METHOD_FAST(client_cached_batch_found) {
  static const struct args_spec spec = {
      "_cached_batch", 6, 6, {"op", "view", "prompts", "top_k", "compute_misses", "found", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  return cached_batch(client, given, given[5]);
}
