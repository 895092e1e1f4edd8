/* The method cached: reads a hit from shared memory without releasing the GIL. Otherwise it calls
 * fcache_cached without the GIL, and acquires it for the computation. */
#include "computation.h"
#include "glue/args.h"
#include "glue/py_errors.h"
#include "py_client.h"
#include "py_handle.h"
#include "py_hits.h"
#include "py_keys.h"
#include "py_methods.h"
#include "values/py_value.h"

#define UNENCODABLE (HANDLE_RAISED + 1) /* computed, but cannot be encoded */

struct call {
  struct client *client;
  struct handle *handle;
  struct fcache_key key;
  PyObject *op, *compute; /* borrowed */
  PyObject *result;       /* of the computation, or NULL */
  PyObject *error;        /* of encoding the result, or NULL */
  struct computation_time time;
};

/* Computes and encodes the result. Returns 0, UNENCODABLE, or HANDLE_RAISED with an exception and
 * without a result. */
static int compute(struct call *call, struct fcache_value *encoded) {
  struct computation *computation = computation_begin(call->client, call->handle);
  if (computation == NULL)
    return HANDLE_RAISED;
  call->result = PyObject_CallNoArgs(call->compute);
  call->time = computation_end(computation);
  if (call->result == NULL)
    return HANDLE_RAISED;
  int rc = hits_encode(call->result, encoded, &call->error);
  if (rc < 0)
    Py_CLEAR(call->result);
  return rc < 0 ? HANDLE_RAISED : rc == 0 ? 0 : UNENCODABLE;
}

/* fcache_compute_fn */
static int compute_unlocked(void *arg, struct fcache_value *encoded) {
  struct call *call = arg;
  handle_acquire(call->handle);
  int rc = compute(call, encoded);
  handle_release(call->handle);
  return rc;
}

/* Counts and reports a result that cannot be encoded. 0, or -1 with an exception and without a
 * result. */
static int report_unencodable(struct call *call) {
  int rc = hits_unencodable(call->client, call->op, call->error);
  Py_CLEAR(call->error);
  if (rc < 0)
    Py_CLEAR(call->result);
  return rc;
}

/* Computes a hit again and compares it with the stored bytes. Returns the new result. */
static PyObject *verify(struct call *call, const struct fcache_value *stored) {
  struct fcache_value encoded = {0};
  int rc = compute(call, &encoded);
  if (rc != HANDLE_RAISED)
    hits_count_passes(call->client, 1, false, call->time.own_ns);
  if (rc == UNENCODABLE)
    (void)report_unencodable(call);
  else if (rc == 0 && hits_verify(call->client, &call->key, stored, &encoded) < 0)
    Py_CLEAR(call->result);
  fcache_value_free(&encoded);
  return call->result;
}

/* Computes a hit that cannot be decoded, and replaces the stored bytes. */
static PyObject *replace(struct call *call) {
  struct fcache_value encoded = {0};
  struct handle *handle = call->handle;
  int rc = compute(call, &encoded);
  if (rc == 0) {
    handle_release(handle);
    (void)fcache_put(handle->cache, &call->key, encoded.data, encoded.size, call->time.own_ns,
                     0); /* the caller has its value either way, and the library counts */
    handle_acquire(handle);
  } else if (rc == UNENCODABLE) {
    hits_count_passes(call->client, 1, true, call->time.own_ns);
    (void)report_unencodable(call);
  }
  fcache_value_free(&encoded);
  return call->result;
}

/* Decodes a hit, or verifies or replaces it. Returns the handle's scratch buffer `stored` to it. */
static PyObject *use_hit(struct call *call, struct fcache_value *stored) {
  PyObject *result = NULL;
  if (call->client->verify_below != 0 && client_verifies(call->client)) {
    result = verify(call, stored);
    handle_return_scratch(call->handle, stored);
    return result;
  }
  result = value_decode(stored);
  handle_return_scratch(call->handle, stored);
  if (result == NULL && hits_undecodable(call->client, call->op) == 0)
    result = replace(call);
  return result;
}

static PyObject *compute_miss(struct call *call) {
  struct handle *handle = call->handle;
  struct fcache_value value = handle_borrow_scratch(handle);
  handle_release(handle);
  int rc = fcache_cached(handle->cache, &call->key, compute_unlocked, call, &value);
  handle_acquire(handle);
  if (rc == FCACHE_OK && call->result == NULL)
    return use_hit(call, &value);
  if (rc == FCACHE_OK)
    computation_uncharge(call->client, call->time.handleless_ns);
  handle_return_scratch(handle, &value);
  if (rc == UNENCODABLE) {
    hits_count_passes(call->client, 1, true, call->time.own_ns);
    (void)report_unencodable(call);
  } else if (rc != FCACHE_OK) {
    Py_CLEAR(call->result);
    if (rc != HANDLE_RAISED)
      (void)handle_raise(handle, rc);
  }
  return call->result;
}

static PyObject *cached(struct call *call) {
  struct handle *handle = call->handle = handle_begin(call->client);
  PyObject *result;
  if (handle == NULL)
    return NULL;
  if (fcache_get(handle->cache, &call->key, FCACHE_LOCAL, handle_scratch(handle)) == FCACHE_OK) {
    struct fcache_value stored = handle_borrow_scratch(handle);
    result = use_hit(call, &stored);
  } else { /* also for an error, which fcache_cached returns again */
    result = compute_miss(call);
  }
  handle_end(handle);
  return result;
}

/* Computes without a handle. */
static PyObject *compute_only(struct call *call) {
  struct computation *computation = computation_begin(call->client, NULL);
  if (computation == NULL)
    return NULL;
  PyObject *result = PyObject_CallNoArgs(call->compute);
  uint64_t own_ns = computation_end(computation).own_ns;
  if (result != NULL)
    hits_count_passes(call->client, 1, true, own_ns);
  return result;
}

METHOD_FAST(client_cached) {
  static const struct args_spec spec = {
      "cached", 5, 5, {"op", "view", "prompt", "top_k", "compute", NULL}};
  struct call call; /* not zeroed as a whole, which takes as long as all checks of the arguments */
  PyObject *given[ARGS_MAX];
  if (n_args != 5 || keywords != NULL) {
    if (args_parse(&spec, args, n_args, keywords, given) < 0)
      return NULL;
    args = given;
  }
  call.client = (struct client *)self;
  if (!client_enter(call.client) || keys_make(args[0], args[1], args[2], args[3], &call.key) < 0)
    return NULL;
  call.result = call.error = NULL;
  call.time = (struct computation_time){0};
  call.op = args[0];
  call.compute = args[4];
  int is_off = client_is_off(call.client);
  if (is_off != 0)
    return is_off < 0 ? NULL : compute_only(&call);
  return cached(&call);
}
