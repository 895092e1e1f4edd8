/* Simulated fleets of 10 and 100 nodes, in each scene: what holds always, and what holds without
 * faults. */
#include <check.h>

#include "tests/fleet_sim/sim_scene.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define SEEDS (SANITIZER_SLOW ? 1 : 3)

static const uint32_t sizes[] = {10, 100};
static struct sim_results results, again;

/* Runs a scene, and checks what holds in each. */
static struct sim_params run(const char *name, uint32_t nodes, uint64_t seed) {
  struct sim_params params = sim_params_usual(nodes);
  params.seed = seed;
  sim_scene_find(name)->set(&params);
  sim_run(&params, &results);
  ck_assert_uint_eq(results.lookups, (uint64_t)nodes * params.workers * params.keys);
  ck_assert_uint_eq(results.unfinished, 0);
  ck_assert_uint_eq(results.wrong, 0);
  ck_assert_uint_eq(results.stale, 0);
  ck_assert_uint_eq(results.dropped, 0);
  return params;
}

static void check_no_faults(void) {
  ck_assert_uint_eq(results.computed, results.tasks);
  ck_assert_uint_eq(results.timeouts, 0);
  ck_assert_uint_eq(results.openings, 0);
}

static uint64_t p99_ns(void) {
  return fc_histogram_quantile(&results.waited, 99, 100);
}

START_TEST(steady_each_key_computed_once) {
  for (uint32_t i = 0; i < 2; i++) {
    struct sim_params params = run("steady", sizes[i], 1 + (uint64_t)_i);
    check_no_faults();
    ck_assert_uint_eq(results.computed, params.keys);
    ck_assert_uint_le(p99_ns(), 20 * SIM_MS);
  }
}
END_TEST

START_TEST(herd_each_key_computed_once) {
  for (uint32_t i = 0; i < 2; i++) {
    struct sim_params params = run("herd", sizes[i], 1 + (uint64_t)_i);
    check_no_faults();
    ck_assert_uint_eq(results.computed, params.keys);
    ck_assert_uint_le(p99_ns(), 300 * SIM_MS);
  }
}
END_TEST

/* A miss sends four messages at most, and each that is lost costs a computation. While the breaker
 * is open, so does each other miss. */
START_TEST(lossy_few_computed_again) {
  for (uint32_t i = 0; i < 2; i++) {
    (void)run("lossy", sizes[i], 1 + (uint64_t)_i);
    ck_assert_uint_gt(results.timeouts, 0);
    ck_assert_uint_le(results.computed - results.tasks, results.waited.count / 10);
    ck_assert_uint_le(p99_ns(), 100 * SIM_MS);
  }
}
END_TEST

/* The misses of the time without a server, and the values that it lost. */
START_TEST(failover_only_its_time_computed_again) {
  for (uint32_t i = 0; i < 2; i++) {
    (void)run("failover", sizes[i], 1 + (uint64_t)_i);
    ck_assert_uint_gt(results.openings, 0);
    ck_assert_uint_le(results.computed - results.tasks, results.waited.count / 5);
    ck_assert_uint_le(p99_ns(), 100 * SIM_MS);
  }
}
END_TEST

/* No value from before the clear is used on a node that knows it (run). */
START_TEST(clear_reaches_all_nodes_within_a_second) {
  for (uint32_t i = 0; i < 2; i++) {
    struct sim_params params = run("clear", sizes[i], 1 + (uint64_t)_i);
    check_no_faults();
    ck_assert_uint_gt(results.computed, params.keys);
    ck_assert_uint_eq(results.learned.count + results.learned_early, params.nodes);
    ck_assert_uint_gt(results.learned.count, 0);
    ck_assert_uint_le(results.learned.max_ns, SIM_SECOND);
  }
}
END_TEST

START_TEST(same_seed_same_run) {
  (void)run("lossy", 10, 7);
  again = results;
  (void)run("lossy", 10, 7);
  ck_assert_uint_eq(results.events, again.events);
  ck_assert_uint_eq(results.commands, again.commands);
  ck_assert_uint_eq(results.took_ns, again.took_ns);
  ck_assert_uint_eq(results.waited.sum_ns, again.waited.sum_ns);
  (void)run("lossy", 10, 8);
  ck_assert_uint_ne(results.took_ns, again.took_ns);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_sim");
  TCase *tcase = tcase_create("fleet_sim");
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, steady_each_key_computed_once, 0, SEEDS);
  tcase_add_loop_test(tcase, herd_each_key_computed_once, 0, SEEDS);
  tcase_add_loop_test(tcase, lossy_few_computed_again, 0, SEEDS);
  tcase_add_loop_test(tcase, failover_only_its_time_computed_again, 0, SEEDS);
  tcase_add_loop_test(tcase, clear_reaches_all_nodes_within_a_second, 0, SEEDS);
  tcase_add_test(tcase, same_seed_same_run);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
