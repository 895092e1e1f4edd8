#include "py_client.h"

#include <unistd.h>

#include "glue/py_errors.h"
#include "py_handle.h"

void client_notice_fork(struct client *client) {
  if (client->forks == fork_count())
    return;
  handle_forget_others(client);
  client->own = (struct own_counters){0};
  client->closed_counters = client->handleless = (struct fcache_counters){0};
  client->random ^= (uint64_t)getpid() << 32; /* another sequence than the parent's */
  client->random += client->random == 0;
  client->forks = fork_count();
}

bool client_enter(struct client *client) {
  if (client->closed) {
    (void)errors_raise(FCACHE_EINVAL, "the client is closed");
    return false;
  }
  client_notice_fork(client);
  return true;
}

int client_is_off(struct client *client) {
  static PyObject *name;
  if (client->off || client->ranks == NULL)
    return client->off;
  if (name == NULL && (name = PyUnicode_InternFromString("torch.distributed")) == NULL)
    return -1;
  if (PyDict_GetItemWithError(PyImport_GetModuleDict(), name) == NULL)
    return PyErr_Occurred() != NULL ? -1 : 0;
  PyObject *several = PyObject_CallNoArgs(client->ranks);
  int is_off = several == NULL ? -1 : PyObject_IsTrue(several);
  Py_XDECREF(several);
  /* After an error (also a warning that is an error here) computing is always right. */
  if (is_off < 0 && errors_suppress((PyObject *)client) == 0)
    is_off = 1;
  if (is_off == 1)
    client->off = true;
  return is_off;
}

/* Uses a generator of its own, so that verification does not change the random numbers of the
 * program. */
bool client_verifies(struct client *client) {
  if (client->verify_below == 0)
    return false;
  client->random ^= client->random << 13;
  client->random ^= client->random >> 7;
  client->random ^= client->random << 17;
  return client->random <= client->verify_below;
}
