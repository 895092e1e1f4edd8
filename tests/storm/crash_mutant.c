/* The crash storm with a daemon, PROGRAM.fcached, in which one step that keeps the cache is off
 * (FC_CATALOG_MUTANT). Passes if the storm detects a fault of the kind that this must cause. Others
 * may follow from it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash_kinds.h"
#include "crash_storm.h"
#include "tests/support/harness.h"

#define LIMIT_S 100.0
#define IS(fault) (1u << (fault))

/* The faults that each one causes, and the kind of life that shows it soonest. */
static const struct mutant {
  uint32_t number;
  const char *kind;
  uint32_t faults;
} mutants[] = {
    {1, "roomy", IS(CRASH_WRONG) | IS(CRASH_REVIVED) | IS(CRASH_OTHER)},
    {2, "roomy", IS(CRASH_LOST) | IS(CRASH_OTHER)},
    {4, "cleared", IS(CRASH_FELL)},
    {6, "roomy", IS(CRASH_LOST)},
    {8, "roomy", IS(CRASH_DISORDER)},
    {11, "cleared", IS(CRASH_REVIVED)},
    {12, "cleared", IS(CRASH_REVIVED)},
    {13, "recorded", IS(CRASH_REVIVED)},
    {14, "recorded", IS(CRASH_REVIVED)},
    {15, "roomy", IS(CRASH_LEASE)},
    {16, "cleared", IS(CRASH_REVIVED)},
    {17, "recorded", IS(CRASH_REVIVED)},
    {18, "recorded", IS(CRASH_REVIVED)},
    {19, "dying", IS(CRASH_LOST)},
    {20, "roomy", IS(CRASH_WRONG)},
    {21, "roomy", IS(CRASH_FELL)},
    {22, "roomy", IS(CRASH_LEASE)},
    {23, "dying", IS(CRASH_LOST)},
    {24, "filed", IS(CRASH_LOST)},
    {25, "roomy", IS(CRASH_LEASE)},
};

static const struct mutant *mutant;

START_TEST(crash_storm_of_mutant_sees_fault) {
  struct crash_plan plan = {.rounds = UINT32_MAX,
                            .seed = 14,
                            .kind = mutant->kind,
                            .until = mutant->faults,
                            .limit_s = LIMIT_S};
  struct crash_result result;
  (void)crash_storm_run(&plan, &result); /* a daemon that does not start is a fault too */
  crash_storm_print(&result);
  uint32_t seen = 0;
  for (uint32_t i = 0; i < CRASH_FAULTS; i++)
    seen |= result.faults[i] > 0 ? IS(i) : 0;
  ck_assert_msg((seen & mutant->faults) != 0,
                "a step was switched off, and the storm saw no fault of its");
}
END_TEST

/* The program's name ends with the number. */
static const struct mutant *find(const char *program) {
  const char *end = strrchr(program, '_');
  for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
    if (end != NULL && strtoul(end + 1, NULL, 10) == mutants[i].number)
      return &mutants[i];
  return NULL;
}

int main(int argc, char **argv) {
  char daemon[4096];
  Suite *suite = suite_create("crash_mutant");
  TCase *tests = tcase_create("crash_mutant");
  (void)argc;
  mutant = find(argv[0]);
  if (mutant == NULL ||
      snprintf(daemon, sizeof daemon, "%s.fcached", argv[0]) >= (int)sizeof daemon ||
      setenv("FCACHED", daemon, 1) != 0)
    return EXIT_FAILURE;
  tcase_set_timeout(tests, LIMIT_S + 30);
  tcase_add_test(tests, crash_storm_of_mutant_sees_fault);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
