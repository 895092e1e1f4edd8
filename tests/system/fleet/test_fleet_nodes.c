/* Two daemons that share a real tier, with worker processes: one computation in the fleet, also
 * when its owner, its daemon or the tier ends. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/child_process.h"
#include "tests/support/fleet_nodes.h"
#include "tests/support/library.h"
#include "tests/support/service_manager.h"

#define BATCH 100u
#define VALUE "computed"

/* ---- workers ---- */

static int compute(void *arg, struct fcache_value *value) {
  (void)arg;
  CHILD_EXPECT(fleet_board_compute());
  return fcache_value_set(value, VALUE, sizeof VALUE);
}

/* In a child: gets the key of the test on the node whose daemon is `arg`. */
static int look_up(void *arg) {
  const struct daemon *node = arg;
  struct fcache *cache =
      library_open_in_child(node->socket, FLEET_SPACE, "worker", LIBRARY_PATIENT_MS);
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(fcache_cached(cache, &key, compute, NULL, &value) == 0);
  CHILD_EXPECT(value.size == sizeof VALUE && memcmp(value.data, VALUE, sizeof VALUE) == 0);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static pid_t start_worker(unsigned node) {
  return child_start(look_up, &fleet_nodes[node], NULL);
}

/* A worker of node 0 computes, and one of node 1 waits for it. */
static void begin(pid_t workers[2]) {
  workers[0] = start_worker(0);
  fleet_board_wait(1);
  workers[1] = start_worker(1);
  library_wait_stat(fleet_watches[1], "lease_waits", 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_remote_waits"), 1);
}

/* The computations end, and so do the workers. */
static void end(const pid_t *workers, unsigned n) {
  atomic_store(&fleet_board->open, true);
  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(harness_wait(workers[i], FLEET_TIMEOUT_MS), 0);
}

/* ---- one computation ---- */

START_TEST(value_of_one_node_serves_waiter_of_other) {
  pid_t workers[2];
  begin(workers);
  end(workers, 2);
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "leases_granted"), 0);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_remote_hits"), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_hits"), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "shared_hits"), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[0], "leases_granted"), 1);
}
END_TEST

START_TEST(value_in_tier_is_hit_for_next_node) {
  pid_t worker = start_worker(0);
  end(&worker, 1);
  library_wait_stat(fleet_watches[0], "tier_writes", 1);
  worker = start_worker(1);
  end(&worker, 1);
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_hits"), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_remote_hits"), 0);
}
END_TEST

/* ---- ends ---- */

START_TEST(worker_that_dies_hands_computation_to_other_node) {
  pid_t workers[2];
  begin(workers);
  ck_assert_int_eq(kill(workers[0], SIGKILL), 0);
  ck_assert_int_eq(harness_wait(workers[0], FLEET_TIMEOUT_MS), 128 + SIGKILL);
  fleet_board_wait(2);
  end(&workers[1], 1);
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 2);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "leases_granted"), 1);
}
END_TEST

/* Its fleet leases expire, because nobody renews them. */
START_TEST(daemon_that_is_killed_hands_computation_to_other_node) {
  pid_t workers[2];
  begin(workers);
  harness_kill9(&fleet_nodes[0]);
  fleet_board_wait(2);
  end(workers, 2); /* the worker without a daemon returns its own value */
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 2);
  fleet_node_start(0);
}
END_TEST

START_TEST(tier_that_is_killed_lets_waiter_compute) {
  pid_t workers[2], next[2];
  begin(workers);
  tier_server_kill9(&fleet_server);
  fleet_board_wait(2);
  end(workers, 2);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "leases_granted"), 1);
  tier_server_restart(&fleet_server);
  library_wait_stat(fleet_watches[0], "tier_open", 0);
  library_wait_stat(fleet_watches[1], "tier_open", 0);
  for (unsigned i = 0; i < 2; i++) /* both nodes have their value */
    next[i] = start_worker(i);
  end(next, 2);
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 2);
}
END_TEST

