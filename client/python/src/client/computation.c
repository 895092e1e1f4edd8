#include "computation.h"

#include <time.h>

struct computation {
  struct computation *next; /* in the list of the client, of all threads */
  struct client *client;
  struct handle *handle;
  unsigned long thread;
  uint64_t start_ns;
  uint64_t handle_ns;     /* scoring time of the handle at the start */
  uint64_t handleless_ns; /* of nested calls, so far */
};

static uint64_t scoring_ns(const struct handle *handle) {
  struct fcache_counters counters = {0};
  if (handle != NULL && handle->cache != NULL)
    fcache_get_counters(handle->cache, &counters);
  return counters.scoring_wall_ns;
}

static uint64_t less(uint64_t from, uint64_t part) {
  return from > part ? from - part : 0;
}

struct computation *computation_begin(struct client *client, struct handle *handle) {
  struct computation *computation = PyMem_Malloc(sizeof *computation);
  if (computation == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  *computation = (struct computation){.next = client->computations,
                                      .client = client,
                                      .handle = handle,
                                      .thread = PyThread_get_thread_ident(),
                                      .handle_ns = scoring_ns(handle),
                                      .start_ns = computation_clock_ns()};
  client->computations = computation;
  return computation;
}

struct computation_time computation_end(struct computation *computation) {
  uint64_t took_ns = computation_clock_ns() - computation->start_ns;
  /* less(): after a fork inside the computation the counters of the handle start at 0. */
  uint64_t nested_ns = less(scoring_ns(computation->handle), computation->handle_ns);
  struct computation_time time = {.own_ns =
                                      less(less(took_ns, nested_ns), computation->handleless_ns),
                                  .handleless_ns = computation->handleless_ns};
  struct computation **at = &computation->client->computations;
  while (*at != computation)
    at = &(*at)->next;
  *at = computation->next;
  PyMem_Free(computation);
  return time;
}

void computation_charge(struct client *client, uint64_t wall_ns) {
  unsigned long thread = PyThread_get_thread_ident();
  client->handleless.scoring_wall_ns += wall_ns;
  for (struct computation *at = client->computations; at != NULL; at = at->next)
    if (at->thread == thread)
      at->handleless_ns += wall_ns;
}

void computation_uncharge(struct client *client, uint64_t handleless_ns) {
  unsigned long thread = PyThread_get_thread_ident();
  uint64_t *total_ns = &client->handleless.scoring_wall_ns;
  *total_ns = less(*total_ns, handleless_ns); /* starts at 0 in a forked child */
  for (struct computation *at = client->computations; at != NULL; at = at->next)
    if (at->thread == thread)
      at->handleless_ns = less(at->handleless_ns, handleless_ns);
}

uint64_t computation_clock_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
