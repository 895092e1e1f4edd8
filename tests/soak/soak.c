/* soak - runs the workers of the crash storm for $SOAK_S seconds, kills the daemon every
 * $SOAK_KILL_S seconds, and samples descriptors, mappings and memory of all processes before each
 * kill. Prints a table, and fails if something grows from restart to restart. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "soak_sample.h"
#include "tests/storm/crash_life.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"

#define SAMPLES_MAX 512u
#define WARM_UP 2u /* samples that do not count: memory of allocators is still growing */

static const struct crash_kind kind = {
    .name = "soak", .evicts = true, .args = {"--max-bytes=8m", "--max-value=1m"}};

static double seconds_of(const char *variable, double otherwise) {
  const char *text = getenv(variable);
  return text == NULL || *text == '\0' ? otherwise : strtod(text, NULL);
}

static void print_head(void) {
  printf("%7s %6s", "s", "kills");
  for (int i = 0; i < SOAK_VALUES; i++)
    printf(" %16s", soak_value_names[i]);
  printf("\n");
}

static void print_sample(const struct soak_sample *sample) {
  printf("%7.0f %6u", sample->at_s, sample->kills);
  for (int i = 0; i < SOAK_VALUES; i++)
    printf(" %16.0f", sample->values[i]);
  printf("\n");
}

/* Returns how many values rose by more than their tolerance. */
static unsigned judge(const struct soak_sample *samples, size_t n) {
  unsigned risen = 0;
  for (int i = 0; i < SOAK_VALUES; i++) {
    double rise = soak_sample_rise(samples, n, (enum soak_value)i);
    double most = soak_sample_tolerance(samples, n, (enum soak_value)i);
    printf("%-17s rises by %8.1f, allowed %8.1f%s\n", soak_value_names[i], rise, most,
           rise > most ? ": TOO MUCH" : "");
    risen += rise > most;
  }
  return risen;
}

START_TEST(daemon_killed_for_long_nothing_grows) {
  static struct crash_life life; /* large */
  static struct soak_sample samples[SAMPLES_MAX];
  double soak_s = seconds_of("SOAK_S", 120), kill_s = seconds_of("SOAK_KILL_S", 10);
  struct crash_board *board = child_shared(sizeof *board);
  struct crash_result result = {0};
  uint64_t start_ns = harness_now_ns();
  size_t n = 0;
  bool good = crash_life_begin(&life, &kind, board, &result, 14);
  print_head();
  for (double at_s = 0; good && at_s < soak_s && n < SAMPLES_MAX; n++) {
    good = crash_life_work(&life, (uint64_t)(kill_s * 1e9)) && crash_life_settle(&life);
    at_s = (double)(harness_now_ns() - start_ns) / 1e9;
    samples[n] = (struct soak_sample){.at_s = at_s, .kills = result.kills};
    good = good && soak_sample_take(&samples[n], &life.manager, life.pids, CRASH_PROCESSES);
    print_sample(&samples[n]);
    good = good && crash_life_round(&life);
  }
  crash_life_end(&life);
  crash_storm_sum_up(board, &result);
  result.took_s = (double)(harness_now_ns() - start_ns) / 1e9;
  crash_storm_print(&result);
  ck_assert(good);
  ck_assert_uint_eq(crash_storm_faults(&result), 0);
  ck_assert_uint_gt(n, WARM_UP + 2);
  ck_assert_uint_eq(judge(samples + WARM_UP, n - WARM_UP), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("soak");
  TCase *tests = tcase_create("soak");
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  tcase_set_timeout(tests, 2 * seconds_of("SOAK_S", 120) + 120);
  tcase_add_test(tests, daemon_killed_for_long_nothing_grows);
  suite_add_tcase(suite, tests);
  int status = harness_main(suite);
  printf("%d passed, %d failed\n", status == 0, status != 0);
  return status;
}
