/* A short run of the check of a fleet's histories: see tests/fleet_consistency/. */
#include "tests/fleet_consistency/consistency.h"
#include "tests/support/tier_server.h"

#define SECONDS 10
/* A second, and time for a breaker to close and for a busy machine. */
#define BOUND_NS UINT64_C(4000000000)

START_TEST(workers_see_no_older_and_no_cleared_value) {
  const struct consistency_plan plan = {
      .program = tier_any_program(), .seed = 16, .seconds = SECONDS, .bound_ns = BOUND_NS};
  struct consistency_result result = consistency_run(&plan);
  ck_assert_msg(result.faults == 0, "%zu of %llu hits: %s", result.faults,
                (unsigned long long)result.hits, result.report);
  /* A busy machine does a small part of what an idle one does. */
  ck_assert_uint_gt(result.hits, 100);
  ck_assert_uint_gt(result.clears, 0);
  ck_assert_uint_gt(result.faults_injected, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_consistency");
  TCase *tests = tcase_create("fleet_consistency");
  tcase_set_timeout(tests, 120);
  if (tier_any_program() != NULL)
    tcase_add_test(tests, workers_see_no_older_and_no_cleared_value);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
