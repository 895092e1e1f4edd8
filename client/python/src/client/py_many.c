#include "py_many.h"

#include "glue/args.h"
#include "glue/py_errors.h"
#include "items.h"
#include "py_hits.h"
#include "py_methods.h"
#include "values/py_value.h"
#include "values/sentinel.h"

int many_begin(struct many_call *many, struct client *client, PyObject *op, PyObject *view,
               PyObject *prompts, PyObject *top_k) {
  many->client = client;
  many->op = op;
  struct top_k number;
  if (keys_name(op, "op", &many->key.op) < 0 || keys_name(view, "view", &many->key.view) < 0 ||
      keys_top_k(top_k, &number) < 0 || keys_prompts(prompts, &number, &many->prompts) < 0)
    return -1;
  many->key.top_k = number.number;
  size_t n = many->prompts.n + 1; /* never 0 */
  many->results = PyMem_Calloc(n, sizeof *many->results);
  many->rest = PyMem_Calloc(n, sizeof *many->rest);
  many->hashes = PyMem_Calloc(n, sizeof *many->hashes);
  many->values = PyMem_Calloc(n, sizeof *many->values);
  if (many->results == NULL || many->rest == NULL || many->hashes == NULL || many->values == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  int is_off = client_is_off(client);
  if (is_off != 0)
    return is_off < 0 ? -1 : 0;
  many->handle = handle_begin(client);
  return many->handle == NULL ? -1 : 0;
}

void many_end(struct many_call *many) {
  if (many->handle != NULL)
    handle_end(many->handle);
  for (size_t i = 0; many->results != NULL && i < many->prompts.n; i++)
    Py_XDECREF(many->results[i]);
  for (size_t i = 0; many->values != NULL && i < many->prompts.n; i++)
    fcache_value_free(&many->values[i]);
  PyMem_Free(many->results);
  PyMem_Free(many->rest);
  PyMem_Free(many->hashes);
  PyMem_Free(many->values);
  keys_prompts_free(&many->prompts);
  *many = (struct many_call){0};
}

int many_get_local(struct many_call *many, unsigned flags, many_hit_fn *hit, void *arg) {
  struct handle *handle = many->handle;
  struct fcache_key key = many->key;
  for (size_t i = 0; i < many->prompts.n; i++) {
    key.prompt = many->prompts.hashes[i];
    int rc = fcache_get(handle->cache, &key, flags | FCACHE_LOCAL, handle_scratch(handle));
    if (rc < 0) {
      (void)handle_raise(handle, rc);
      return -1;
    }
    if (rc != FCACHE_OK) {
      many->rest[many->n_rest] = i;
      many->hashes[many->n_rest++] = key.prompt;
      continue;
    }
    struct fcache_value scratch = handle_borrow_scratch(handle);
    rc = hit(arg, i, &scratch);
    handle_return_scratch(handle, &scratch);
    if (rc < 0)
      return rc;
  }
  return 0;
}

PyObject *many_list(struct many_call *many) {
  PyObject *list = PyList_New((Py_ssize_t)many->prompts.n);
  for (size_t i = 0; list != NULL && i < many->prompts.n; i++) {
    PyObject *value = many->results[i] != NULL ? many->results[i] : Py_NewRef(sentinel_miss);
    many->results[i] = NULL;
    PyList_SET_ITEM(list, (Py_ssize_t)i, value);
  }
  return list;
}

/* ---- get_many ---- */

/* many_hit_fn. A value that cannot be decoded is a miss. */
static int decode_hit(void *arg, size_t i, struct fcache_value *value) {
  struct many_call *many = arg;
  many->results[i] = value_decode(value);
  return many->results[i] != NULL ? 0 : hits_undecodable(many->client, many->op);
}

/* Gets or leases the prompts that are not in shared memory. 0, or -1 with an exception. */
static int get_rest(struct many_call *many, bool lease, unsigned flags) {
  struct handle *handle = many->handle;
  const struct fcache_key *key = &many->key;
  int *results = PyMem_Calloc(many->n_rest, sizeof *results);
  bool *hits = PyMem_Calloc(many->n_rest, sizeof *hits);
  int rc = FCACHE_ENOMEM;
  if (results != NULL && hits != NULL) {
    handle_release(handle);
    rc = lease ? fcache_lease_many(handle->cache, key->op, key->view, key->top_k, many->hashes,
                                   many->n_rest, flags, many->values, results)
               : fcache_get_many(handle->cache, key->op, key->view, key->top_k, many->hashes,
                                 many->n_rest, flags, many->values, hits);
    handle_acquire(handle);
  }
  if (rc < 0)
    (void)handle_raise(handle, rc);
  for (size_t i = 0; rc == 0 && i < many->n_rest; i++) {
    if (lease ? results[i] == FCACHE_OK : hits[i])
      rc = decode_hit(many, many->rest[i], &many->values[i]);
    else if (lease && results[i] == FCACHE_LEASED)
      many->results[many->rest[i]] = Py_NewRef(sentinel_leased);
  }
  PyMem_Free(results);
  PyMem_Free(hits);
  return rc;
}

/* Returns a code of the library, and sets no exception. */
static int give_up_all(struct many_call *many) {
  struct handle *handle = many->handle;
  handle_release(handle);
  int rc = fcache_give_up_many(handle->cache, many->key.op, many->key.view, many->key.top_k,
                               many->prompts.hashes, many->prompts.n);
  handle_acquire(handle);
  return rc;
}

METHOD_FAST(client_get_many) {
  static const struct args_spec spec = {
      "get_many", 3, 4, {"op", "view", "prompts", "top_k", "lease", "record", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX], *list = NULL;
  struct many_call many = {0};
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  int lease = args_bool(given[4], 0), record = args_bool(given[5], 1);
  if (lease < 0 || record < 0)
    return NULL;
  unsigned flags = record ? 0 : FCACHE_UNRECORDED;
  int rc = many_begin(&many, client, given[0], given[1], given[2], given[3]);
  if (rc == 0 && many.handle != NULL) {
    rc = many_get_local(&many, flags, decode_hit, &many);
    if (rc == 0 && many.n_rest > 0)
      rc = get_rest(&many, lease, flags);
  }
  if (rc == 0)
    list = many_list(&many);
  many_end(&many);
  return list;
}

METHOD_FAST(client_give_up_many) {
  static const struct args_spec spec = {
      "give_up_many", 3, 4, {"op", "view", "prompts", "top_k", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX], *result = NULL;
  struct many_call many = {0};
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  if (many_begin(&many, client, given[0], given[1], given[2], given[3]) == 0) {
    int rc = many.handle == NULL ? FCACHE_OK : give_up_all(&many);
    result = rc < 0 ? handle_raise(many.handle, rc) : Py_NewRef(Py_None);
  }
  many_end(&many);
  return result;
}

/* ---- put_many ---- */

/* Encodes all values into many->values. 0, or -1 with an exception, after giving up the leases. */
static int encode_all(struct many_call *many, PyObject *values) {
  for (size_t i = 0; i < many->prompts.n; i++) {
    if (value_encode(PyTuple_GET_ITEM(values, (Py_ssize_t)i), &many->values[i]) == 0)
      continue;
    (void)give_up_all(many); /* keep the exception of the encoder */
    return -1;
  }
  return 0;
}

/* True, False, or NULL with an exception. */
static PyObject *put_all(struct many_call *many, PyObject *values, uint64_t compute_ns,
                         unsigned flags) {
  struct handle *handle = many->handle;
  const struct fcache_key *key = &many->key;
  struct fcache_bytes *bytes = PyMem_Calloc(many->prompts.n + 1, sizeof *bytes);
  PyObject *result = NULL;
  if (bytes == NULL)
    return PyErr_NoMemory();
  if (encode_all(many, values) == 0) {
    for (size_t i = 0; i < many->prompts.n; i++)
      bytes[i] = (struct fcache_bytes){many->values[i].data, many->values[i].size};
    handle_release(handle);
    int rc = fcache_put_many(handle->cache, key->op, key->view, key->top_k, many->prompts.hashes,
                             bytes, many->prompts.n, compute_ns, flags);
    handle_acquire(handle);
    result = rc < 0 ? handle_raise(handle, rc) : PyBool_FromLong(rc == FCACHE_OK);
  }
  PyMem_Free(bytes);
  return result;
}

/* Returns a new tuple with one value for each prompt, or NULL with an exception. */
static PyObject *values_of(PyObject *given, size_t n_prompts) {
  PyObject *values = items_in_order(given, "values", (Py_ssize_t)n_prompts);
  if (values == NULL || (size_t)PyTuple_GET_SIZE(values) == n_prompts)
    return values;
  bool more = (size_t)PyTuple_GET_SIZE(values) > n_prompts;
  PyErr_Format(errors_argument, "%s%zd values for %zu prompts", more ? "more than " : "",
               more ? (Py_ssize_t)n_prompts : PyTuple_GET_SIZE(values), n_prompts);
  Py_DECREF(values);
  return NULL;
}

METHOD_FAST(client_put_many) {
  static const struct args_spec spec = {
      "put_many",
      5,
      5,
      {"op", "view", "prompts", "top_k", "values", "compute_s", "keep_first", "record", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX], *result = NULL;
  struct many_call many = {0};
  uint64_t compute_ns = 0;
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0)
    return NULL;
  int keep = args_bool(given[6], 0), record = args_bool(given[7], 1);
  if (keep < 0 || record < 0 ||
      (given[5] != NULL && keys_seconds(given[5], "compute_s", 1e-9, UINT64_MAX, &compute_ns) < 0))
    return NULL;
  unsigned flags = (keep ? FCACHE_KEEP_FIRST : 0u) | (record ? 0u : FCACHE_UNRECORDED);
  PyObject *values = NULL;
  if (many_begin(&many, client, given[0], given[1], given[2], given[3]) == 0)
    values = values_of(given[4], many.prompts.n);
  if (values != NULL)
    result = many.handle == NULL ? Py_NewRef(Py_False) : put_all(&many, values, compute_ns, flags);
  many_end(&many);
  Py_XDECREF(values);
  return result;
}
