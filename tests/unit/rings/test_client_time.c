/* The time of one client: its charges, and the stamps of its trace lines. */
#include "daemon/rings/client_time.h"

#include <check.h>

#include "tests/support/runner.h"

#define SECOND UINT64_C(1000000000)
#define EPOCH (1700000000 * SECOND)

static struct client_time client;
static struct client_clock now;

static void set_up(void) {
  client = (struct client_time){.since_ns = 100 * SECOND};
  now = (struct client_clock){.now_ns = 110 * SECOND, .real_ns = EPOCH + 110 * SECOND};
}

static void tear_down(void) {}

static uint64_t stamp(uint64_t end_ns) {
  return client_time_stamp(&client, &now, end_ns);
}

START_TEST(charge_bounded_by_connected_time) {
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns, 3 * SECOND), 3 * SECOND);
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns, 8 * SECOND), 7 * SECOND);
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns, UINT64_MAX), 0);
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns + 2, UINT64_MAX), 2);
  ck_assert_uint_eq(client.charged_ns, 10 * SECOND + 2);
}
END_TEST

START_TEST(charge_before_connection_zero) {
  ck_assert_uint_eq(client_time_charge(&client, 0, UINT64_MAX), 0);
  ck_assert_uint_eq(client_time_charge(&client, client.since_ns, 1), 0);
}
END_TEST

START_TEST(compute_time_bounded) {
  ck_assert_uint_eq(client_time_compute_ns(5), 5);
  ck_assert_uint_eq(client_time_compute_ns(UINT64_MAX), CLIENT_TIME_COMPUTE_MAX_NS);
}
END_TEST

START_TEST(stamp_is_end_of_lookup) {
  ck_assert_uint_eq(stamp(104 * SECOND), EPOCH + 104 * SECOND);
  ck_assert_uint_eq(stamp(104 * SECOND), EPOCH + 104 * SECOND);
  ck_assert_uint_eq(stamp(105 * SECOND), EPOCH + 105 * SECOND);
}
END_TEST

START_TEST(stamp_earlier_end_does_not_go_back) {
  ck_assert_uint_eq(stamp(109 * SECOND), EPOCH + 109 * SECOND);
  ck_assert_uint_eq(stamp(104 * SECOND), EPOCH + 109 * SECOND);
}
END_TEST

START_TEST(clock_set_back_stamp_unchanged) {
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 110 * SECOND);
  now.real_ns -= 3600 * SECOND;
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 110 * SECOND);
  now.now_ns += SECOND;
  now.real_ns += SECOND;
  ck_assert_uint_eq(stamp(111 * SECOND), EPOCH + 111 * SECOND); /* and it goes on */
  struct client_time later = {.since_ns = now.now_ns};
  ck_assert_uint_eq(client_time_stamp(&later, &now, now.now_ns), EPOCH - 3489 * SECOND);
}
END_TEST

START_TEST(clock_set_forward_stamp_follows) {
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 110 * SECOND);
  now.real_ns += 3600 * SECOND;
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 3710 * SECOND);
}
END_TEST

/* The daemon was stopped between reading the two clocks. */
START_TEST(torn_clock_reading_corrected) {
  now.now_ns += 5 * SECOND;
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 105 * SECOND);
  now.real_ns += 5 * SECOND;
  ck_assert_uint_eq(stamp(111 * SECOND), EPOCH + 111 * SECOND);
}
END_TEST

START_TEST(clock_now_reads_both) {
  struct client_clock one = client_clock_now(), two = client_clock_now();
  ck_assert_uint_ge(two.now_ns, one.now_ns);
  ck_assert_uint_gt(one.real_ns, EPOCH);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_time");
  TCase *tcase = tcase_create("client_time");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, charge_bounded_by_connected_time);
  tcase_add_test(tcase, charge_before_connection_zero);
  tcase_add_test(tcase, compute_time_bounded);
  tcase_add_test(tcase, stamp_is_end_of_lookup);
  tcase_add_test(tcase, stamp_earlier_end_does_not_go_back);
  tcase_add_test(tcase, clock_set_back_stamp_unchanged);
  tcase_add_test(tcase, clock_set_forward_stamp_follows);
  tcase_add_test(tcase, torn_clock_reading_corrected);
  tcase_add_test(tcase, clock_now_reads_both);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
