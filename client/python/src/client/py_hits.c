#include "py_hits.h"

#include "computation.h"

#include <string.h>

#include "digest.h"
#include "glue/py_errors.h"
#include "values/py_value.h"

/* Borrows the scratch buffer, because decoding may run Python code that uses the handle. */
PyObject *hits_decode(struct handle *handle) {
  struct fcache_value scratch = handle_borrow_scratch(handle);
  PyObject *value = value_decode(&scratch);
  handle_return_scratch(handle, &scratch);
  return value;
}

/* Clears the exception that is set, and returns it, normalized. */
static PyObject *fetch_exception(void) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != NULL && value != NULL)
    (void)PyException_SetTraceback(value, traceback); /* cannot fail: it is a traceback */
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return value;
}

static int call_hook(struct client *client, const char *method, PyObject *op, PyObject *error) {
  PyObject *result = PyObject_CallMethod((PyObject *)client, method, "OO", op, error);
  Py_XDECREF(result);
  return errors_suppress((PyObject *)client);
}

int hits_undecodable(struct client *client, PyObject *op) {
  if (!PyErr_ExceptionMatches(errors_decode))
    return -1;
  PyObject *error = fetch_exception();
  client->own.undecodable++;
  int rc = call_hook(client, "_on_undecodable", op, error);
  Py_DECREF(error);
  return rc;
}

int hits_encode(PyObject *value, struct fcache_value *out, PyObject **error) {
  *error = NULL;
  if (value_encode(value, out) == 0)
    return 0;
  if (!PyErr_ExceptionMatches(PyExc_Exception))
    return -1;
  *error = fetch_exception();
  return 1;
}

int hits_unencodable(struct client *client, PyObject *op, PyObject *error) {
  client->own.unencodable++;
  return call_hook(client, "_on_unencodable", op, error);
}

int hits_verify(struct client *client, const struct fcache_key *key,
                const struct fcache_value *stored, const struct fcache_value *computed) {
  client->own.verified++;
  if (stored->size == computed->size && memcmp(stored->data, computed->data, stored->size) == 0)
    return 0;
  client->own.differing++;
  PyObject *prompt = digest_hex(key->prompt.bytes);
  PyObject *was = digest_bytes(stored->data, stored->size);
  PyObject *is = digest_bytes(computed->data, computed->size);
  PyObject *result = NULL;
  if (prompt != NULL && was != NULL && is != NULL)
    result = PyObject_CallMethod((PyObject *)client, "_on_differing", "ssOIOO", key->op, key->view,
                                 prompt, key->top_k, was, is);
  Py_XDECREF(prompt);
  Py_XDECREF(was);
  Py_XDECREF(is);
  Py_XDECREF(result);
  return errors_suppress((PyObject *)client);
}

void hits_count_passes(struct client *client, uint64_t n, bool misses, uint64_t wall_ns) {
  client->handleless.cache_misses += misses ? n : 0;
  client->handleless.forward_passes += n;
  computation_charge(client, wall_ns);
}
