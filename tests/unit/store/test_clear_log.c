/* The log of clears: which generations are stale. */
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

START_TEST(generation_without_clears_fresh) {
  struct clear_log log;
  clear_log_init(&log, 1);
  ck_assert(!stale(&log, 1, "base", "op"));
  ck_assert(!stale(&log, UINT64_MAX, "base", "op"));
}
END_TEST

START_TEST(generation_before_log_stale) {
  struct clear_log log;
  clear_log_init(&log, 7);
  ck_assert(stale(&log, 6, "base", "op"));
  ck_assert(stale(&log, 0, "base", "op"));
  ck_assert(!stale(&log, 7, "base", "op"));
}
END_TEST

START_TEST(clear_of_all_makes_earlier_stale) {
  struct clear_log log;
  clear_log_init(&log, 1);
  clear_log_add(&log, 2, any, any);
  ck_assert(stale(&log, 1, "base", "op"));
  ck_assert(!stale(&log, 2, "base", "op"));
}
END_TEST

START_TEST(clear_with_names_makes_matching_stale) {
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
  /* names swapped */
  ck_assert(!stale(&log, 1, "dist", "ft"));
}
END_TEST

START_TEST(generation_before_forgotten_clear_stale) {
  struct clear_log log;
  clear_log_init(&log, 1);
  char view[16];
  for (unsigned i = 0; i < CLEAR_LOG_SIZE + 1; i++) {
    snprintf(view, sizeof view, "v%u", i);
    clear_log_add(&log, 2 + i, fc_str_of(view), any);
  }
  /* the clear of generation 2 is no longer in the log, so all before it is stale */
  ck_assert(stale(&log, 1, "other", "op"));
  ck_assert(!stale(&log, 2, "other", "op"));
  ck_assert(stale(&log, 2, "v1", "op"));
  ck_assert(!stale(&log, 2, "v0", "op"));
  ck_assert(stale(&log, 2 + CLEAR_LOG_SIZE - 1, view, "op"));
  ck_assert(!stale(&log, 2 + CLEAR_LOG_SIZE, view, "op"));
}
END_TEST

START_TEST(clear_repeated_takes_one_record) {
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

START_TEST(clear_wider_covers_narrower) {
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
  tcase_add_test(tcase, generation_without_clears_fresh);
  tcase_add_test(tcase, generation_before_log_stale);
  tcase_add_test(tcase, clear_of_all_makes_earlier_stale);
  tcase_add_test(tcase, clear_with_names_makes_matching_stale);
  tcase_add_test(tcase, generation_before_forgotten_clear_stale);
  tcase_add_test(tcase, clear_repeated_takes_one_record);
  tcase_add_test(tcase, clear_wider_covers_narrower);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
