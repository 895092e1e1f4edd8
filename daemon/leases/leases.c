#include "daemon/leases/leases.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/leases/leases_internal.h"

#define NS_PER_MS 1000000u

/* Of all searches in one leases_expire, so that very many waits that end together do not keep the
 * daemon from others: less than a millisecond. */
#define EXPIRE_STEPS_MAX 65536u

/* Of an array that doubles until it has `n` pointers. */
static size_t bytes_of_pointers(uint32_t n) {
  size_t capacity = 64;
  while (capacity < n)
    capacity *= 2;
  return capacity * sizeof(void *);
}

/* Besides leases and waits: two heaps, and the buckets, of which the old ones stand beside the new
 * ones while they grow. */
size_t leases_bytes_max(const struct leases_limits *limits) {
  return leases_bytes_allowed(limits) + bytes_of_pointers(limits->leases) * 5 / 2 +
         bytes_of_pointers(limits->waits);
}

size_t leases_bytes(const struct leases *leases) {
  return leases->bytes +
         (leases->n_buckets + leases->terms.capacity + leases->untils.capacity) * sizeof(void *);
}

void leases_init(struct leases *leases, const struct leases_limits *limits,
                 struct counters *counters) {
  *leases = (struct leases){.limits = *limits, .counters = counters};
}

void leases_deinit(struct leases *leases) {
  assert(leases->n == 0 && leases->waits == 0 && leases->due == 0 && leases->due_first == NULL);
  free(leases->buckets);
  deadlines_deinit(&leases->terms);
  deadlines_deinit(&leases->untils);
}

/* ---- times ---- */

static uint64_t later(uint64_t now_ns, uint64_t more_ns) {
  return more_ns <= UINT64_MAX - now_ns ? now_ns + more_ns : UINT64_MAX;
}

static uint64_t bounded(const struct leases *leases, uint64_t asked_ns) {
  uint64_t max_ns = leases->limits.time_max_ns;
  return asked_ns < max_ns ? asked_ns : max_ns;
}

static uint64_t term_of(const struct leases *leases, const struct lease_request *request) {
  uint64_t default_ns = (uint64_t)FC_LEASE_MS_DEFAULT * NS_PER_MS;
  return bounded(leases, request->term_ns == 0 ? default_ns : request->term_ns);
}

/* ---- a lease begins and ends ---- */

/* A holder that has a lease does not wait: no holder waits for one that waits. */
static void grant(struct leases *leases, struct lease *lease, struct lease_holder *holder,
                  uint64_t now_ns) {
  leases_end_waits_of(leases, holder, LEASE_END_AGAIN, now_ns);
  leases_own(leases, lease, holder, now_ns);
  leases->counters->leases_granted++;
  lease->ns->counters.leases_granted++;
}

static void end(struct leases *leases, struct lease *lease, enum lease_end how, uint64_t now_ns) {
  leases_disown(leases, lease);
  leases_end_waits_for(leases, lease, how, now_ns);
  leases_drop(leases, lease);
}

static struct lease_wait *first_that_wants(const struct lease *lease) {
  struct lease_wait *wait = lease->wait_first;
  while (wait != NULL && !wait->wants)
    wait = wait->next;
  return wait;
}

/* The lease has another owner, for whose process the others wait from now on. The waits of
 * processes for which that one waits close a circle. The edges to the former owner go first, so
 * that no circle is found that is over; those to the new one do not change what is found from it.
 */
static void wait_for_new_owner(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  struct lease_process *owner = lease->owner->process;
  if (lease->wait_first == NULL)
    return;
  for (struct lease_wait *wait = lease->wait_first; wait != NULL; wait = wait->next)
    leases_edge_remove(wait);
  leases_search(leases, owner);
  for (struct lease_wait *wait = lease->wait_first, *next; wait != NULL; wait = next) {
    next = wait->next;
    if (leases_is_helper(wait->holder->process, owner)) {
      leases_end_wait(leases, wait, LEASE_END_NONE, now_ns);
      continue;
    }
    leases_edge_add(wait);
    leases_set_grace(leases, wait, leases_closes_circle(leases, wait), now_ns);
  }
}

