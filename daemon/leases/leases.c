#include "daemon/leases/leases.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/base/check.h"
#include "daemon/leases/leases_internal.h"

#define NS_PER_MS 1000000u

/* The steps of all searches in one leases_expire: less than a millisecond, even if very many waits
 * end together. */
#define EXPIRE_STEPS_MAX 65536u

/* Returns the size of an array that doubles until it has `n` pointers. */
static size_t bytes_of_pointers(uint32_t n) {
  size_t capacity = 64;
  while (capacity < n)
    capacity *= 2;
  return capacity * sizeof(void *);
}

/* Two heaps and the buckets come on top. While the buckets grow, old and new ones exist. */
size_t leases_bytes_max(const struct leases_limits *limits) {
  return leases_bytes_allowed(limits) + bytes_of_pointers(limits->leases) * 5 / 2 +
         bytes_of_pointers(limits->waits) + lease_records_bytes_max(limits->leases);
}

size_t leases_bytes(const struct leases *leases) {
  size_t records = leases->records == NULL ? 0 : lease_records_bytes(leases->records);
  return leases->bytes + records +
         (leases->n_buckets + leases->terms.capacity + leases->untils.capacity) * sizeof(void *);
}

void leases_init(struct leases *leases, const struct leases_limits *limits,
                 struct counters *counters) {
  *leases = (struct leases){.limits = *limits, .highest = *limits, .counters = counters};
}

static uint32_t larger(uint32_t a, uint32_t b) {
  return a > b ? a : b;
}

void leases_set_limits(struct leases *leases, const struct leases_limits *limits) {
  struct leases_limits *highest = &leases->highest;
  leases->limits = *limits;
  highest->leases = larger(highest->leases, limits->leases);
  highest->leases_each = larger(highest->leases_each, limits->leases_each);
  highest->waits = larger(highest->waits, limits->waits);
  highest->waits_each = larger(highest->waits_each, limits->waits_each);
}

void leases_deinit(struct leases *leases) {
  check_eq(leases->n, 0);
  check_eq(leases->waits, 0);
  check_eq(leases->due, 0);
  check_eq(leases->bytes, 0);
  assert(leases->due_first == NULL && leases->first == NULL);
  free(leases->buckets);
  timer_heap_deinit(&leases->terms);
  timer_heap_deinit(&leases->untils);
}

/* Checks what holds for the client and the table between two calls. */
static void check_client(const struct leases *leases, const struct lease_client *client) {
  check_eq(client->held == 0, client->held_first == NULL);
  check_eq(client->waits == 0, client->wait_first == NULL);
  check_eq(client->due == 0, client->due_first == NULL);
  assert(client->held == 0 || client->waits == 0);
  check_le(client->held, leases->n);
  check_le(client->waits, leases->waits);
  check_le(client->due, leases->due);
  check_eq(leases->n, leases->terms.n);
  check_eq(leases->waits, leases->untils.n);
  check_le(leases->bytes, leases_bytes_allowed(&leases->highest));
}

/* ---- times ---- */

static uint64_t later(uint64_t now_ns, uint64_t more_ns) {
  return more_ns <= UINT64_MAX - now_ns ? now_ns + more_ns : UINT64_MAX;
}

static uint64_t bounded(const struct leases *leases, uint64_t requested_ns) {
  uint64_t max_ns = leases->limits.time_max_ns;
  return requested_ns < max_ns ? requested_ns : max_ns;
}

static uint64_t term_of(const struct leases *leases, const struct lease_request *request) {
  uint64_t default_ns = (uint64_t)FC_LEASE_MS_DEFAULT * NS_PER_MS;
  return bounded(leases, request->term_ns == 0 ? default_ns : request->term_ns);
}

/* ---- a lease begins and ends ---- */

static void report(const struct leases *leases, const struct lease *lease, enum lease_change change,
                   uint64_t now_ns) {
  if (leases->on_change != NULL)
    leases->on_change(leases->on_change_arg, lease, change, now_ns);
}

/* The client's waits end, because a client that holds a lease does not wait. */
static void grant(struct leases *leases, struct lease *lease, struct lease_client *client,
                  uint64_t now_ns) {
  if (client->waits > 0)
    leases_end_waits_of(leases, client, LEASE_END_AGAIN, now_ns);
  check_eq(client->waits, 0);
  leases_own(leases, lease, client, now_ns);
  leases->counters->leases_granted += !client->remote;
  lease->ns->counters.leases_granted += !client->remote;
  report(leases, lease, LEASE_BEGINS, now_ns);
}

void leases_end(struct leases *leases, struct lease *lease, enum lease_end wait_end,
                uint64_t now_ns) {
  leases_disown(leases, lease);
  if (lease->waits > 0)
    leases_end_waits_for(leases, lease, wait_end, now_ns);
  leases_drop(leases, lease);
}

