/* The crash storm with a daemon, PROGRAM.fcached, in which one step that keeps the cache is off
 * (FC_CATALOG_MUTANT). Passes if the storm detects a fault. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash_storm.h"
#include "tests/support/harness.h"

#define LIMIT_S 100.0

START_TEST(crash_storm_of_mutant_sees_fault) {
  struct crash_plan plan = {
      .rounds = UINT32_MAX, .seed = 14, .until_fault = true, .limit_s = LIMIT_S};
  struct crash_result result;
  (void)crash_storm_run(&plan, &result); /* a daemon that does not start is a fault too */
  crash_storm_print(&result);
  ck_assert_msg(crash_storm_faults(&result) > 0,
                "a step was switched off, and the storm saw no fault");
}
END_TEST

int main(int argc, char **argv) {
  char daemon[4096];
  Suite *suite = suite_create("crash_mutant");
  TCase *tests = tcase_create("crash_mutant");
  (void)argc;
  if (snprintf(daemon, sizeof daemon, "%s.fcached", argv[0]) >= (int)sizeof daemon ||
      setenv("FCACHED", daemon, 1) != 0)
    return EXIT_FAILURE;
  tcase_set_timeout(tests, LIMIT_S + 30);
  tcase_add_test(tests, crash_storm_of_mutant_sees_fault);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
