/* The time of one client: what it can be charged, and the stamps of its lines. */
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

START_TEST(a_client_is_charged_the_time_that_it_was_connected) {
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns, 3 * SECOND), 3 * SECOND);
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns, 8 * SECOND), 7 * SECOND);
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns, UINT64_MAX), 0);
  ck_assert_uint_eq(client_time_charge(&client, now.now_ns + 2, UINT64_MAX), 2);
  ck_assert_uint_eq(client.charged_ns, 10 * SECOND + 2);
}
END_TEST

START_TEST(a_charge_before_it_connected_is_none) {
  ck_assert_uint_eq(client_time_charge(&client, 0, UINT64_MAX), 0);
  ck_assert_uint_eq(client_time_charge(&client, client.since_ns, 1), 0);
}
END_TEST

START_TEST(a_computation_is_bounded) {
  ck_assert_uint_eq(client_time_compute_ns(5), 5);
  ck_assert_uint_eq(client_time_compute_ns(UINT64_MAX), CLIENT_TIME_COMPUTE_MAX_NS);
}
END_TEST

START_TEST(a_stamp_is_the_end_of_its_lookup) {
  ck_assert_uint_eq(stamp(104 * SECOND), EPOCH + 104 * SECOND);
  ck_assert_uint_eq(stamp(104 * SECOND), EPOCH + 104 * SECOND);
  ck_assert_uint_eq(stamp(105 * SECOND), EPOCH + 105 * SECOND);
}
END_TEST

START_TEST(an_end_before_the_one_before_does_not_go_back) {
  ck_assert_uint_eq(stamp(109 * SECOND), EPOCH + 109 * SECOND);
  ck_assert_uint_eq(stamp(104 * SECOND), EPOCH + 109 * SECOND);
}
END_TEST

START_TEST(a_clock_that_is_set_back_does_not_move_a_client_that_is_connected) {
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

START_TEST(a_clock_that_is_set_forward_holds_at_once) {
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 110 * SECOND);
  now.real_ns += 3600 * SECOND;
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 3710 * SECOND);
}
END_TEST

/* The daemon was stopped between the readings of the two clocks. */
START_TEST(a_bad_reading_is_forgotten) {
  now.now_ns += 5 * SECOND;
  ck_assert_uint_eq(stamp(110 * SECOND), EPOCH + 105 * SECOND);
  now.real_ns += 5 * SECOND;
  ck_assert_uint_eq(stamp(111 * SECOND), EPOCH + 111 * SECOND);
}
END_TEST

START_TEST(both_clocks_are_read) {
  struct client_clock one = client_clock_now(), two = client_clock_now();
  ck_assert_uint_ge(two.now_ns, one.now_ns);
  ck_assert_uint_gt(one.real_ns, EPOCH);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_time");
  TCase *tcase = tcase_create("client_time");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, a_client_is_charged_the_time_that_it_was_connected);
  tcase_add_test(tcase, a_charge_before_it_connected_is_none);
  tcase_add_test(tcase, a_computation_is_bounded);
  tcase_add_test(tcase, a_stamp_is_the_end_of_its_lookup);
  tcase_add_test(tcase, an_end_before_the_one_before_does_not_go_back);
  tcase_add_test(tcase, a_clock_that_is_set_back_does_not_move_a_client_that_is_connected);
  tcase_add_test(tcase, a_clock_that_is_set_forward_holds_at_once);
  tcase_add_test(tcase, a_bad_reading_is_forgotten);
  tcase_add_test(tcase, both_clocks_are_read);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
