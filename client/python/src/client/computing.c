#include "computing.h"

#include "py_hits.h"

struct computing {
  struct computing *next; /* of the client, by any thread */
  struct client *client;
  struct handle *handle;
  unsigned long thread;
  uint64_t start_ns;
  uint64_t handle_ns;  /* what the handle had been charged with at the start */
  uint64_t without_ns; /* what nested calls have charged `client->without` with */
};

/* What the handle has counted as scoring time. */
static uint64_t scoring_ns(const struct handle *handle) {
  struct fcache_counters counters = {0};
  if (handle != NULL && handle->cache != NULL)
    fcache_get_counters(handle->cache, &counters);
  return counters.scoring_wall_ns;
}

static uint64_t less(uint64_t from, uint64_t what) {
  return from > what ? from - what : 0;
}

struct computing *computing_begin(struct client *client, struct handle *handle) {
  struct computing *computing = PyMem_Malloc(sizeof *computing);
  if (computing == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  *computing = (struct computing){.next = client->computing,
                                  .client = client,
                                  .handle = handle,
                                  .thread = PyThread_get_thread_ident(),
                                  .handle_ns = scoring_ns(handle),
                                  .start_ns = hits_clock_ns()};
  client->computing = computing;
  return computing;
}

struct computing_time computing_end(struct computing *computing) {
  uint64_t took_ns = hits_clock_ns() - computing->start_ns;
  /* In a forked child the handle's counters started at 0 meanwhile. */
  uint64_t nested_ns = less(scoring_ns(computing->handle), computing->handle_ns);
  struct computing_time time = {.own_ns = less(less(took_ns, nested_ns), computing->without_ns),
                                .without_ns = computing->without_ns};
  struct computing **at = &computing->client->computing;
  while (*at != computing)
    at = &(*at)->next;
  *at = computing->next;
  PyMem_Free(computing);
  return time;
}

void computing_charge(struct client *client, uint64_t wall_ns) {
  unsigned long thread = PyThread_get_thread_ident();
  client->without.scoring_wall_ns += wall_ns;
  for (struct computing *at = client->computing; at != NULL; at = at->next)
    if (at->thread == thread)
      at->without_ns += wall_ns;
}

void computing_uncharge(struct client *client, uint64_t without_ns) {
  unsigned long thread = PyThread_get_thread_ident();
  uint64_t *total_ns = &client->without.scoring_wall_ns;
  *total_ns = less(*total_ns, without_ns); /* a forked child's started at 0 meanwhile */
  for (struct computing *at = client->computing; at != NULL; at = at->next)
    if (at->thread == thread)
      at->without_ns = less(at->without_ns, without_ns);
}
