#include "py_handle.h"

#include <pthread.h>
#include <string.h>

#include "glue/py_errors.h"
#include "py_keys.h"
#include "values/block.h"

#define KEPT_SCRATCH_BYTES (1u << 20) /* a larger buffer is freed after use */

/* The handles of one thread, of all clients. The dictionary of the thread state owns it. */
struct thread {
  PyObject_HEAD struct handle *handles;
  uint64_t forks; /* fork_count() at creation */
};

static _Thread_local struct thread *this_thread; /* borrowed */
static PyObject *state_key;
static uint64_t forks;

uint64_t fork_count(void) {
  return forks;
}

static void count_fork(void) {
  forks++;
}

/* ---- opening ---- */

/* fcache_log_fn. Runs in any thread, without the GIL. */
static void log_once(void *arg, const char *line) {
  struct client *client = arg;
  bool is_off = strncmp(line, "fcache: sharing is off", 22) == 0;
  if (!atomic_exchange(&client->logged[is_off ? LOGGED_OFF : LOGGED_OTHER], true))
    fcache_log_stderr(line);
}

/* fcache_waiting_fn. The library calls it during a wait, about once per deadline and after a
 * signal. */
static int run_signal_handlers(void *arg) {
  struct handle *handle = arg;
  PyEval_RestoreThread(handle->state);
  int rc = PyErr_CheckSignals() < 0 ? HANDLE_RAISED : 0;
  handle->state = PyEval_SaveThread();
  return rc;
}

static int open_cache(struct handle *handle, bool waits) {
  struct fcache_options options = handle->client->options;
  struct fcache_error error;
  int rc;
  options.log = log_once;
  options.log_arg = handle->client;
  options.waiting = run_signal_handlers;
  options.waiting_arg = handle;
  if (!waits)
    options.wait_ms = FCACHE_NO_WAIT;
  Py_BEGIN_ALLOW_THREADS;
  rc = fcache_open(&options, &handle->cache, &error);
  Py_END_ALLOW_THREADS;
  if (rc == FCACHE_OK)
    return 0;
  (void)errors_raise(rc, error.text);
  return -1;
}

/* ---- closing ---- */

static void close_cache(struct handle *handle) {
  struct fcache_counters last;
  if (handle->cache == NULL)
    return;
  fcache_get_counters(handle->cache, &last);
  if (handle->client != NULL)
    counters_add(&handle->client->closed_counters, &last);
  fcache_close(handle->cache);
  handle->cache = NULL;
  fcache_value_free(&handle->scratch);
}

static void leave_client(struct handle *handle) {
  if (handle->client == NULL)
    return;
  struct handle **at = &handle->client->handles;
  while (*at != handle)
    at = &(*at)->next_of_client;
  *at = handle->next_of_client;
  handle->client = NULL;
}

static void free_handle(struct handle *handle) {
  close_cache(handle);
  leave_client(handle);
  PyMem_Free(handle);
}

/* Frees the handles of the thread whose clients were freed. */
static void sweep(struct thread *thread) {
  struct handle **at = &thread->handles;
  while (*at != NULL) {
    struct handle *handle = *at;
    if (handle->client != NULL || handle->depth > 0) {
      at = &handle->next_of_thread;
      continue;
    }
    *at = handle->next_of_thread;
    free_handle(handle);
  }
}

static void dealloc_thread(PyObject *self) {
  struct thread *thread = (struct thread *)self;
  if (this_thread == thread)
    this_thread = NULL;
  while (thread->handles != NULL) {
    struct handle *handle = thread->handles;
    thread->handles = handle->next_of_thread;
    if (handle->gil_released) /* of a thread that this forked process does not have */
      leave_client(handle);
    else
      free_handle(handle);
  }
  Py_TYPE(self)->tp_free(self);
}

static PyTypeObject thread_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "fcached._core._Thread",
    .tp_basicsize = sizeof(struct thread),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = dealloc_thread,
};

/* ---- threads ---- */

static struct thread *make_thread(void) {
  PyObject *dictionary = PyThreadState_GetDict();
  if (dictionary == NULL) {
    PyErr_SetString(PyExc_RuntimeError, "this thread has no Python thread state");
    return NULL;
  }
  struct thread *thread = (struct thread *)thread_type.tp_alloc(&thread_type, 0);
  if (thread == NULL)
    return NULL;
  thread->forks = forks;
  int rc = PyDict_SetItem(dictionary, state_key, (PyObject *)thread);
  Py_DECREF(thread); /* the thread state owns it now */
  return rc < 0 ? NULL : (this_thread = thread);
}

