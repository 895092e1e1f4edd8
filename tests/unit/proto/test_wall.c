/* Shares of overlapping waits, parts of a whole, and sums that do not wrap. */
#include "proto/wall.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/support/runner.h"

#define WAITS 12u
#define STEPS 4000u

static struct fc_waits waits;

static void set_up(void) {
  waits = (struct fc_waits){0};
}

static void tear_down(void) {}

START_TEST(wait_single_charged_its_time) {
  uint64_t begun = fc_waits_begin(&waits, 1000);
  ck_assert_uint_eq(fc_waits_end(&waits, begun, 1777), 777);
  begun = fc_waits_begin(&waits, 5000); /* the time between the two is not charged */
  ck_assert_uint_eq(fc_waits_end(&waits, begun, 5001), 1);
}
END_TEST

START_TEST(waits_ending_together_charged_evenly) {
  uint64_t begun[7], sum = 0;
  for (unsigned i = 0; i < 7; i++)
    begun[i] = fc_waits_begin(&waits, 100);
  for (unsigned i = 0; i < 7; i++) {
    uint64_t wall_ns = fc_waits_end(&waits, begun[i], 200);
    ck_assert_uint_ge(wall_ns, 100 / 7);
    ck_assert_uint_le(wall_ns, 100 / 7 + 1);
    sum += wall_ns;
  }
  ck_assert_uint_eq(sum, 100);
}
END_TEST

START_TEST(waits_overlapping_share_each_moment) {
  uint64_t a = fc_waits_begin(&waits, 0);
  uint64_t b = fc_waits_begin(&waits, 100);
  uint64_t c = fc_waits_begin(&waits, 200);
  ck_assert_uint_eq(fc_waits_end(&waits, a, 500), 100 + 50 + 100);
  ck_assert_uint_eq(fc_waits_end(&waits, c, 700), 100 + 100);
  ck_assert_uint_eq(fc_waits_end(&waits, b, 900), 50 + 100 + 100 + 200);
}
END_TEST

START_TEST(wait_time_going_back_charged_nothing) {
  uint64_t begun = fc_waits_begin(&waits, 1000);
  ck_assert_uint_eq(fc_waits_end(&waits, begun, 400), 0);
  begun = fc_waits_begin(&waits, 300);
  ck_assert_uint_eq(fc_waits_end(&waits, begun, 1500), 500);
}
END_TEST

/* In any order, the charges together are exactly the time with at least one wait. */
START_TEST(waits_random_charges_add_up) {
  uint64_t begun[WAITS], now_ns = 0, any_ns = 0, charged_ns = 0;
  unsigned n = 0, kept_busy = 0;
  srandom((unsigned)_i);
  for (unsigned step = 0; step < STEPS || n > 0; step++) {
    uint64_t passed_ns = (uint64_t)random() % 1000 * ((uint64_t)random() % 3 != 0);
    now_ns += passed_ns;
    any_ns += n > 0 ? passed_ns : 0;
    bool begins = step < STEPS && n < WAITS && random() % 2 == 0;
    if (begins) {
      begun[n++] = fc_waits_begin(&waits, now_ns);
    } else if (n > 0) {
      unsigned which = (unsigned)random() % n;
      charged_ns += fc_waits_end(&waits, begun[which], now_ns);
      begun[which] = begun[--n];
    }
    if (n == 0)
      ck_assert_uint_eq(charged_ns, any_ns);
    kept_busy += n > 1;
  }
  ck_assert_uint_gt(kept_busy, STEPS / 4);
}
END_TEST

START_TEST(parts_of_total_add_up) {
  const uint64_t totals[] = {0, 1, 999, 1000000007, UINT64_MAX, UINT64_MAX - 1};
  for (unsigned i = 0; i < sizeof totals / sizeof totals[0]; i++) {
    uint64_t left_ns = totals[i], sum = 0;
    for (uint32_t left = 4000000007u; left > 0;) { /* as a put of many is split into messages */
      uint32_t part = left < 500000001u ? left : 500000001u;
      uint64_t part_ns = fc_part_of(left_ns, part, left);
      left_ns -= part_ns;
      left -= part;
      sum += part_ns;
    }
    ck_assert_uint_eq(sum, totals[i]);
  }
  ck_assert_uint_eq(fc_part_of(1000, 1, 3), 333);
  ck_assert_uint_eq(fc_part_of(1000, 3, 3), 1000);
}
END_TEST

START_TEST(sum_at_maximum_stays) {
  uint64_t sum = UINT64_MAX - 5;
  fc_sum_add(&sum, 5);
  ck_assert_uint_eq(sum, UINT64_MAX);
  fc_sum_add(&sum, 1);
  ck_assert_uint_eq(sum, UINT64_MAX);
  fc_sum_add(&sum, UINT64_MAX);
  ck_assert_uint_eq(sum, UINT64_MAX);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("wall");
  TCase *tcase = tcase_create("wall");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, wait_single_charged_its_time);
  tcase_add_test(tcase, waits_ending_together_charged_evenly);
  tcase_add_test(tcase, waits_overlapping_share_each_moment);
  tcase_add_test(tcase, wait_time_going_back_charged_nothing);
  tcase_add_loop_test(tcase, waits_random_charges_add_up, 0, 20);
  tcase_add_test(tcase, parts_of_total_add_up);
  tcase_add_test(tcase, sum_at_maximum_stays);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
