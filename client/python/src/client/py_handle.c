#include "py_handle.h"

#include <pthread.h>
#include <string.h>

#include "glue/py_errors.h"
#include "keys.h"

#define KEPT_SCRATCH_BYTES (1u << 20) /* a larger buffer is given back after use */

/* What a thread's state holds: the handles of this thread, of all clients. */
struct thread {
  PyObject_HEAD struct handle *handles;
  uint64_t forks; /* fork_count() when it was used last */
};

static _Thread_local struct thread *here; /* of this thread; borrowed from its state */
static PyObject *state_key;
static uint64_t forks;

uint64_t fork_count(void) {
  return forks;
}

static void count_fork(void) {
  forks++;
}

/* ---- opening ---- */

/* The library's lines, from any thread and without the GIL. */
static void say_once(void *arg, const char *line) {
  struct client *client = arg;
  bool is_off = strncmp(line, "fcache: sharing is off", 22) == 0;
  if (!atomic_exchange(&client->said[is_off ? SAID_OFF : SAID_OTHER], true))
    fcache_log_stderr(line);
}

/* Called about once per deadline while the library waits for others, and upon a signal. */
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
  options.log = say_once;
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
    counters_add(&handle->client->gone, &last);
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

/* Frees those of the thread whose clients are gone. */
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
  if (here == thread)
    here = NULL;
  while (thread->handles != NULL) {
    struct handle *handle = thread->handles;
    thread->handles = handle->next_of_thread;
    if (handle->away) /* of a thread that is not in this process; nobody knows in what state */
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
    PyErr_SetString(PyExc_RuntimeError, "this thread has no state of Python's");
    return NULL;
  }
  struct thread *thread = (struct thread *)thread_type.tp_alloc(&thread_type, 0);
  if (thread == NULL)
    return NULL;
  thread->forks = forks;
  int rc = PyDict_SetItem(dictionary, state_key, (PyObject *)thread);
  Py_DECREF(thread); /* the state holds it, to the thread's end */
  return rc < 0 ? NULL : (here = thread);
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
  /* Other threads ran meanwhile, and signal handlers in this one. */
  if (client->closed) {
    fcache_close(handle->cache);
    PyMem_Free(handle);
    (void)client_enter(client); /* says so */
    return NULL;
  }
  sweep(here);
  handle->thread = here;
  handle->next_of_client = client->handles;
  client->handles = handle;
  handle->next_of_thread = here->handles;
  here->handles = handle;
  return handle;
}

/* The client's probe, as all threads' next lookups are to have it. */
static int tell_probe(struct handle *handle) {
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
  if (here == NULL && make_thread() == NULL)
    return NULL;
  for (handle = here->handles; handle != NULL; handle = handle->next_of_thread) {
    if (handle->client != client)
      continue;
    if (!handle->away && handle->cache != NULL)
      break;
    first = false;
  }
  if (handle == NULL)
    handle = make_handle(client, first);
  if (handle == NULL || (handle->probes != client->probes && tell_probe(handle) < 0))
    return NULL;
  handle->depth++;
  return handle;
}

void handle_end(struct handle *handle) {
  if (--handle->depth == 0 && (handle->client == NULL || handle->client->closed))
    close_cache(handle);
}

void handle_release(struct handle *handle) {
  fcache_get_counters(handle->cache, &handle->seen);
  handle->seen_connected = fcache_connected(handle->cache);
  handle->away = true;
  handle->state = PyEval_SaveThread();
}

void handle_acquire(struct handle *handle) {
  PyEval_RestoreThread(handle->state);
  handle->away = false;
}

PyObject *handle_raise(struct handle *handle, int code) {
  return errors_raise(code, fcache_last_error(handle->cache));
}

struct fcache_value handle_take_scratch(struct handle *handle) {
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

/* ---- all of a client's ---- */

void handle_close_all(struct client *client) {
  for (struct handle *at = client->handles; at != NULL; at = at->next_of_client)
    if (at->depth == 0)
      close_cache(at);
}

void handle_orphan_all(struct client *client) {
  while (client->handles != NULL) {
    struct handle *handle = client->handles;
    if (!handle->away) /* what is away here is of a thread that is not in this process */
      close_cache(handle);
    leave_client(handle);
  }
  if (here != NULL)
    sweep(here);
}

void handle_forget_others(struct client *client) {
  struct handle **at = &client->handles;
  while (*at != NULL) {
    struct handle *handle = *at;
    if (handle->thread == here) {
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
  struct fcache_counters sum = client->gone;
  counters_add(&sum, &client->without);
  for (const struct handle *at = client->handles; at != NULL; at = at->next_of_client) {
    struct fcache_counters now = at->seen;
    if (at->cache == NULL)
      continue;
    if (!at->away)
      fcache_get_counters(at->cache, &now);
    counters_add(&sum, &now);
  }
  return sum;
}

bool handle_any_connected(const struct client *client) {
  for (const struct handle *at = client->handles; at != NULL; at = at->next_of_client)
    if (at->cache != NULL && (at->away ? at->seen_connected : fcache_connected(at->cache)))
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
  PyErr_NoMemory(); /* the only error that it has */
  return -1;
}
