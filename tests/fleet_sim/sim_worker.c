#include "tests/fleet_sim/sim_worker.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/region/entry.h"
#include "tests/fleet_sim/sim_memory.h"
#include "tests/fleet_sim/sim_node.h"

/* A stored value. */
struct sim_value {
  uint64_t key, version;
};

static uint64_t now_of(const struct sim_worker *worker) {
  return worker->node->sim->clock.now_ns;
}

static struct fc_key key_of(const struct sim_worker *worker) {
  return (struct fc_key){.op = fc_str_of("op"),
                         .view = fc_str_of("base"),
                         .prompt = fc_hash_prompt(&worker->key, sizeof worker->key)};
}

static uint64_t lease_digest(const struct sim_worker *worker, const struct fc_key *key) {
  return fc_key_digest(worker->node->ns->seed ^ 1, key);
}

static void set_timer(struct sim_worker *worker, uint64_t after_ns) {
  sim_clock_set(&worker->node->sim->clock, &worker->timer, now_of(worker) + after_ns);
}

static void next_key(struct sim_worker *worker) {
  struct sim *sim = worker->node->sim;
  worker->asked = worker->counted = false;
  worker->place++;
  worker->state = worker->place < sim->params.keys ? SIM_THINKS : SIM_DONE;
  if (worker->state == SIM_DONE)
    sim->busy--;
  else
    set_timer(worker, sim_random_exponential(&sim->random, sim->params.think_ns));
}

/* ---- results ---- */

/* The lookup has missed, and ends now: with a value, or as a computation begins. */
static void record_wait(struct sim_worker *worker, bool computes) {
  struct sim *sim = worker->node->sim;
  uint64_t now_ns = now_of(worker), from_ns = worker->since_ns;
  const struct sim_task *task =
      sim_task(sim, worker->key, fleet_clears_newest(&worker->node->clears));
  if (!computes && task->done_ns > from_ns)
    from_ns = task->done_ns;
  fc_histogram_add(&sim->results.waited, now_ns - from_ns);
}

static void record_computed(struct sim_worker *worker) {
  struct sim *sim = worker->node->sim;
  struct sim_task *task = sim_task(sim, worker->key, worker->version);
  sim->results.computed++;
  sim->results.tasks += task->computed == 0;
  if (task->computed++ == 0)
    task->done_ns = now_of(worker);
}

static void check_value(struct sim_worker *worker, const struct entry *entry) {
  struct sim_results *results = &worker->node->sim->results;
  struct iovec pieces[FC_REGION_PIECES_MAX];
  struct sim_value value;
  check_eq(entry_value(entry, pieces), 1);
  check_eq(pieces[0].iov_len, sizeof value);
  memcpy(&value, pieces[0].iov_base, sizeof value);
  results->wrong += value.key != worker->key;
  results->stale += value.version < fleet_clears_newest(&worker->node->clears);
}

/* ---- a lookup ---- */

static void compute(struct sim_worker *worker) {
  struct sim_node *node = worker->node;
  struct sim *sim = node->sim;
  record_wait(worker, true);
  worker->state = SIM_COMPUTES;
  worker->version = fleet_clears_newest(&node->clears);
  worker->generation = node->store.saved->generation;
  worker->compute_ns =
      sim_random_lognormal(&sim->random, sim->params.compute_ns, sim->params.compute_sigma);
  set_timer(worker, worker->compute_ns);
}

static void count_wait(struct sim_worker *worker) {
  worker->node->sim->results.waits += !worker->counted;
  worker->counted = true;
}

/* Returns whether the worker is parked. `*again`: the value is in the store now. */
static bool ask_fleet(struct sim_worker *worker, const struct fc_key *key, bool *again) {
  struct sim_node *node = worker->node;
  if (worker->asked)
    return false;
  worker->asked = true;
  enum fleet_answer answer = fleet_miss(&node->fleet, &worker->waiter, node->ns,
                                        lease_digest(worker, key), key, now_of(worker));
  *again = answer == FLEET_STORED;
  return answer == FLEET_WAITS;
}

static void acquire(struct sim_worker *worker, const struct fc_key *key) {
  struct sim_node *node = worker->node;
  struct lease_request request = {.ns = node->ns,
                                  .digest = lease_digest(worker, key),
                                  .key = key,
                                  .wants = true,
                                  .wait_ns = 300 * SIM_SECOND,
                                  .flags = FC_LEASE};
  enum lease_answer answer =
      leases_acquire(&node->leases, &worker->client, &request, now_of(worker));
  if (answer != LEASE_WAITS) {
    compute(worker);
    return;
  }
  count_wait(worker);
  worker->state = SIM_WAITS;
}