/* The worker goes on computing, and its put reaches the next daemon, which publishes the value. */
START_TEST(daemon_that_restarts_publishes_put_of_worker) {
  struct service_manager manager;
  pid_t worker;
  service_manager_init(&manager);
  service_manager_start(&manager, "--tier", fleet_server.unix_url, "--tier-deadline", "20", NULL);
  worker = child_start(look_up, &manager.daemon, NULL);
  fleet_board_wait(1);
  service_manager_kill9(&manager);
  service_manager_start(&manager, "--tier", fleet_server.unix_url, "--tier-deadline", "20", NULL);
  end(&worker, 1);
  struct fcache *watch = library_open(manager.daemon.socket, FLEET_SPACE, "watch", 0);
  library_wait_stat(watch, "tier_writes", 1);
  fcache_close(watch);
  worker = start_worker(1);
  end(&worker, 1);
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 1);
  service_manager_deinit(&manager);
}
END_TEST

/* ---- batches ---- */

/* One computation of all misses, held at the gate. */
static int compute_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  uint32_t *computed = arg;
  CHILD_EXPECT(fleet_board_compute());
  *computed += (uint32_t)n;
  for (size_t i = 0; i < n; i++)
    CHILD_EXPECT(fcache_batch_add(batch, &misses[i], sizeof misses[i]) == 0);
  return 0;
}

/* In a child: gets a batch on the node whose daemon is `arg`. It computes all or nothing. */
static int look_up_batch(void *arg) {
  const struct daemon *node = arg;
  struct fcache *cache =
      library_open_in_child(node->socket, FLEET_SPACE, "batch", LIBRARY_PATIENT_MS);
  struct fcache_hash prompts[BATCH];
  struct fcache_value values[BATCH] = {{0}};
  uint32_t computed = 0;
  CHILD_EXPECT(cache != NULL);
  for (size_t i = 0; i < BATCH; i++)
    prompts[i] = fcache_hash(&i, sizeof i);
  CHILD_EXPECT(fcache_cached_batch(cache, "op", "view", 0, prompts, BATCH, compute_misses,
                                   &computed, values) == 0);
  for (size_t i = 0; i < BATCH; i++) {
    CHILD_EXPECT(values[i].size == sizeof i && memcmp(values[i].data, &i, sizeof i) == 0);
    fcache_value_free(&values[i]);
  }
  CHILD_EXPECT(computed == 0 || computed == BATCH);
  fcache_close(cache);
  return 0;
}

static pid_t start_batch(unsigned node) {
  return child_start(look_up_batch, &fleet_nodes[node], NULL);
}

START_TEST(batch_of_one_node_is_found_by_other) {
  pid_t worker = start_batch(0);
  end(&worker, 1);
  library_wait_stat(fleet_watches[0], "tier_writes", BATCH);
  worker = start_batch(1);
  end(&worker, 1);
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_hits"), BATCH);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "cache_hits"), BATCH);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_fills"), BATCH);
}
END_TEST

START_TEST(batch_waits_for_batch_of_other_node) {
  pid_t workers[2];
  workers[0] = start_batch(0);
  fleet_board_wait(1);
  workers[1] = start_batch(1);
  library_wait_stat(fleet_watches[1], "tier_remote_waits", BATCH);
  end(workers, 2);
  ck_assert_uint_eq(atomic_load(&fleet_board->computes), 1);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "tier_hits"), BATCH);
  ck_assert_uint_eq(library_stat(fleet_watches[1], "leases_granted"), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_nodes");
  TCase *tcase = tcase_create("fleet_nodes"), *failing = tcase_create("failing_tier");
  tcase_set_timeout(tcase, 120);
  tcase_set_timeout(failing, 120);
  if (tier_any_program() != NULL) {
    tcase_add_checked_fixture(tcase, fleet_nodes_start, fleet_nodes_stop);
    tcase_add_test(tcase, value_of_one_node_serves_waiter_of_other);
    tcase_add_test(tcase, value_in_tier_is_hit_for_next_node);
    tcase_add_test(tcase, worker_that_dies_hands_computation_to_other_node);
    tcase_add_test(tcase, daemon_that_is_killed_hands_computation_to_other_node);
    tcase_add_test(tcase, daemon_that_restarts_publishes_put_of_worker);
    tcase_add_test(tcase, batch_of_one_node_is_found_by_other);
    tcase_add_test(tcase, batch_waits_for_batch_of_other_node);
    tcase_add_checked_fixture(failing, fleet_nodes_start_failing, fleet_nodes_stop);
    tcase_add_test(failing, tier_that_is_killed_lets_waiter_compute);
  }
  suite_add_tcase(suite, tcase);
  suite_add_tcase(suite, failing);
  return harness_main(suite);
}
