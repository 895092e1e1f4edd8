/* Random gets, puts, deaths, evictions and faults on several nodes over one tier, against what must
 * hold in any order. The loop's index is the seed. Check prints it where a case fails.
 *
 * Each computed value has a number that rises over all nodes, so that an older value is seen. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/expect.h"
#include "tests/support/fleet_world.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define SEEDS (SANITIZER_SLOW ? 4 : 12)
#define STEPS 4000u
#define WINDOW 5u /* keys at a time: later other ones, because a key of a node may become own */
#define WINDOW_STEPS 80u
#define KEYS (WINDOW + STEPS / WINDOW_STEPS)

struct rules {
  bool faults;   /* lost messages and connections, and a full tier */
  bool deaths;   /* of workers */
  bool clears;   /* of one node's cache */
  bool replaces; /* puts without keep_first */
};

static struct rules rules;
static struct world *const world = &the_world;
static uint64_t random_state;
static uint32_t base;                          /* the first key of the window */
static uint64_t numbers;                       /* of values */
static uint64_t served[WORLD_NODES_MAX][KEYS]; /* the highest number on each node */
static uint32_t hits_seen[WORLD_NODES_MAX][WORLD_WORKERS];
static uint64_t computed[KEYS]; /* puts by workers that computed */
static char first_published[KEYS][64];

static uint32_t below(uint32_t n) {
  EXPECT(n > 0);
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)((random_state >> 11) % n);
}

static uint32_t some_key(void) {
  return base + below(1 + below(WINDOW));
}

static bool is_computing(const struct world_worker *worker) {
  return worker->state == WORKER_COMPUTES || worker->state == WORKER_COMPUTES_ALONE;
}

/* ---- what must hold after each step ---- */

static void check_hit(uint32_t node, uint32_t worker) {
  const struct world_worker *at = &world->nodes[node].workers[worker];
  unsigned long long key, number;
  if (at->hits == hits_seen[node][worker])
    return;
  hits_seen[node][worker] = at->hits;
  EXPECT(sscanf(at->value, "%llu.%llu", &key, &number) == 2);
  EXPECT_EQUAL(key, at->key);
  EXPECT(number >= served[node][key]); /* never an older value after a newer one */
  served[node][key] = number;
}

/* Counts those that compute, as far as the fleet knows. */
static void check_computing(uint32_t key) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < world->n; i++)
    for (uint32_t j = 0; j < WORLD_WORKERS; j++) {
      const struct world_worker *worker = &world->nodes[i].workers[j];
      n += is_computing(worker) && worker->key == key;
    }
  EXPECT(n <= 1);
}

static void check_published(uint32_t key) {
  const char *text = world_published(world, key, 0);
  if (first_published[key][0] == '\0' && text != NULL)
    (void)snprintf(first_published[key], sizeof *first_published, "%s", text);
  else if (first_published[key][0] != '\0')
    EXPECT(text != NULL && strcmp(text, first_published[key]) == 0);
}

/* Nobody waits for the tier longer than a deadline. */
static void check_parked(const struct world_worker *worker) {
  EXPECT((worker->waiter.fill != NULL) == (worker->state == WORKER_PARKED && !worker->is_resumed));
  EXPECT(worker->state != WORKER_PARKED || worker->is_resumed ||
         world->now_ns - worker->since_ns <= WORLD_DEADLINE_NS);
}

static void check(struct world *of) {
  (void)of;
  for (uint32_t i = 0; i < world->n; i++) {
    EXPECT(fleet_bytes(&world->nodes[i].fleet) <= fleet_bytes_max(&world->nodes[i].fleet.config));
    for (uint32_t j = 0; j < WORLD_WORKERS; j++) {
      check_hit(i, j);
      check_parked(&world->nodes[i].workers[j]);
    }
  }
  for (uint32_t key = base < WINDOW ? 0 : base - WINDOW; key < base + WINDOW; key++) {
    if (!rules.replaces)
      check_published(key);
    if (!rules.faults && !rules.clears && !rules.replaces)
      check_computing(key);
  }
}

/* ---- steps ---- */

static void put(struct world_worker *worker, uint32_t key, bool keep_first) {
  char text[64];
  uint32_t node = (uint32_t)(worker->node - world->nodes);
  world->now_ns++; /* no two puts have one stamp */
  (void)snprintf(text, sizeof text, "%u.%llu", key, (unsigned long long)++numbers);
  bool computes = is_computing(worker) && worker->key == key;
  int outcome = worker_put_key(worker, key, text, keep_first);
  if (outcome == FC_STORED && served[node][key] < numbers)
    served[node][key] = numbers; /* others may have had it */
  if (!computes)
    return;
  computed[key]++;
  worker->state = WORKER_IDLE;
}

static void act(struct world_worker *worker) {
  uint32_t dice = below(100);
  if (worker->state == WORKER_IDLE)
    worker_get(worker, some_key());
  else if (is_computing(worker) && dice < 50)
    put(worker, worker->key, true);
  else if (rules.deaths && dice >= 90)
    worker_die(worker);
}

static void evict(struct world_node *node) {
  uint32_t number = some_key();
  struct fc_key key = world_key(number);
  if (store_peek(&node->store, node->ns, &key) != NULL)
    world_evict(node, number);
}

static void fault(struct world_node *node) {
  struct fake_io *io = &node->io;
  switch (below(10)) {
  case 0:
    io->is_down = !io->is_down;
    break;
  case 1:
    io->refuses_writes = !io->refuses_writes;
    break;
  case 2:
    fake_io_break(io, world->now_ns);
    break;
  case 3:
    io->lost_requests = below(3) * 100;
    io->lost_replies = below(3) * 100;
    break;
  case 4:
    io->latency_ns = (1 + below(60)) * WORLD_MS;
    break;
  default: /* well again, which is the most likely */
    io->is_down = io->refuses_writes = false;
    io->lost_requests = io->lost_replies = 0;
    io->latency_ns = WORLD_LATENCY_NS;
  }
}

