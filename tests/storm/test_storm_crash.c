/* The daemon is killed $FC_STORM_KILLS times while 8 workers use it. Each time the next daemon has
 * everything that was acknowledged. crash_mutant.c runs the same with one step of it off. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash_storm.h"
#include "tests/support/harness.h"
#include "tests/support/sanitizer.h"

#define KILLS (SANITIZER_SLOW ? 60u : 300u)
#define SPARED_ROUNDS 110u
#define KILLS_A_SECOND 4u /* that the slowest machine does: for the time limit */

static uint32_t number_of(const char *variable, uint32_t otherwise) {
  const char *text = getenv(variable);
  return text == NULL || *text == '\0' ? otherwise : (uint32_t)strtoul(text, NULL, 10);
}

static double limit_s(void) {
  return 30.0 + (double)number_of("FC_STORM_KILLS", KILLS) / KILLS_A_SECOND;
}

START_TEST(daemon_killed_at_any_moment_loses_nothing) {
  struct crash_plan plan = {.rounds = number_of("FC_STORM_KILLS", KILLS),
                            .seed = number_of("FC_STORM_SEED", 14),
                            .kind = getenv("FC_STORM_KIND"),
                            .limit_s = limit_s()};
  struct crash_result result;
  bool done = crash_storm_run(&plan, &result);
  crash_storm_print(&result);
  for (int i = 0; i < CRASH_FAULTS; i++)
    ck_assert_msg(result.faults[i] == 0, "%u %s", result.faults[i], crash_fault_names[i]);
  ck_assert(done);
  ck_assert_uint_ge(result.kills, plan.rounds);
  if (plan.kind != NULL || SANITIZER_SLOW)
    return;
  /* enough of each kind happened */
  ck_assert_uint_gt(result.adopting, 0);
  ck_assert_uint_gt(result.ordered, 0);
  ck_assert_uint_ge(result.puts, result.kills);
  ck_assert_uint_ge(result.clears, result.kills / 20);
  ck_assert_uint_ge(result.inherited, result.kills / 100);
}
END_TEST

/* The model has no fault of its own. */
START_TEST(daemon_that_lives_on_has_no_fault) {
  struct crash_plan plan = {.rounds = SPARED_ROUNDS,
                            .seed = number_of("FC_STORM_SEED", 14),
                            .kind = getenv("FC_STORM_KIND"),
                            .spares = true,
                            .limit_s = limit_s()};
  struct crash_result result;
  bool done = crash_storm_run(&plan, &result);
  crash_storm_print(&result);
  ck_assert(done);
  ck_assert_uint_eq(crash_storm_faults(&result), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("storm_crash");
  TCase *tests = tcase_create("crash");
  tcase_set_timeout(tests, limit_s() + 60);
  tcase_add_test(tests, daemon_that_lives_on_has_no_fault);
  tcase_add_test(tests, daemon_killed_at_any_moment_loses_nothing);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
