/* A small herd: workers of several nodes miss the same keys at the same time, and each key is
 * computed once in the fleet. `make fleet-herd` runs the large one. */
#include <check.h>

#include "tests/fleet_herd/fleet_herd.h"
#include "tests/support/tier_cluster.h"
#include "tests/support/tier_server.h"

#define NODES 4u
#define WORKERS 4u
#define KEYS 200u
#define COMPUTE_NS 5000000u
#define TIMEOUT_S 120

static void expect_one_computation_each(const char *url) {
  static struct fleet_herd herd; /* large */
  herd = (struct fleet_herd){.nodes = NODES,
                             .workers = WORKERS,
                             .keys = KEYS,
                             .compute_ns = COMPUTE_NS,
                             /* The test is not about deadlines, which a busy machine may miss. */
                             .args = {"--max-bytes=64m", "--tier-deadline=10", "--tier", url}};
  fleet_herd_start(&herd);
  fleet_herd_race(&herd);
  fleet_herd_stop(&herd);
  ck_assert_uint_eq(herd.wrong, 0);
  ck_assert_uint_eq(herd.distinct, KEYS);
  ck_assert_uint_eq(herd.computations, KEYS);
}

START_TEST(four_nodes_miss_together_each_key_computed_once) {
  static struct tier_server server; /* large */
  const struct tier_server_config config = {.program = tier_engine_program((enum tier_engine)_i)};
  if (config.program == NULL)
    return;
  tier_server_start(&server, &config);
  expect_one_computation_each(server.url);
  tier_server_stop(&server);
}
END_TEST

START_TEST(four_nodes_of_a_cluster_miss_together_each_key_computed_once) {
  static struct tier_cluster cluster; /* large */
  const struct tier_server_config config = {.program = tier_engine_program((enum tier_engine)_i)};
  if (config.program == NULL)
    return;
  tier_cluster_start(&cluster, &config);
  expect_one_computation_each(cluster.url);
  tier_cluster_stop(&cluster);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_herd");
  TCase *tests = tcase_create("fleet_herd");
  tcase_set_timeout(tests, TIMEOUT_S);
  tcase_add_loop_test(tests, four_nodes_miss_together_each_key_computed_once, 0, TIER_ENGINES);
  tcase_add_loop_test(tests, four_nodes_of_a_cluster_miss_together_each_key_computed_once, 0,
                      TIER_ENGINES);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
