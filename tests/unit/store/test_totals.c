/* Counters of the cache over the starts of daemons. */
#include <check.h>
#include <string.h>

#include "daemon/store/totals.h"
#include "tests/support/runner.h"

START_TEST(begin_counts_daemons_and_keeps_the_first_start) {
  struct totals totals = {0};
  totals_begin(&totals, 1000);
  totals_begin(&totals, 5);
  ck_assert_uint_eq(totals.daemons, 2);
  ck_assert_uint_eq(totals.created_unix_ns, 1000);
}
END_TEST

/* They were in the memory of a daemon that was killed. */
START_TEST(begin_counts_trace_lines_that_were_not_written_as_lost) {
  struct totals totals = {.trace = {.events = 100, .lost = 5, .written = 80}};
  totals_begin(&totals, 1);
  ck_assert_uint_eq(totals.trace.lost, 20);
  totals_begin(&totals, 1);
  ck_assert_uint_eq(totals.trace.lost, 20);
}
END_TEST

/* Each word grows by another number, so that a word that is left out or taken twice is found. */
START_TEST(since_is_the_difference_of_each_counter) {
  struct totals before, now, since;
  uint64_t words[sizeof before / sizeof(uint64_t)];
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    words[i] = 1000 * i;
  memcpy(&before, words, sizeof before);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    words[i] += i + 1;
  memcpy(&now, words, sizeof now);
  since = totals_since(&now, &before);
  ck_assert_uint_eq(since.counters.max_batch_size, now.counters.max_batch_size);
  ck_assert_uint_eq(since.next_client_id, now.next_client_id);
  ck_assert_uint_eq(since.lease_secret, now.lease_secret);
  ck_assert_uint_eq(since.created_unix_ns, now.created_unix_ns);
  ck_assert_uint_eq(since.last_delete, now.last_delete);
  ck_assert_mem_eq(&since.tier_version, &now.tier_version, sizeof now.tier_version);
  memcpy(words, &since, sizeof words);
  size_t kept = 0;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    kept += words[i] != i + 1;
  ck_assert_uint_eq(kept, 8);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("totals");
  TCase *tcase = tcase_create("totals");
  tcase_add_test(tcase, begin_counts_daemons_and_keeps_the_first_start);
  tcase_add_test(tcase, begin_counts_trace_lines_that_were_not_written_as_lost);
  tcase_add_test(tcase, since_is_the_difference_of_each_counter);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
