/* The times of polls for a value that another node computes. */
#include <check.h>

#include "daemon/fleet/fleet_polls.h"
#include "tests/support/runner.h"

#define MS UINT64_C(1000000)

static struct fleet_pace pace;
static struct fleet_polls polls;

static void set_up(void) {
  pace = (struct fleet_pace){0};
  fleet_polls_begin(&polls, &pace, 0);
}

/* Returns the time to the next poll in the middle of its range, after a reply at once. */
static uint64_t interval_ns(void) {
  uint64_t first_ns = fleet_polls_next(&polls, &pace, 0, 0, 0);
  return first_ns * 4 / 3;
}

START_TEST(nothing_known_doubles_from_min_to_max) {
  uint64_t expected_ns = FLEET_POLLS_MIN_NS;
  for (int i = 0; i < 20; i++) {
    ck_assert_uint_eq(interval_ns(), expected_ns);
    expected_ns = expected_ns * 2 < FLEET_POLLS_MAX_NS ? expected_ns * 2 : FLEET_POLLS_MAX_NS;
  }
}
END_TEST

START_TEST(known_time_even_polls_then_doubled) {
  pace.value_ns = 80 * MS;
  fleet_polls_begin(&polls, &pace, 0);
  for (uint32_t i = 0; i < FLEET_POLLS_EVEN; i++)
    ck_assert_uint_eq(interval_ns(), 20 * MS);
  ck_assert_uint_eq(interval_ns(), 40 * MS);
  ck_assert_uint_eq(interval_ns(), 80 * MS);
}
END_TEST

START_TEST(known_time_within_bounds) {
  static const uint64_t times_ns[] = {1, MS, 100 * MS, 5000 * MS, UINT64_MAX};
  for (size_t i = 0; i < sizeof times_ns / sizeof *times_ns; i++) {
    pace.value_ns = times_ns[i];
    fleet_polls_begin(&polls, &pace, 0);
    ck_assert_uint_ge(interval_ns(), FLEET_POLLS_MIN_NS - 1);
    ck_assert_uint_le(interval_ns(), FLEET_POLLS_MAX_NS);
  }
}
END_TEST

START_TEST(random_spreads_from_three_to_five_quarters) {
  pace.value_ns = 80 * MS;
  fleet_polls_begin(&polls, &pace, 0);
  ck_assert_uint_eq(fleet_polls_next(&polls, &pace, 0, 0, 7 * MS), 22 * MS);
  ck_assert_uint_eq(fleet_polls_next(&polls, &pace, 0, 10 * MS, 7 * MS), 32 * MS);
  ck_assert_uint_eq(fleet_polls_next(&polls, &pace, 0, 10 * MS + 1, 7 * MS), 22 * MS);
}
END_TEST

/* A late reply is a sign of a busy tier, and only for as long as replies are late. */
START_TEST(late_reply_longer_interval) {
  pace.value_ns = 40 * MS;
  fleet_polls_begin(&polls, &pace, 0);
  ck_assert_uint_eq(fleet_polls_next(&polls, &pace, 5 * MS, 0, 0), 30 * MS);
  ck_assert_uint_eq(fleet_polls_next(&polls, &pace, 50 * MS, 0, 0), FLEET_POLLS_MAX_NS * 3 / 4);
  ck_assert_uint_eq(interval_ns(), 10 * MS);
}
END_TEST

/* The smoothed time comes near to the true one, from both sides, whatever the node's first was. */
START_TEST(ends_teach_the_time) {
  fleet_polls_end(&polls, &pace, 5 * MS, 3 * MS);
  ck_assert_uint_eq(pace.value_ns, 5 * MS);
  for (int i = 0; i < 40; i++)
    fleet_polls_end(&polls, &pace, 5 * MS, 100 * MS); /* a part of a batch */
  ck_assert_uint_ge(pace.value_ns, 98 * MS);
  ck_assert_uint_le(pace.value_ns, 100 * MS);
  for (int i = 0; i < 60; i++)
    fleet_polls_end(&polls, &pace, 10 * MS, 2 * MS);
  ck_assert_uint_ge(pace.value_ns, 10 * MS - 100);
  ck_assert_uint_le(pace.value_ns, 11 * MS);
}
END_TEST

/* The compute time comes from another node. */
START_TEST(absurd_compute_time_bounded) {
  fleet_polls_end(&polls, &pace, UINT64_MAX, MS);
  fleet_polls_end(&polls, &pace, UINT64_MAX, MS);
  fleet_polls_begin(&polls, &pace, 0);
  ck_assert_uint_eq(interval_ns(), FLEET_POLLS_MAX_NS);
  for (int i = 0; i < 200; i++)
    fleet_polls_end(&polls, &pace, 8 * MS, MS);
  ck_assert_uint_le(pace.value_ns, 9 * MS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_polls");
  TCase *tcase = tcase_create("fleet_polls");
  tcase_add_checked_fixture(tcase, set_up, NULL);
  tcase_add_test(tcase, nothing_known_doubles_from_min_to_max);
  tcase_add_test(tcase, known_time_even_polls_then_doubled);
  tcase_add_test(tcase, known_time_within_bounds);
  tcase_add_test(tcase, random_spreads_from_three_to_five_quarters);
  tcase_add_test(tcase, late_reply_longer_interval);
  tcase_add_test(tcase, ends_teach_the_time);
  tcase_add_test(tcase, absurd_compute_time_bounded);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
