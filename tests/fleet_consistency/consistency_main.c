/* make fleet-consistency: the check of a fleet's histories, for as long as $SECONDS says. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fleet_consistency/consistency.h"
#include "tests/support/tier_server.h"

static uint64_t number_of(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text == NULL || *text == '\0' ? otherwise : strtoull(text, NULL, 10);
}

START_TEST(histories_are_consistent) {
  const struct consistency_plan plan = {.program = tier_any_program(),
                                        .seed = number_of("SEED", harness_now_ns()),
                                        .seconds = number_of("SECONDS", 300),
                                        .bound_ns = number_of("BOUND_MS", 2500) * 1000000};
  if (plan.program == NULL)
    return;
  (void)printf("seed %llu\n", (unsigned long long)plan.seed);
  struct consistency_result result = consistency_run(&plan);
  (void)printf(
      "%llu events: %llu hits, %llu values, %llu clears and deletes, %llu faults injected; "
      "%zu hits that a fleet must not give\n",
      (unsigned long long)result.events, (unsigned long long)result.hits,
      (unsigned long long)result.puts, (unsigned long long)result.clears,
      (unsigned long long)result.faults_injected, result.faults);
  ck_assert_msg(result.faults == 0, "%s", result.report);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_consistency");
  TCase *tests = tcase_create("fleet_consistency");
  tcase_set_timeout(tests, 0);
  tcase_add_test(tests, histories_are_consistent);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