static void look_up(struct sim_worker *worker, bool first) {
  struct sim_node *node = worker->node;
  struct fc_key key = key_of(worker);
  bool again = true;
  struct entry *entry = store_peek(&node->store, node->ns, &key);
  if (entry == NULL) {
    if (ask_fleet(worker, &key, &again)) {
      count_wait(worker);
      worker->state = SIM_PARKED;
      return;
    }
    entry = again ? store_peek(&node->store, node->ns, &key) : NULL;
    first = false;
  }
  if (entry == NULL) {
    acquire(worker, &key);
    return;
  }
  check_value(worker, entry);
  node->sim->results.hits += first;
  if (!first)
    record_wait(worker, false);
  store_use(&node->store, entry, now_of(worker));
  next_key(worker);
}

static void begin(struct sim_worker *worker) {
  worker->key = worker->order[worker->place];
  worker->since_ns = now_of(worker);
  worker->node->sim->results.lookups++;
  look_up(worker, true);
}

static void put(struct sim_worker *worker) {
  struct sim_node *node = worker->node;
  struct fc_key key = key_of(worker);
  struct sim_value value = {worker->key, worker->version};
  uint64_t digest = lease_digest(worker, &key), now_ns = now_of(worker);
  struct store_put_info info = {.compute_ns = worker->compute_ns,
                                .now_ns = now_ns,
                                .keep_first = true,
                                .has_generation = true,
                                .generation = worker->generation};
  record_computed(worker);
  int outcome = store_put(&node->store, node->ns, &key, &value, sizeof value, &info);
  if (outcome == FC_STORED)
    fleet_put(&node->fleet, node->ns, digest, &key, &info, &value, sizeof value, now_ns);
  if (outcome == FC_STORED || outcome == FC_KEPT)
    leases_put(&node->leases, node->ns, digest, &key, now_ns);
  else
    (void)leases_give_up(&node->leases, &worker->client, node->ns, digest, &key,
                         outcome != FC_STALE, now_ns);
  next_key(worker);
}

static void fire(struct sim_event *event) {
  struct sim_worker *worker = (struct sim_worker *)event;
  if (worker->state == SIM_THINKS)
    begin(worker);
  else
    put(worker);
  sim_node_turn(worker->node);
}

void sim_worker_continue(struct sim_worker *worker) {
  assert(worker->state == SIM_PARKED);
  look_up(worker, false);
}

/* As daemon/requests/deferred_replies.c, and then the library, which sends its get again. */
void sim_worker_wait_ended(struct sim_worker *worker) {
  struct sim_node *node = worker->node;
  const struct lease_wait *wait = worker->client.due_first;
  enum lease_end end = wait->end;
  bool granted = end == LEASE_END_GRANTED && wait->lease->owner == &worker->client;
  assert(worker->state == SIM_WAITS);
  leases_due_done(&node->leases, &worker->client);
  if (granted || end == LEASE_END_NONE) {
    compute(worker);
    return;
  }
  worker->asked = false;
  look_up(worker, false);
}

/* ---- life ---- */

void sim_worker_init(struct sim_worker *worker, struct sim_node *node, uint32_t *order) {
  *worker = (struct sim_worker){.timer = {.fire = fire}, .node = node, .order = order};
  if (order != NULL)
    return;
  uint32_t keys = node->sim->params.keys;
  worker->order = sim_alloc(keys, sizeof *worker->order);
  for (uint32_t i = 0; i < keys; i++)
    worker->order[i] = i;
  sim_random_shuffle(&node->sim->random, worker->order, keys);
}

void sim_worker_start(struct sim_worker *worker) {
  struct sim *sim = worker->node->sim;
  sim->busy++;
  set_timer(worker, SIM_START_NS + sim_random_below(&sim->random, sim->params.start_ns + 1));
}

void sim_worker_deinit(struct sim_worker *worker) {
  sim_clock_unset(&worker->node->sim->clock, &worker->timer);
  if (worker->order != worker->node->sim->order)
    free(worker->order);
  worker->order = NULL;
}

struct sim_worker *sim_worker_of_waiter(struct fleet_waiter *waiter) {
  return (struct sim_worker *)((uintptr_t)waiter - offsetof(struct sim_worker, waiter));
}

struct sim_worker *sim_worker_of_client(struct lease_client *client) {
  return (struct sim_worker *)((uintptr_t)client - offsetof(struct sim_worker, client));
}
