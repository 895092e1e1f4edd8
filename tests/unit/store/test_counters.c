/* Counters of several sets at once. */
#include <check.h>

#include "daemon/store/counters.h"
#include "tests/support/runner.h"

START_TEST(counts_go_to_all_sets) {
  struct counters a = {0}, b = {0};
  struct counters *sets[] = {&a, NULL, &b};
  ck_assert(counters_are_zero(&a));
  counters_hit(sets, 3, 10, 1000, true);
  counters_hit(sets, 3, 20, 2000, false);
  counters_miss(sets, 3, 3, 600);
  counters_batch(sets, 3, 5, 5, true);
  counters_batch(sets, 3, 2, 2, true);
  ck_assert_mem_eq(&a, &b, sizeof a);
  struct counters expected = {.hits = 2,
                              .misses = 3,
                              .forward_passes = 3,
                              .scoring_wall_ns = 630,
                              .batches_sent = 2,
                              .batched_prompts = 7,
                              .max_batch_size = 5,
                              .shared_hits = 1,
                              .saved_wall_ns = 3000};
  ck_assert_mem_eq(&a, &expected, sizeof a);
  ck_assert(!counters_are_zero(&a));
}
END_TEST

START_TEST(sums_of_times_saturate) {
  struct counters set = {0};
  struct counters *sets[] = {&set};
  for (int i = 0; i < 3; i++) {
    counters_hit(sets, 1, UINT64_MAX / 2, UINT64_MAX / 2, false);
    counters_miss(sets, 1, 1, UINT64_MAX / 2);
  }
  ck_assert_uint_eq(set.scoring_wall_ns, UINT64_MAX);
  ck_assert_uint_eq(set.saved_wall_ns, UINT64_MAX);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("counters");
  TCase *tcase = tcase_create("counters");
  tcase_add_test(tcase, counts_go_to_all_sets);
  tcase_add_test(tcase, sums_of_times_saturate);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
