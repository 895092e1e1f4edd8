/* Which puts a log of clears calls stale. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/store/clear_log.h"
#include "tests/support/runner.h"

static const struct fc_str any = {NULL, 0};

static bool stale(const struct clear_log *log, uint64_t generation, const char *view,
                  const char *op) {
  struct fc_key key = {.op = fc_str_of(op), .view = fc_str_of(view)};
  return clear_log_stale(log, generation, &key);
}

START_TEST(test_nothing_is_stale_without_a_clear) {
  struct clear_log log;
  clear_log_init(&log, 1);
  ck_assert(!stale(&log, 1, "base", "op"));
  ck_assert(!stale(&log, UINT64_MAX, "base", "op"));
}
END_TEST

START_TEST(test_what_began_before_the_log_is_stale) {
  struct clear_log log;
  clear_log_init(&log, 7);
  ck_assert(stale(&log, 6, "base", "op"));
  ck_assert(stale(&log, 0, "base", "op"));
  ck_assert(!stale(&log, 7, "base", "op"));
}
END_TEST

START_TEST(test_a_clear_of_all_makes_all_before_it_stale) {
  struct clear_log log;
  clear_log_init(&log, 1);
  clear_log_add(&log, 2, any, any);
  ck_assert(stale(&log, 1, "base", "op"));
  ck_assert(!stale(&log, 2, "base", "op"));
}
END_TEST

START_TEST(test_view_and_op_select) {
  struct clear_log log;
  clear_log_init(&log, 1);
  clear_log_add(&log, 2, fc_str_of("ft"), any);
  clear_log_add(&log, 3, any, fc_str_of("dist"));
  clear_log_add(&log, 4, fc_str_of("base"), fc_str_of("roll"));
  ck_assert(stale(&log, 1, "ft", "x"));
  ck_assert(!stale(&log, 2, "ft", "x"));
  ck_assert(stale(&log, 2, "any view", "dist"));
  ck_assert(!stale(&log, 3, "any view", "dist"));
  ck_assert(stale(&log, 3, "base", "roll"));
  ck_assert(!stale(&log, 4, "base", "roll"));
  ck_assert(!stale(&log, 1, "base", "x"));
  ck_assert(!stale(&log, 3, "ft", "roll"));
  /* op and view are not mixed up */
  ck_assert(!stale(&log, 1, "dist", "ft"));
}
END_TEST

START_TEST(test_what_is_forgotten_counts_as_stale) {
  struct clear_log log;
  clear_log_init(&log, 1);
  char view[16];
  for (unsigned i = 0; i < CLEAR_LOG_SIZE + 1; i++) {
    snprintf(view, sizeof view, "v%u", i);
    clear_log_add(&log, 2 + i, fc_str_of(view), any);
  }
  /* the clear of generation 2 was pushed out: who began before it is stale, whatever the key */
  ck_assert(stale(&log, 1, "other", "op"));
  ck_assert(!stale(&log, 2, "other", "op"));
  ck_assert(stale(&log, 2, "v1", "op"));
  ck_assert(!stale(&log, 2, "v0", "op"));
  ck_assert(stale(&log, 2 + CLEAR_LOG_SIZE - 1, view, "op"));
  ck_assert(!stale(&log, 2 + CLEAR_LOG_SIZE, view, "op"));
}
END_TEST

START_TEST(test_a_repeated_clear_takes_one_record) {
  struct clear_log log;
  clear_log_init(&log, 1);
  clear_log_add(&log, 2, fc_str_of("ft"), any);
  for (uint64_t g = 3; g < 100; g++)
    clear_log_add(&log, g, fc_str_of("base"), fc_str_of("op"));
  ck_assert(stale(&log, 1, "ft", "x"));
  ck_assert(!stale(&log, 2, "ft", "x"));
  ck_assert(!stale(&log, 1, "other", "x"));
  ck_assert(stale(&log, 98, "base", "op"));
  ck_assert_uint_eq(log.n, 2);
}
END_TEST

START_TEST(test_a_wider_clear_covers_a_narrower_one_and_not_the_reverse) {
  struct clear_log log;
  clear_log_init(&log, 1);
  clear_log_add(&log, 2, fc_str_of("base"), fc_str_of("op"));
  clear_log_add(&log, 3, fc_str_of("base"), any);
  ck_assert_uint_eq(log.n, 1);
  clear_log_add(&log, 4, fc_str_of("base"), fc_str_of("op"));
  ck_assert_uint_eq(log.n, 2);
  ck_assert(stale(&log, 2, "base", "other"));
  ck_assert(stale(&log, 3, "base", "op"));
  ck_assert(!stale(&log, 3, "base", "other"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("clear_log");
  TCase *tcase = tcase_create("clear_log");
  tcase_add_test(tcase, test_nothing_is_stale_without_a_clear);
  tcase_add_test(tcase, test_what_began_before_the_log_is_stale);
  tcase_add_test(tcase, test_a_clear_of_all_makes_all_before_it_stale);
  tcase_add_test(tcase, test_view_and_op_select);
  tcase_add_test(tcase, test_what_is_forgotten_counts_as_stale);
  tcase_add_test(tcase, test_a_repeated_clear_takes_one_record);
  tcase_add_test(tcase, test_a_wider_clear_covers_a_narrower_one_and_not_the_reverse);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