static struct handle *make_handle(struct client *client, bool waits) {
  struct handle *handle = PyMem_Calloc(1, sizeof *handle);
  if (handle == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  handle->client = client;
  if (open_cache(handle, waits) < 0) {
    PyMem_Free(handle);
    return NULL;
  }
  /* While the GIL was released, other threads or a signal handler may have closed the client. */
  if (client->closed) {
    fcache_close(handle->cache);
    PyMem_Free(handle);
    (void)client_enter(client); /* raises */
    return NULL;
  }
  sweep(this_thread);
  handle->thread = this_thread;
  handle->next_of_client = client->handles;
  client->handles = handle;
  handle->next_of_thread = this_thread->handles;
  this_thread->handles = handle;
  return handle;
}

/* Sets the probe of the client on the handle. 0, or -1 with an exception. */
static int apply_probe(struct handle *handle) {
  struct client *client = handle->client;
  const char *probe = NULL;
  if (client->probe != NULL && keys_name(client->probe, "probe", &probe) < 0)
    return -1;
  int rc = fcache_set_probe(handle->cache, probe);
  if (rc < 0) {
    (void)handle_raise(handle, rc);
    return -1;
  }
  handle->probes = client->probes;
  return 0;
}

struct handle *handle_begin(struct client *client) {
  struct handle *handle = NULL;
  bool first = true;
  if (this_thread == NULL && make_thread() == NULL)
    return NULL;
  for (handle = this_thread->handles; handle != NULL; handle = handle->next_of_thread) {
    if (handle->client != client)
      continue;
    if (!handle->gil_released && handle->cache != NULL)
      break;
    first = false;
  }
  if (handle == NULL)
    handle = make_handle(client, first);
  if (handle == NULL || (handle->probes != client->probes && apply_probe(handle) < 0))
    return NULL;
  handle->depth++;
  return handle;
}

void handle_end(struct handle *handle) {
  if (--handle->depth == 0 && (handle->client == NULL || handle->client->closed))
    close_cache(handle);
}

void handle_release(struct handle *handle) {
  fcache_get_counters(handle->cache, &handle->last_counters);
  handle->last_connected = fcache_connected(handle->cache);
  handle->gil_released = true;
  handle->state = PyEval_SaveThread();
}

void handle_acquire(struct handle *handle) {
  PyEval_RestoreThread(handle->state);
  handle->gil_released = false;
}

PyObject *handle_raise(struct handle *handle, int code) {
  return errors_raise(code, fcache_last_error(handle->cache));
}

struct fcache_value *handle_scratch(struct handle *handle) {
  if (handle->scratch.data == NULL)
    block_recycle(&handle->scratch);
  return &handle->scratch;
}

struct fcache_value handle_borrow_scratch(struct handle *handle) {
  struct fcache_value scratch = handle->scratch;
  handle->scratch = (struct fcache_value){0};
  return scratch;
}

void handle_return_scratch(struct handle *handle, struct fcache_value *scratch) {
  if (handle->scratch.data == NULL && scratch->capacity <= KEPT_SCRATCH_BYTES)
    handle->scratch = *scratch;
  else
    fcache_value_free(scratch);
}

/* ---- all handles of a client ---- */

void handle_close_all(struct client *client) {
  for (struct handle *at = client->handles; at != NULL; at = at->next_of_client)
    if (at->depth == 0)
      close_cache(at);
}

void handle_detach_all(struct client *client) {
  while (client->handles != NULL) {
    struct handle *handle = client->handles;
    if (!handle->gil_released) /* else of a thread that this forked process does not have */
      close_cache(handle);
    leave_client(handle);
  }
  if (this_thread != NULL)
    sweep(this_thread);
}

void handle_forget_others(struct client *client) {
  struct handle **at = &client->handles;
  while (*at != NULL) {
    struct handle *handle = *at;
    if (handle->thread == this_thread) {
      at = &handle->next_of_client;
      continue;
    }
    *at = handle->next_of_client;
    handle->client = NULL;
  }
}

void counters_add(struct fcache_counters *sum, const struct fcache_counters *more) {
  sum->cache_hits += more->cache_hits;
  sum->cache_misses += more->cache_misses;
  sum->forward_passes += more->forward_passes;
  sum->scoring_wall_ns += more->scoring_wall_ns;
  sum->batches_sent += more->batches_sent;
  sum->batched_prompts += more->batched_prompts;
  if (more->max_batch_size > sum->max_batch_size)
    sum->max_batch_size = more->max_batch_size;
  sum->degraded += more->degraded;
  sum->reconnects += more->reconnects;
  sum->too_big += more->too_big;
  sum->region_hits += more->region_hits;
  sum->unrecorded += more->unrecorded;
  sum->leases_granted += more->leases_granted;
  sum->coalesced_hits += more->coalesced_hits;
  sum->lease_wait_ns += more->lease_wait_ns;
}

struct fcache_counters handle_count_all(const struct client *client) {
  struct fcache_counters sum = client->closed_counters;
  counters_add(&sum, &client->handleless);
  for (const struct handle *at = client->handles; at != NULL; at = at->next_of_client) {
    struct fcache_counters now = at->last_counters;
    if (at->cache == NULL)
      continue;
    if (!at->gil_released)
      fcache_get_counters(at->cache, &now);
    counters_add(&sum, &now);
  }
  return sum;
}

bool handle_any_connected(const struct client *client) {
  for (const struct handle *at = client->handles; at != NULL; at = at->next_of_client)
    if (at->cache != NULL && (at->gil_released ? at->last_connected : fcache_connected(at->cache)))
      return true;
  return false;
}

int handle_init(void) {
  if (PyType_Ready(&thread_type) < 0)
    return -1;
  state_key = PyUnicode_InternFromString("fcached._core");
  if (state_key == NULL)
    return -1;
  int error = pthread_atfork(NULL, NULL, count_fork);
  if (error == 0)
    return 0;
  PyErr_NoMemory(); /* ENOMEM is its only error */
  return -1;
}
