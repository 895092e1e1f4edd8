/* The log of the slowest requests against a list of all of them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/latency/latency.h"
#include "tests/support/runner.h"

#define REQUESTS 1000u

static struct latency latency;
static struct slow_log *const slow = &latency.slow;
static const struct slow_request *sorted[SLOW_LOG_MAX];

static void set_up(void) {
  latency_reset(&latency, 1000);
}

static void add(uint64_t ended_ns, uint64_t total_ns) {
  struct slow_request request = {.request = "get", .ended_ns = ended_ns, .total_ns = total_ns};
  char name[] = "client";
  struct fc_str names[SLOW_NAMES] = {[SLOW_CLIENT] = {name, 6}};
  bool taken = slow_log_takes(slow, total_ns, ended_ns);
  uint32_t before = slow_log_sort(slow, sorted);
  slow_log_add(slow, &request, names);
  if (!taken)
    ck_assert_uint_eq(slow_log_sort(slow, sorted), before);
  memset(name, 'x', sizeof name); /* the log has a copy */
}

static int falling(const void *a, const void *b) {
  uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;
  return (one < two) - (one > two);
}

START_TEST(slow_log_one_period_keeps_the_slowest) {
  uint64_t all[REQUESTS], seed = 7;
  for (uint32_t i = 0; i < REQUESTS; i++) {
    seed = seed * UINT64_C(6364136223846793005) + 1;
    all[i] = seed >> 40;
    add(1000 + i, all[i]);
  }
  qsort(all, REQUESTS, sizeof all[0], falling);
  ck_assert_uint_eq(slow_log_sort(slow, sorted), SLOW_LOG_REQUESTS);
  for (uint32_t i = 0; i < SLOW_LOG_REQUESTS; i++) {
    struct fc_str client = slow_request_name(sorted[i], SLOW_CLIENT);
    ck_assert_uint_eq(sorted[i]->total_ns, all[i]);
    ck_assert_uint_eq(client.size, 6);
    ck_assert_mem_eq(client.data, "client", 6);
    ck_assert_ptr_null(slow_request_name(sorted[i], SLOW_OP).data);
  }
}
END_TEST

START_TEST(slow_log_third_period_forgets_the_first) {
  add(2000, 1000000);
  add(1000 + SLOW_LOG_PERIOD_NS, 10);
  ck_assert_uint_eq(slow_log_sort(slow, sorted), 2);
  ck_assert_uint_eq(sorted[0]->total_ns, 1000000);
  ck_assert_uint_eq(slow_log_since_ns(slow), 1000);
  add(1000 + 2 * SLOW_LOG_PERIOD_NS, 20);
  ck_assert_uint_eq(slow_log_sort(slow, sorted), 2);
  ck_assert_uint_eq(sorted[0]->total_ns, 20);
  ck_assert_uint_eq(slow_log_since_ns(slow), 1000 + SLOW_LOG_PERIOD_NS);
}
END_TEST

START_TEST(slow_log_burst_does_not_push_out_a_slower_one) {
  add(2000, 5000000);
  for (uint32_t i = 0; i < REQUESTS; i++)
    add(3000 + i, 1000 + i);
  ck_assert_uint_eq(slow_log_sort(slow, sorted), SLOW_LOG_REQUESTS);
  ck_assert_uint_eq(sorted[0]->total_ns, 5000000);
}
END_TEST

START_TEST(latency_reset_empties_times_and_log) {
  add(2000, 5);
  latency_add(&latency, LATENCY_PUT, 7);
  latency_add(NULL, LATENCY_PUT, 7); /* measures nothing */
  ck_assert_uint_eq(latency.kinds[LATENCY_PUT].count, 1);
  latency_reset(&latency, 9000);
  ck_assert_uint_eq(latency.kinds[LATENCY_PUT].count, 0);
  ck_assert_uint_eq(slow_log_sort(slow, sorted), 0);
  ck_assert_uint_eq(latency.since_ns, 9000);
}
END_TEST

START_TEST(latency_kinds_have_different_names) {
  for (int a = 0; a < LATENCY_KINDS; a++)
    for (int b = 0; b < a; b++)
      ck_assert(strcmp(latency_path((enum latency_kind)a), latency_path((enum latency_kind)b)) !=
                    0 ||
                strcmp(latency_operation((enum latency_kind)a),
                       latency_operation((enum latency_kind)b)) != 0);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("slow_log");
  TCase *test_case = tcase_create("slow_log");
  tcase_add_checked_fixture(test_case, set_up, NULL);
  tcase_add_test(test_case, slow_log_one_period_keeps_the_slowest);
  tcase_add_test(test_case, slow_log_third_period_forgets_the_first);
  tcase_add_test(test_case, slow_log_burst_does_not_push_out_a_slower_one);
  tcase_add_test(test_case, latency_reset_empties_times_and_log);
  tcase_add_test(test_case, latency_kinds_have_different_names);
  suite_add_tcase(suite, test_case);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
