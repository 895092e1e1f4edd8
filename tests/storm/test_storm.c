/* No reader of the region gets a wrong value, a value that was replaced or cleared before its read
 * began, or a miss of a pinned key, in 10 million reads or $FC_STORM_READS. mutant.c runs the same
 * with marks of the protocol off. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "storm.h"
#include "storm_kill.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define READS (SANITIZER_SLOW ? 200000u : 10000000u)
#define KILLS (SANITIZER_SLOW ? 20u : 200u)
#define READERS 2u
/* A bucket is busy while the writer is preempted within a window. */
#define BUSY_MOST(answers) (SANITIZER_SLOW ? (answers) / 2 : (answers) / 4)
#define LIMIT_S 45.0

static uint64_t tenths_of_reads(uint32_t tenths) {
  const char *asked = getenv("FC_STORM_READS");
  return (asked == NULL ? READS : strtoull(asked, NULL, 10)) / 10 * tenths;
}

static void check_right(const struct storm_reads *reads) {
  ck_assert_uint_eq(reads->torn, 0);
  ck_assert_uint_eq(reads->old, 0);
  ck_assert_uint_eq(reads->gone, 0);
  ck_assert_uint_eq(reads->dead, 0);
}

/* Checks that the writer did enough of each kind, and that the readers met much of it. */
static void check_storm(const struct storm_plan *plan, const struct storm_result *result) {
  const struct storm_writes *writes = &result->writes;
  ck_assert_uint_eq(writes->failed, 0);
  ck_assert_uint_gt(writes->same_size, 0);
  ck_assert_uint_gt(writes->replaced, writes->same_size);
  ck_assert_uint_gt(writes->kept, 0);
  ck_assert_uint_gt(writes->evicted, 0);
  ck_assert_uint_gt(writes->cleared, 0);
  if (plan->buckets > 1) { /* this storm has so few entries that all fit */
    ck_assert_uint_gt(writes->in_pieces, 0);
    ck_assert_uint_gt(writes->moves, 0);
  }
  ck_assert_uint_ge(result->reads.hits, storm_answers(result) / 4);
  ck_assert_uint_gt(result->reads.misses, 0);
  ck_assert_uint_le(result->reads.busy, BUSY_MOST(storm_answers(result)));
}

static void run(const char *name, const struct storm_plan *plan) {
  struct storm_result result;
  ck_assert(storm_run(plan, &result));
  storm_print(name, &result);
  check_right(&result.reads);
  ck_assert(!result.crashed);
  ck_assert(result.finished);
  check_storm(plan, &result);
}

/* ThreadSanitizer sees both sides here. */
START_TEST(storm_of_threads_sees_no_error) {
  run("threads",
      &(struct storm_plan){
          .reads = tenths_of_reads(3), .readers = READERS, .buckets = 32, .limit_s = LIMIT_S});
}
END_TEST

START_TEST(storm_of_processes_sees_no_error) {
  run("processes", &(struct storm_plan){.reads = tenths_of_reads(5),
                                        .readers = READERS,
                                        .buckets = 512,
                                        .processes = true,
                                        .limit_s = LIMIT_S});
}
END_TEST

START_TEST(storm_in_one_bucket_sees_no_error) {
  run("one bucket", &(struct storm_plan){.reads = tenths_of_reads(2),
                                         .readers = READERS,
                                         .buckets = 1,
                                         .processes = true,
                                         .limit_s = LIMIT_S});
}
END_TEST

START_TEST(storm_with_killed_writers_sees_no_error) {
  struct storm_kills kills;
  ck_assert(storm_kill(KILLS, &kills));
  printf("killed: %u writers, %u in the midst of a change\n", kills.kills, kills.halves);
  check_right(&kills.before);
  check_right(&kills.after);
  ck_assert_uint_gt(kills.after.hits, 0);
  ck_assert_uint_eq(kills.undead, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("storm");
  TCase *tests = tcase_create("storm");
  tcase_set_timeout(tests, LIMIT_S + 10);
  tcase_add_test(tests, storm_of_threads_sees_no_error);
  tcase_add_test(tests, storm_of_processes_sees_no_error);
  tcase_add_test(tests, storm_in_one_bucket_sees_no_error);
  tcase_add_test(tests, storm_with_killed_writers_sees_no_error);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