/* No bound is in the way: the number of leases stays, and who waits has none. The new owner's user
 * may come to hold more than its share, by what its waits are granted: they are bounded, too. */
static void hand_over(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  struct lease_wait *wait = first_that_wants(lease);
  if (wait == NULL) {
    end(leases, lease, LEASE_END_NONE, now_ns);
    return;
  }
  struct lease_holder *holder = wait->holder;
  deadlines_move(&leases->terms, &lease->term, later(now_ns, wait->term_ns));
  leases_disown(leases, lease);
  leases_end_wait(leases, wait, LEASE_END_GRANTED, now_ns);
  grant(leases, lease, holder, now_ns);
  wait_for_new_owner(leases, lease, now_ns);
}

static void count_abandoned(struct leases *leases, struct lease *lease) {
  leases->counters->leases_abandoned++;
  lease->ns->counters.leases_abandoned++;
}

static void abandon(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  count_abandoned(leases, lease);
  hand_over(leases, lease, now_ns);
}

/* ---- what comes from outside ---- */

static bool has_share(const struct lease_holder *holder, enum user_resource resource) {
  if (user_can_charge(holder->user, resource, 1))
    return true;
  user_count_refused(holder->user, resource);
  return false;
}

static enum lease_answer begin(struct leases *leases, struct lease_holder *holder,
                               const struct lease_request *request, uint64_t now_ns) {
  const struct leases_limits *limits = &leases->limits;
  if (!request->wants || leases->n >= limits->leases || holder->held >= limits->leases_each ||
      !has_share(holder, USER_LEASES))
    return LEASE_NONE;
  uint64_t end_ns = later(now_ns, term_of(leases, request));
  struct lease *lease = leases_make(leases, request, end_ns);
  if (lease == NULL)
    return LEASE_NONE;
  grant(leases, lease, holder, now_ns);
  return LEASE_GRANTED;
}

/* Waits that are over count until they are answered: who reads no replies takes no more memory. */
static bool may_wait(const struct leases *leases, const struct lease_holder *holder,
                     const struct lease *lease) {
  return holder->held == 0 && lease->waits < LEASES_WAITS_FOR_ONE_MAX &&
         leases->waits + leases->due < leases->limits.waits &&
         holder->waits + holder->due < leases->limits.waits_each && has_share(holder, USER_WAITS);
}

static enum lease_answer begin_wait(struct leases *leases, struct lease_holder *holder,
                                    struct lease *lease, const struct lease_request *request,
                                    uint64_t now_ns) {
  struct lease_process *owner = lease->owner->process;
  uint64_t until_ns = later(now_ns, bounded(leases, request->wait_ns));
  if (!may_wait(leases, holder, lease) || leases_is_helper(holder->process, owner))
    return LEASE_NONE;
  struct lease_wait *wait =
      leases_wait(leases, holder, lease, request, term_of(leases, request), now_ns, until_ns);
  if (wait == NULL)
    return LEASE_NONE;
  leases_edge_add(wait);
  leases_search(leases, owner);
  leases_set_grace(leases, wait, leases_closes_circle(leases, wait), now_ns);
  return LEASE_WAITS;
}

enum lease_answer leases_ask(struct leases *leases, struct lease_holder *holder,
                             const struct lease_request *request, uint64_t now_ns) {
  struct lease *lease = leases_find(leases, request->ns, request->digest, request->key);
  if (lease == NULL)
    return begin(leases, holder, request, now_ns);
  if (lease->owner == holder)
    return LEASE_NONE;
  if (request->wait_ns == 0)
    return LEASE_TAKEN;
  return begin_wait(leases, holder, lease, request, now_ns);
}

