/* Linked with one file of the region's writer or reader in which one mark of the protocol is off
 * (FC_REGION_MUTANT). Passes if the storm detects wrong answers. */
#include <check.h>

#include "storm.h"
#include "tests/support/runner.h"

START_TEST(storm_of_mutant_sees_wrong_answers) {
  struct storm_plan plan = {
      .reads = UINT64_MAX, .readers = 2, .buckets = 512, .until_wrong = true, .limit_s = 100};
  struct storm_result result;
  ck_assert(storm_run(&plan, &result));
  storm_print("mutant", &result);
  ck_assert_msg(result.reads.torn + result.reads.old > 0,
                "a mark of the protocol was switched off, and no reader got a wrong value");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mutant");
  TCase *tests = tcase_create("mutant");
  tcase_set_timeout(tests, 110);
  tcase_add_test(tests, storm_of_mutant_sees_wrong_answers);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
