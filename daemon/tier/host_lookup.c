#include "daemon/tier/host_lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

#define LOOKUP_HOST_SIZE 256u
#define LOOKUP_STACK_BYTES (256u * 1024u) /* resolvers of the system use up to 100 KiB */

/* Belongs to the loop and to the thread. The last of both frees it. */
struct lookup_shared {
  pthread_mutex_t mutex;
  unsigned owners;
  uv_async_t *async; /* NULL: the loop is not interested any more */
  char host[LOOKUP_HOST_SIZE];
  char port[8];
  bool done;
  int error; /* of getaddrinfo */
  struct host_addresses found;
};

/* Releases one owner's part. The mutex is locked. */
static void release(struct lookup_shared *shared) {
  bool last = --shared->owners == 0;
  (void)pthread_mutex_unlock(&shared->mutex); /* these fail only for a broken mutex */
  if (!last)
    return;
  (void)pthread_mutex_destroy(&shared->mutex);
  free(shared);
}

static void copy_addresses(struct host_addresses *found, const struct addrinfo *list) {
  found->n = 0;
  for (; list != NULL && found->n < HOST_ADDRESSES_MAX; list = list->ai_next) {
    if (list->ai_addrlen > sizeof found->list[0])
      continue;
    memset(&found->list[found->n], 0, sizeof found->list[0]);
    memcpy(&found->list[found->n++], list->ai_addr, list->ai_addrlen);
  }
}

static void *run(void *arg) {
  struct lookup_shared *shared = arg;
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *list = NULL;
  int error = getaddrinfo(shared->host, shared->port, &hints, &list);
  (void)pthread_mutex_lock(&shared->mutex);
  shared->error = error;
  if (error == 0) {
    copy_addresses(&shared->found, list);
    freeaddrinfo(list);
  }
  shared->done = true;
  if (shared->async != NULL)
    (void)uv_async_send(shared->async); /* under the mutex: the handle is not closed yet */
  release(shared);
  return NULL;
}

/* The thread takes no signal: the loop handles them all. */
static int start_thread(struct lookup_shared *shared) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, before;
  if (pthread_attr_init(&attributes) != 0)
    return FC_ENOMEM;
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED); /* valid arguments */
  (void)pthread_attr_setstacksize(&attributes, LOOKUP_STACK_BYTES);
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_BLOCK, &all, &before);
  int error = pthread_create(&thread, &attributes, run, shared);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
  return error == 0 ? 0 : FC_EREFUSED;
}

/* ---- the loop's side ---- */

static void end_shared(struct host_lookup *lookup) {
  struct lookup_shared *shared = lookup->shared;
  lookup->shared = NULL;
  lookup->running = false;
  (void)pthread_mutex_lock(&shared->mutex);
  shared->async = NULL;
  release(shared);
}

static void on_async(uv_async_t *async) {
  struct host_lookup *lookup = async->data;
  struct host_addresses found = {0};
  struct lookup_shared *shared = lookup->shared;
  if (shared == NULL)
    return;
  (void)pthread_mutex_lock(&shared->mutex);
  bool done = shared->done;
  int error = shared->error;
  if (done && error == 0)
    found = shared->found;
  (void)pthread_mutex_unlock(&shared->mutex);
  if (!done)
    return;
  end_shared(lookup);
  const char *text = error != 0 ? gai_strerror(error) : found.n == 0 ? "no address" : NULL;
  lookup->on_done(lookup->arg, &found, text);
}

static void free_async(uv_handle_t *handle) {
  free(handle);
}

int host_lookup_init(struct host_lookup *lookup, uv_loop_t *loop,
                     void (*on_done)(void *arg, const struct host_addresses *addresses,
                                     const char *error),
                     void *arg) {
  *lookup = (struct host_lookup){.on_done = on_done, .arg = arg};
  uv_async_t *async = calloc(1, sizeof *async);
  if (async == NULL)
    return FC_ENOMEM;
  if (uv_async_init(loop, async, on_async) < 0) {
    free(async);
    return FC_EREFUSED;
  }
  async->data = lookup;
  lookup->async = async;
  return 0;
}

int host_lookup_start(struct host_lookup *lookup, const char *host, uint16_t port) {
  check_eq(lookup->running, false);
  struct lookup_shared *shared = calloc(1, sizeof *shared);
  if (shared == NULL)
    return FC_ENOMEM;
  if (pthread_mutex_init(&shared->mutex, NULL) != 0) {
    free(shared);
    return FC_ENOMEM;
  }
  (void)snprintf(shared->host, sizeof shared->host, "%s", host);
  (void)snprintf(shared->port, sizeof shared->port, "%u", port);
  shared->async = lookup->async;
  shared->owners = 2;
  int error = start_thread(shared);
  if (error) {
    (void)pthread_mutex_destroy(&shared->mutex);
    free(shared);
    return error;
  }
  lookup->shared = shared;
  lookup->running = true;
  return 0;
}

void host_lookup_close(struct host_lookup *lookup) {
  if (lookup->shared != NULL)
    end_shared(lookup);
  if (lookup->async != NULL)
    uv_close((uv_handle_t *)lookup->async, free_async);
  lookup->async = NULL;
}