static struct lease_wait *first_that_wants(const struct lease *lease) {
  struct lease_wait *wait = lease->wait_first;
  while (wait != NULL && !wait->wants)
    wait = wait->next;
  return wait;
}

/* The edges to the former owner are removed first, so that no cycle is found that is gone. The
 * edges to the new owner do not change the result of a search from it, so one search serves all
 * waits. */
void leases_wait_for_new_owner(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  struct lease_process *owner = lease->owner->process;
  if (lease->wait_first == NULL)
    return;
  for (struct lease_wait *wait = lease->wait_first; wait != NULL; wait = wait->next)
    leases_edge_remove(wait);
  leases_search(leases, owner);
  for (struct lease_wait *wait = lease->wait_first, *next; wait != NULL; wait = next) {
    next = wait->next;
    if (leases_is_helper(wait->waiter->process, owner)) {
      leases_end_wait(leases, wait, LEASE_END_NONE, now_ns);
      continue;
    }
    leases_edge_add(wait);
    leases_set_grace(leases, wait, now_ns);
  }
}

/* Gives the lease to the first waiter that wants it. Cannot exceed a limit: the lease count is
 * unchanged and the new owner holds no other lease. Its user may hold more than its share, by
 * leases that its waits are granted, and the number of waits is bounded too. */
static void hand_over(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  struct lease_wait *wait = first_that_wants(lease);
  if (wait == NULL) {
    leases_end(leases, lease, LEASE_END_NONE, now_ns);
    return;
  }
  struct lease_client *client = wait->waiter;
  timer_heap_move(&leases->terms, &lease->term, later(now_ns, wait->term_ns));
  leases_disown(leases, lease);
  leases_end_wait(leases, wait, LEASE_END_GRANTED, now_ns);
  grant(leases, lease, client, now_ns);
  check_eq(client->held, 1);
  leases_wait_for_new_owner(leases, lease, now_ns);
}

static void count_abandoned(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  leases->counters->leases_abandoned += !lease->owner->remote;
  lease->ns->counters.leases_abandoned += !lease->owner->remote;
  report(leases, lease, LEASE_ENDED, now_ns);
}

static void abandon(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  count_abandoned(leases, lease, now_ns);
  hand_over(leases, lease, now_ns);
}

/* ---- requests ---- */

static bool has_share(const struct lease_client *client, enum user_resource resource) {
  if (user_can_charge(client->user, resource, 1))
    return true;
  user_count_refused(client->user, resource);
  return false;
}

/* The fleet's leases are those of all other nodes' clients. */
static bool may_hold_more(const struct leases *leases, const struct lease_client *client) {
  bool each = client->remote || client->held < leases->limits.leases_each;
  return each && leases->n < leases->limits.leases && has_share(client, USER_LEASES);
}

static enum lease_answer begin_lease(struct leases *leases, struct lease_client *client,
                                     const struct lease_request *request, uint64_t now_ns) {
  if (!request->wants || !may_hold_more(leases, client))
    return LEASE_NONE;
  uint64_t end_ns = later(now_ns, term_of(leases, request));
  struct lease *lease = leases_make(leases, request, end_ns);
  if (lease == NULL)
    return LEASE_NONE;
  grant(leases, lease, client, now_ns);
  check_le(leases->n, leases->limits.leases);
  return LEASE_GRANTED;
}

/* Due waits count until they are answered, so a client that reads no replies takes no more memory.
 */
static bool may_wait(const struct leases *leases, const struct lease_client *client,
                     const struct lease *lease) {
  return client->held == 0 && lease->waits < LEASES_WAITS_FOR_ONE_MAX &&
         leases->waits + leases->due < leases->limits.waits &&
         client->waits + client->due < leases->limits.waits_each && has_share(client, USER_WAITS);
}

static enum lease_answer begin_wait(struct leases *leases, struct lease_client *client,
                                    struct lease *lease, const struct lease_request *request,
                                    uint64_t now_ns) {
  struct lease_process *owner = lease->owner->process;
  uint64_t until_ns = later(now_ns, bounded(leases, request->wait_ns));
  if (!may_wait(leases, client, lease) || leases_is_helper(client->process, owner))
    return LEASE_NONE;
  struct lease_wait *wait =
      leases_wait(leases, client, lease, request, term_of(leases, request), now_ns, until_ns);
  if (wait == NULL)
    return LEASE_NONE;
  leases_edge_add(wait);
  leases_search(leases, owner);
  leases_set_grace(leases, wait, now_ns);
  check_client(leases, client);
  return LEASE_WAITS;
}

enum lease_answer leases_acquire(struct leases *leases, struct lease_client *client,
                                 const struct lease_request *request, uint64_t now_ns) {
  check_client(leases, client);
  struct lease *lease =
      leases->n == 0 ? NULL : leases_find(leases, request->ns, request->digest, request->key);
  if (lease == NULL)
    return begin_lease(leases, client, request, now_ns);
  if (lease->owner == client)
    return LEASE_NONE;
  if (request->wants && leases_is_left_behind(lease->owner, client))
    return leases_take_over(leases, lease, client, now_ns);
  if (request->wait_ns == 0 || leases->stopping)
    return LEASE_TAKEN;
  return begin_wait(leases, client, lease, request, now_ns);
}