static void pass(void) {
  static const uint64_t units_ns[] = {WORLD_MS / 10, WORLD_MS, 10 * WORLD_MS, 300 * WORLD_MS};
  world_run(world, (1 + below(10)) * units_ns[below(4)]);
}

static void step(void) {
  struct world_node *node = &world->nodes[below(world->n)];
  struct world_worker *worker = &node->workers[below(WORLD_WORKERS)];
  uint32_t dice = below(1000);
  if (dice < 600)
    act(worker);
  else if (dice < 850)
    pass();
  else if (dice < 950)
    evict(node);
  else if (dice < 970 && rules.faults)
    fault(node);
  else if (dice < 980 && rules.clears)
    world_clear(node);
  else if (dice < 990 && rules.replaces)
    put(worker, some_key(), false);
  world_settle(world);
}

/* ---- the end: without faults, every get ends ---- */

static bool is_idle(void) {
  for (uint32_t i = 0; i < world->n; i++)
    for (uint32_t j = 0; j < WORLD_WORKERS; j++)
      if (world->nodes[i].workers[j].state != WORKER_IDLE)
        return false;
  return true;
}

static void finish(void) {
  world_end_faults(world);
  for (uint32_t round = 0; round < 100 && !is_idle(); round++) {
    for (uint32_t i = 0; i < world->n; i++)
      for (uint32_t j = 0; j < WORLD_WORKERS; j++) {
        struct world_worker *worker = &world->nodes[i].workers[j];
        if (is_computing(worker))
          put(worker, worker->key, true);
      }
    world_run(world, 300 * WORLD_MS);
  }
  EXPECT(is_idle());
  world_run(world, 12000 * WORLD_MS);
  for (uint32_t i = 0; i < world->n; i++) {
    EXPECT_EQUAL(world->nodes[i].fleet.n, 0);
    EXPECT_EQUAL(world->nodes[i].fleet.queue.n, 0);
    EXPECT_EQUAL(world->nodes[i].leases.n, 0);
    leases_check(&world->nodes[i].leases);
  }
  for (uint32_t key = 0; key < KEYS; key++)
    EXPECT(!world_leased(world, key, 0));
}

static struct fleet_counts sum_of_counts(void) {
  struct fleet_counts sum = {0};
  for (uint32_t i = 0; i < world->n; i++) {
    const struct fleet_counts *counts = &world->nodes[i].fleet.counts;
    sum.found += counts->found;
    sum.remote += counts->remote;
    sum.remote_found += counts->remote_found;
    sum.remote_taken += counts->remote_taken;
    sum.failed += counts->failed;
    sum.late += counts->late;
    sum.skipped_own += counts->skipped_own;
    sum.stale += counts->stale;
    sum.refused += counts->refused;
  }
  return sum;
}

static struct fleet_counts run(uint64_t seed, const struct rules *with) {
  rules = *with;
  random_state = 88172645463325252u + seed * 7919;
  numbers = 0;
  memset(served, 0, sizeof served);
  memset(hits_seen, 0, sizeof hits_seen);
  memset(computed, 0, sizeof computed);
  memset(first_published, 0, sizeof first_published);
  world_start(2 + below(3), NULL);
  world->check = check;
  for (uint32_t i = 0; i < world->n; i++)
    world->nodes[i].io.jitter = below(4);
  for (uint32_t i = 0; i < STEPS; i++) {
    base = i / WINDOW_STEPS;
    step();
  }
  finish();
  struct fleet_counts counts = sum_of_counts();
  world_stop();
  return counts;
}

/* Each key is computed once in the fleet, whatever is evicted. */
START_TEST(without_faults_each_key_is_computed_once) {
  struct fleet_counts counts = run((uint64_t)_i, &(struct rules){0});
  for (uint32_t key = 0; key < KEYS; key++)
    EXPECT(computed[key] <= 1);
  EXPECT(counts.found > 10 && counts.failed == 0 && counts.skipped_own == 0);
}
END_TEST

START_TEST(with_deaths_one_worker_computes_at_a_time) {
  struct fleet_counts counts = run((uint64_t)_i, &(struct rules){.deaths = true});
  EXPECT(counts.found > 10 && counts.failed == 0);
}
END_TEST

START_TEST(with_clears_and_replaces_no_older_value_is_served) {
  struct fleet_counts counts =
      run((uint64_t)_i, &(struct rules){.deaths = true, .clears = true, .replaces = true});
  EXPECT(counts.found > 10);
}
END_TEST

START_TEST(with_faults_no_older_value_is_served_and_everything_ends) {
  struct fleet_counts counts =
      run((uint64_t)_i,
          &(struct rules){.faults = true, .deaths = true, .clears = true, .replaces = _i % 2 == 0});
  EXPECT(counts.found > 10 && counts.failed > 10 && counts.skipped_own > 10);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_random");
  TCase *tcase = tcase_create("fleet_random");
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, without_faults_each_key_is_computed_once, 0, SEEDS);
  tcase_add_loop_test(tcase, with_deaths_one_worker_computes_at_a_time, 0, SEEDS);
  tcase_add_loop_test(tcase, with_clears_and_replaces_no_older_value_is_served, 0, SEEDS);
  tcase_add_loop_test(tcase, with_faults_no_older_value_is_served_and_everything_ends, 0, SEEDS);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
