#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/leases/leases_internal.h"

/* ---- waits that have not ended ---- */

/* Returns the size of a wait and of the edge that it may need. */
static size_t wait_bytes(struct fc_str probe) {
  return sizeof(struct lease_wait) + probe.size + LEASES_EDGE_BYTES;
}

static void free_wait(struct leases *leases, struct lease_wait *wait) {
  leases_free(leases, wait, wait_bytes(wait->probe));
}

static struct lease_wait *allocate(struct leases *leases, const struct lease_request *request) {
  struct fc_str probe = request->probe;
  struct lease_wait *wait = leases_alloc(leases, wait_bytes(probe));
  if (wait == NULL)
    return NULL;
  *wait = (struct lease_wait){.id = request->id, .flags = request->flags, .wants = request->wants};
  if (probe.data == NULL)
    return wait;
  memcpy(wait->probe_data, probe.data, probe.size);
  wait->probe = (struct fc_str){wait->probe_data, probe.size};
  return wait;
}

static void add_to_lease(struct lease_wait *wait, struct lease *lease) {
  assert(lease->owner != NULL && lease->owner != wait->waiter);
  lease->references++;
  wait->prev = lease->wait_last;
  *(lease->wait_last == NULL ? &lease->wait_first : &lease->wait_last->next) = wait;
  lease->wait_last = wait;
  lease->waits++;
}

static void add_to_client(struct lease_wait *wait, struct lease_client *client) {
  check_eq(client->held, 0); /* a client that holds a lease never waits */
  wait->prev_of_client = client->wait_last;
  *(client->wait_last == NULL ? &client->wait_first : &client->wait_last->next_of_client) = wait;
  client->wait_last = wait;
  client->waits++;
}

static void remove_from_lease(struct lease_wait *wait) {
  struct lease *lease = wait->lease;
  check_lt(0, lease->waits);
  *(wait->prev == NULL ? &lease->wait_first : &wait->prev->next) = wait->next;
  *(wait->next == NULL ? &lease->wait_last : &wait->next->prev) = wait->prev;
  lease->waits--;
}

static void remove_from_client(struct lease_wait *wait) {
  struct lease_client *client = wait->waiter;
  check_lt(0, client->waits);
  struct lease_wait *next = wait->next_of_client, *prev = wait->prev_of_client;
  *(prev == NULL ? &client->wait_first : &prev->next_of_client) = next;
  *(next == NULL ? &client->wait_last : &next->prev_of_client) = prev;
  client->waits--;
}

struct lease_wait *leases_wait(struct leases *leases, struct lease_client *waiter,
                               struct lease *lease, const struct lease_request *request,
                               uint64_t term_ns, uint64_t now_ns, uint64_t until_ns) {
  struct lease_wait *wait = allocate(leases, request);
  if (wait == NULL)
    return NULL;
  if (!timer_heap_add(&leases->untils, &wait->until, until_ns)) {
    free_wait(leases, wait);
    return NULL;
  }
  wait->requested_until_ns = until_ns;
  wait->term_ns = term_ns;
  wait->since_ns = request->since_ns != 0 ? request->since_ns : now_ns;
  wait->waiter = waiter;
  wait->lease = lease;
  wait->begun = request->since_ns != 0 ? request->begun : fc_waits_begin(&waiter->sharing, now_ns);
  add_to_lease(wait, lease);
  add_to_client(wait, waiter);
  leases->waits++;
  check_eq(leases->waits, leases->untils.n);
  user_charge(waiter->user, USER_WAITS, 1);
  return wait;
}

/* ---- due waits ---- */

static void enqueue(struct leases *leases, struct lease_client *client) {
  if (client->is_queued)
    return;
  client->is_queued = true;
  client->next_due = NULL;
  *(leases->due_last == NULL ? &leases->due_first : &leases->due_last->next_due) = client;
  leases->due_last = client;
}

static void make_due(struct leases *leases, struct lease_wait *wait) {
  struct lease_client *client = wait->waiter;
  wait->next_of_client = wait->prev_of_client = NULL;
  *(client->due_last == NULL ? &client->due_first : &client->due_last->next_of_client) = wait;
  client->due_last = wait;
  client->due++;
  leases->due++;
  enqueue(leases, client);
}

void leases_end_wait(struct leases *leases, struct lease_wait *wait, enum lease_end end,
                     uint64_t now_ns) {
  check_lt(0, wait->until.place);
  wait->wall_ns = fc_waits_end(&wait->waiter->sharing, wait->begun, now_ns);
  fc_sum_add(&leases->counters->lease_wait_ns, wait->wall_ns);
  fc_sum_add(&wait->lease->ns->counters.lease_wait_ns, wait->wall_ns);
  timer_heap_remove(&leases->untils, &wait->until);
  leases_edge_remove(wait);
  remove_from_lease(wait);
  remove_from_client(wait);
  check_lt(0, leases->waits);
  leases->waits--;
  wait->end = end;
  make_due(leases, wait);
}

void leases_end_waits_for(struct leases *leases, struct lease *lease, enum lease_end end,
                          uint64_t now_ns) {
  while (lease->wait_first != NULL)
    leases_end_wait(leases, lease->wait_first, end, now_ns);
}

void leases_end_waits_of(struct leases *leases, struct lease_client *client, enum lease_end end,
                         uint64_t now_ns) {
  while (client->wait_first != NULL)
    leases_end_wait(leases, client->wait_first, end, now_ns);
}

/* ---- the queue ---- */

static struct lease_client *dequeue(struct leases *leases) {
  struct lease_client *client = leases->due_first;
  leases->due_first = client->next_due;
  if (leases->due_first == NULL)
    leases->due_last = NULL;
  client->next_due = NULL;
  client->is_queued = false;
  return client;
}

/* Skips a client whose due waits were answered before its turn came. */
struct lease_client *leases_next_due(struct leases *leases) {
  while (leases->due_first != NULL) {
    struct lease_client *client = dequeue(leases);
    if (client->due_first != NULL)
      return client;
  }
  return NULL;
}

void leases_due_done(struct leases *leases, struct lease_client *client) {
  struct lease_wait *wait = client->due_first;
  assert(wait != NULL && wait->edge == NULL);
  check_lt(0, client->due);
  check_le(client->due, leases->due);
  client->due_first = wait->next_of_client;
  if (client->due_first == NULL)
    client->due_last = NULL;
  client->due--;
  leases->due--;
  user_uncharge(client->user, USER_WAITS, 1);
  leases_release(leases, wait->lease);
  free_wait(leases, wait);
}

static void remove_from_queue(struct leases *leases, struct lease_client *client) {
  struct lease_client *prev = NULL;
  for (struct lease_client *at = leases->due_first; at != client; at = at->next_due)
    prev = at;
  *(prev == NULL ? &leases->due_first : &prev->next_due) = client->next_due;
  if (leases->due_last == client)
    leases->due_last = prev;
  client->next_due = NULL;
  client->is_queued = false;
}

void leases_forget_due(struct leases *leases, struct lease_client *client) {
  while (client->due_first != NULL)
    leases_due_done(leases, client);
  if (client->is_queued)
    remove_from_queue(leases, client);
}