void leases_put(struct leases *leases, const struct namespace *ns, uint64_t digest,
                const struct fc_key *key, uint64_t now_ns) {
  struct lease *lease = leases_find(leases, ns, digest, key);
  if (lease == NULL)
    return;
  leases_learn(lease, now_ns);
  end(leases, lease, LEASE_END_PUT, now_ns);
}

bool leases_give_up(struct leases *leases, struct lease_holder *holder, const struct namespace *ns,
                    uint64_t digest, const struct fc_key *key, bool for_all, uint64_t now_ns) {
  struct lease *lease = leases_find(leases, ns, digest, key);
  if (lease == NULL || lease->owner != holder)
    return false;
  if (!for_all) {
    abandon(leases, lease, now_ns);
    return true;
  }
  count_abandoned(leases, lease);
  end(leases, lease, LEASE_END_NONE, now_ns);
  return true;
}

uint32_t leases_give_up_all(struct leases *leases, struct lease_holder *holder, uint64_t now_ns) {
  uint32_t given_up = holder->held;
  leases_end_waits_of(leases, holder, LEASE_END_NONE, now_ns);
  while (holder->held_first != NULL)
    abandon(leases, holder->held_first, now_ns);
  return given_up;
}

void leases_leave(struct leases *leases, struct lease_holder *holder, uint64_t now_ns) {
  (void)leases_give_up_all(leases, holder, now_ns); /* how many does not matter any more */
  leases_forget_due(leases, holder);
}

static bool is_selected(const struct lease *lease, const struct namespace *ns, struct fc_str view,
                        struct fc_str op) {
  return (ns == NULL || lease->ns == ns) &&
         (view.data == NULL || fc_str_equal(lease->key.view, view)) &&
         (op.data == NULL || fc_str_equal(lease->key.op, op));
}

/* Of a namespace, its own leases alone are looked at: clients may clear it often, and other clients
 * hold many. A lease that is handed over goes to the end of the list, where the clear must not come
 * to it again. No other lease moves or ends by that. */
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

/* ---- time ---- */

static struct lease *lease_of(struct deadline *term) {
  return (struct lease *)((char *)term - offsetof(struct lease, term));
}

static struct lease_wait *wait_of(struct deadline *until) {
  return (struct lease_wait *)((char *)until - offsetof(struct lease_wait, until));
}

static bool is_over(const struct deadline *deadline, uint64_t now_ns) {
  return deadline != NULL && deadline->at_ns <= now_ns;
}

static void expire(struct leases *leases, struct lease *lease, uint64_t now_ns) {
  leases->counters->leases_expired++;
  lease->ns->counters.leases_expired++;
  hand_over(leases, lease, now_ns);
}

/* In the order of their times, also where the caller is late: who would have been handed the lease
 * before its wait was over gets it. At the same time, the lease goes first, for the same reason. */
void leases_expire(struct leases *leases, uint64_t now_ns) {
  uint32_t steps = EXPIRE_STEPS_MAX;
  for (;;) {
    struct deadline *term = deadlines_first(&leases->terms);
    struct deadline *until = deadlines_first(&leases->untils);
    if (is_over(term, now_ns) && (until == NULL || term->at_ns <= until->at_ns))
      expire(leases, lease_of(term), now_ns);
    else if (is_over(until, now_ns))
      leases_wait_over(leases, wait_of(until), &steps, now_ns);
    else
      return;
  }
}

uint64_t leases_next_ns(const struct leases *leases) {
  const struct deadline *term = deadlines_first(&leases->terms);
  const struct deadline *until = deadlines_first(&leases->untils);
  uint64_t term_ns = term == NULL ? UINT64_MAX : term->at_ns;
  uint64_t until_ns = until == NULL ? UINT64_MAX : until->at_ns;
  return term_ns < until_ns ? term_ns : until_ns;
}