void leases_put(struct leases *leases, const struct namespace *ns, uint64_t digest,
                const struct fc_key *key, uint64_t now_ns) {
  struct lease *lease = leases_find(leases, ns, digest, key);
  if (lease == NULL)
    return;
  if (!lease->owner->remote) /* only its last part would count */
    leases_record_duration(lease, now_ns);
  report(leases, lease, LEASE_PUT, now_ns);
  leases_end(leases, lease, LEASE_END_PUT, now_ns);
}

bool leases_give_up(struct leases *leases, struct lease_client *client, const struct namespace *ns,
                    uint64_t digest, const struct fc_key *key, bool for_all, uint64_t now_ns) {
  struct lease *lease = leases_find(leases, ns, digest, key);
  if (lease == NULL || lease->owner != client)
    return false;
  if (for_all) {
    count_abandoned(leases, lease, now_ns);
    leases_end(leases, lease, LEASE_END_NONE, now_ns);
  } else {
    abandon(leases, lease, now_ns);
  }
  check_client(leases, client);
  return true;
}

uint32_t leases_give_up_all(struct leases *leases, struct lease_client *client, uint64_t now_ns) {
  uint32_t given_up = client->held;
  leases_end_waits_of(leases, client, LEASE_END_NONE, now_ns);
  while (client->held_first != NULL)
    abandon(leases, client->held_first, now_ns);
  check_eq(client->held, 0);
  check_client(leases, client);
  return given_up;
}

void leases_client_gone(struct leases *leases, struct lease_client *client, uint64_t now_ns) {
  if (leases->stopping)
    leases_leave_records(leases, client, now_ns);
  (void)leases_give_up_all(leases, client, now_ns); /* the number does not matter any more */
  leases_forget_due(leases, client);
  assert(!client->is_queued);
  check_client(leases, client);
}

static bool is_selected(const struct lease *lease, const struct namespace *ns, struct fc_str view,
                        struct fc_str op) {
  return (ns == NULL || lease->ns == ns) &&
         (view.data == NULL || fc_str_equal(lease->key.view, view)) &&
         (op.data == NULL || fc_str_equal(lease->key.op, op));
}

/* A clear of one namespace walks only the leases of that namespace, because clients may clear it
 * often and others may hold many leases. A lease that is handed over moves to the end of the list
 * with a new serial, which ends the walk. No other lease moves. */
void leases_clear(struct leases *leases, const struct namespace *ns, struct fc_str view,
                  struct fc_str op, uint64_t now_ns) {
  uint64_t last = leases->serials;
  for (struct lease *lease = ns == NULL ? leases->first : ns->lease_first, *next;
       lease != NULL && lease->serial <= last; lease = next) {
    next = ns == NULL ? lease->next : lease->next_in_ns;
    if (is_selected(lease, ns, view, op))
      abandon(leases, lease, now_ns);
  }
}

void leases_delete(struct leases *leases, const struct namespace *ns, uint64_t digest,
                   const struct fc_key *key, uint64_t now_ns) {
  struct lease *lease = leases_find(leases, ns, digest, key);
  if (lease != NULL)
    abandon(leases, lease, now_ns);
}

/* ---- time ---- */

static struct lease *lease_of(struct timer_heap_entry *term) {
  return (struct lease *)((char *)term - offsetof(struct lease, term));
}

static struct lease_wait *wait_of(struct timer_heap_entry *until) {
  return (struct lease_wait *)((char *)until - offsetof(struct lease_wait, until));
}

static bool is_over(const struct timer_heap_entry *entry, uint64_t now_ns) {
  return entry != NULL && entry->at_ns <= now_ns;
}

static void expire(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  leases->counters->leases_expired += !lease->owner->remote;
  lease->ns->counters.leases_expired += !lease->owner->remote;
  report(leases, lease, LEASE_EXPIRED, now_ns);
  hand_over(leases, lease, now_ns);
}

/* Ends them in the order of their times, even if the caller is late. So a waiter gets the lease if
 * the lease ended before its wait. At the same time the lease goes first, for the same reason. */
void leases_expire(struct leases *leases, uint64_t now_ns) {
  uint32_t steps = EXPIRE_STEPS_MAX;
  for (;;) {
    struct timer_heap_entry *term = timer_heap_first(&leases->terms);
    struct timer_heap_entry *until = timer_heap_first(&leases->untils);
    if (is_over(term, now_ns) && (until == NULL || term->at_ns <= until->at_ns))
      expire(leases, lease_of(term), now_ns);
    else if (is_over(until, now_ns))
      leases_wait_over(leases, wait_of(until), &steps, now_ns);
    else
      break;
  }
  check_lt(now_ns, leases_next_ns(leases));
}
