/* The methods get, put, give_up and delete, for one key. */
#include "glue/args.h"
#include "glue/py_errors.h"
#include "py_client.h"
#include "py_handle.h"
#include "py_hits.h"
#include "py_keys.h"
#include "py_methods.h"
#include "values/py_value.h"
#include "values/sentinel.h"

/* Adds `flag` to *flags if the argument, whose default is `missing`, has the value `when`. 0, or -1
 * with an exception. */
static int parse_flag(PyObject *argument, int missing, int when, unsigned flag, unsigned *flags) {
  int value = args_bool(argument, missing);
  if (value < 0)
    return -1;
  *flags |= value == when ? flag : 0;
  return 0;
}

static PyObject *result_of(struct handle *handle, int rc) {
  switch (rc) {
  case FCACHE_OK:
    break;
  case FCACHE_MISS:
    return Py_NewRef(sentinel_miss);
  case FCACHE_LEASED:
    return Py_NewRef(sentinel_leased);
  case HANDLE_RAISED:
    return NULL;
  default:
    return handle_raise(handle, rc);
  }
  PyObject *value = hits_decode(handle);
  if (value == NULL && PyErr_ExceptionMatches(errors_decode))
    handle->client->own.undecodable++;
  return value;
}

static PyObject *get(struct client *client, const struct fcache_key *key, unsigned flags,
                     uint32_t wait_ms, bool local) {
  struct handle *handle = handle_begin(client);
  if (handle == NULL)
    return NULL;
  int rc = fcache_get(handle->cache, key, flags | FCACHE_LOCAL, handle_scratch(handle));
  if (rc == FCACHE_MISS && !local) {
    handle_release(handle);
    rc = fcache_get_wait(handle->cache, key, flags, wait_ms, &handle->scratch);
    handle_acquire(handle);
  }
  PyObject *result = result_of(handle, rc);
  handle_end(handle);
  return result;
}

METHOD_FAST(client_get) {
  static const struct args_spec spec = {
      "get", 3, 4, {"op", "view", "prompt", "top_k", "wait", "lease", "record", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  struct fcache_key key;
  unsigned flags = 0;
  uint64_t wait_ms = 0;
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0 ||
      keys_make(given[0], given[1], given[2], given[3], &key) < 0 ||
      (given[4] != NULL && keys_seconds(given[4], "wait", 1e-3, UINT32_MAX - 1, &wait_ms) < 0) ||
      parse_flag(given[5], 0, 1, FCACHE_LEASE, &flags) < 0 ||
      parse_flag(given[6], 1, 0, FCACHE_UNRECORDED, &flags) < 0)
    return NULL;
  int is_off = client_is_off(client);
  if (is_off != 0)
    return is_off < 0 ? NULL : Py_NewRef(sentinel_miss);
  return get(client, &key, flags, (uint32_t)wait_ms, false);
}

/* Begins a method whose arguments are a key alone. 0, or -1 with an exception. */
static int parse_key(struct client *client, const struct args_spec *spec, PyObject *const *args,
                     Py_ssize_t n_args, PyObject *keywords, struct fcache_key *key) {
  PyObject *given[ARGS_MAX];
  if (!client_enter(client) || args_parse(spec, args, n_args, keywords, given) < 0)
    return -1;
  return keys_make(given[0], given[1], given[2], given[3], key);
}

METHOD_FAST(client_local) {
  static const struct args_spec spec = {"_local", 4, 4, {"op", "view", "prompt", "top_k", NULL}};
  struct client *client = (struct client *)self;
  struct fcache_key key;
  if (parse_key(client, &spec, args, n_args, keywords, &key) < 0)
    return NULL;
  int is_off = client_is_off(client);
  if (is_off != 0)
    return is_off < 0 ? NULL : Py_NewRef(sentinel_miss);
  return get(client, &key, 0, 0, true);
}

static void give_up(struct handle *handle, const struct fcache_key *key) {
  handle_release(handle);
  (void)fcache_give_up(handle->cache, key); /* cannot fail: the names were checked for the put */
  handle_acquire(handle);
}

/* True, False, or NULL with an exception. */
static PyObject *put(struct handle *handle, const struct fcache_key *key, PyObject *value,
                     uint64_t compute_ns, unsigned flags) {
  struct fcache_value encoded = handle_borrow_scratch(handle);
  if (value_encode(value, &encoded) < 0) {
    handle_return_scratch(handle, &encoded);
    give_up(handle, key); /* other workers may wait for the value */
    return NULL;
  }
  handle_release(handle);
  int rc = fcache_put(handle->cache, key, encoded.data, encoded.size, compute_ns, flags);
  handle_acquire(handle);
  handle_return_scratch(handle, &encoded);
  return rc < 0 ? handle_raise(handle, rc) : PyBool_FromLong(rc == FCACHE_OK);
}

METHOD_FAST(client_put) {
  static const struct args_spec spec = {
      "put",
      5,
      5,
      {"op", "view", "prompt", "top_k", "value", "compute_s", "keep_first", "record", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  struct fcache_key key;
  unsigned flags = 0;
  uint64_t compute_ns = 0;
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0 ||
      keys_make(given[0], given[1], given[2], given[3], &key) < 0 ||
      (given[5] != NULL &&
       keys_seconds(given[5], "compute_s", 1e-9, UINT64_MAX, &compute_ns) < 0) ||
      parse_flag(given[6], 0, 1, FCACHE_KEEP_FIRST, &flags) < 0 ||
      parse_flag(given[7], 1, 0, FCACHE_UNRECORDED, &flags) < 0)
    return NULL;
  int is_off = client_is_off(client);
  if (is_off != 0)
    return is_off < 0 ? NULL : Py_NewRef(Py_False);
  struct handle *handle = handle_begin(client);
  if (handle == NULL)
    return NULL;
  PyObject *result = put(handle, &key, given[4], compute_ns, flags);
  handle_end(handle);
  return result;
}

/* Runs a call of the library that takes a key alone. Returns its outcome, 0 or more, or -1 with an
 * exception. */
static int call_with_key(struct client *client, const struct fcache_key *key,
                         int (*call)(struct fcache *, const struct fcache_key *)) {
  struct handle *handle = handle_begin(client);
  if (handle == NULL)
    return -1;
  handle_release(handle);
  int rc = call(handle->cache, key);
  handle_acquire(handle);
  if (rc < 0)
    (void)handle_raise(handle, rc);
  handle_end(handle);
  return rc < 0 ? -1 : rc;
}

METHOD_FAST(client_give_up) {
  static const struct args_spec spec = {"give_up", 3, 4, {"op", "view", "prompt", "top_k", NULL}};
  struct client *client = (struct client *)self;
  struct fcache_key key;
  if (parse_key(client, &spec, args, n_args, keywords, &key) < 0 ||
      call_with_key(client, &key, fcache_give_up) < 0)
    return NULL;
  return Py_NewRef(Py_None);
}

METHOD_FAST(client_delete) {
  static const struct args_spec spec = {
      "delete", 3, 4, {"op", "view", "prompt", "top_k", "local", NULL}};
  struct client *client = (struct client *)self;
  PyObject *given[ARGS_MAX];
  struct fcache_key key;
  if (!client_enter(client) || args_parse(&spec, args, n_args, keywords, given) < 0 ||
      keys_make(given[0], given[1], given[2], given[3], &key) < 0)
    return NULL;
  int local = args_bool(given[4], false);
  if (local < 0)
    return NULL;
  int rc = call_with_key(client, &key, local ? fcache_delete_local : fcache_delete);
  return rc < 0 ? NULL : PyBool_FromLong(rc == FCACHE_OK);
}
