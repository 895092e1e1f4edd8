/* fcachectl latency and slowest: lines within 80 columns, intervals, gaps of the machine, JSON. */
#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/intrinsic.h"
#include "client/ctl/print/latency_report.h"
#include "client/ctl/print/slowest_report.h"
#include "client/ctl/print/text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

static struct latency_report report, before;
static struct fc_latency_entry kind;

static void set_up(void) {
  memset(&report, 0, sizeof report);
  memset(&before, 0, sizeof before);
  text_force_columns(PRINTED_COLUMNS);
}

static void tear_down(void) {
  text_force_columns(0);
}

/* Adds a kind with `n` durations. */
static void add(struct latency_report *to, const char *path, const char *operation, uint64_t ns,
                uint64_t n) {
  memset(&kind, 0, sizeof kind);
  kind.path = fc_str_of(path);
  kind.operation = fc_str_of(operation);
  for (uint64_t i = 0; i < n; i++)
    fc_histogram_add(&kind.histogram, ns);
  latency_report_add(to, &kind);
}

static char *print_table(void) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  ck_assert_ptr_nonnull(out);
  ck_assert_int_eq(latency_report_table(out, &report), 0);
  ck_assert_int_eq(fclose(out), 0);
  return text;
}

static char *print_lines(const char *time) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  ck_assert_ptr_nonnull(out);
  latency_report_print_header(out);
  latency_report_print_lines(out, &report, time);
  ck_assert_int_eq(fclose(out), 0);
  return text;
}

/* ---- latency ---- */

START_TEST(latency_table_shows_kinds_that_happened) {
  printed_is(print_table(), "no requests yet\n");
  add(&report, "region", "hit", 150, 1000);
  add(&report, "socket", "miss", 0, 0);
  add(&report, "socket", "lease_wait", UINT64_C(2500000000), 3);
  printed_is(print_table(), "PATH   OPERATION  COUNT    P50    P90    P99  P99.9    MAX\n"
                            "region hit         1000 150 ns 150 ns 150 ns 150 ns 150 ns\n"
                            "socket lease_wait     3 2.50 s 2.50 s 2.50 s 2.50 s 2.50 s\n");
}
END_TEST

START_TEST(latency_lines_fit_80_columns) {
  char *text;

  add(&report, "socket", "lease_wait", UINT64_MAX, 1);
  report.rows[0].histogram.count = UINT64_MAX;
  add(&report, "\033[31mred", printed_long_name(), 1, 1); /* of a newer or hostile daemon */
  text = print_table();
  ck_assert_ptr_null(strchr(text, '\033'));
  free(text);
  report.n = 1;
  text = print_table();
  printed_fits(text);
  free(text);
  text = print_lines("23:59:59");
  printed_fits(text);
  free(text);
}
END_TEST

START_TEST(latency_interval_is_the_difference_by_name) {
  before.period_ns = 1000;
  add(&before, "socket", "put", 100, 5);
  add(&before, "socket", "hit", 100, 7);
  report.period_ns = 3000;
  add(&report, "socket", "hit", 100, 7);
  add(&report, "socket", "new", 40, 2);
  add(&report, "socket", "put", 100, 6);
  latency_report_subtract(&report, &before);
  ck_assert_uint_eq(report.period_ns, 2000);
  ck_assert_uint_eq(report.rows[0].histogram.count, 0);
  ck_assert_uint_eq(report.rows[1].histogram.count, 2);
  ck_assert_uint_eq(report.rows[2].histogram.count, 1);
}
END_TEST

START_TEST(latency_interval_after_a_reset_is_the_time_since) {
  before.period_ns = 5000;
  add(&before, "socket", "put", 100, 5);
  report.period_ns = 10;
  add(&report, "socket", "put", 200, 2);
  latency_report_subtract(&report, &before);
  ck_assert_uint_eq(report.period_ns, 10);
  ck_assert_uint_eq(report.rows[0].histogram.count, 2);
}
END_TEST

START_TEST(latency_more_kinds_than_rows_ignored) {
  for (unsigned i = 0; i < 2 * LATENCY_REPORT_ROWS_MAX; i++)
    add(&report, "p", "o", 1, 1);
  ck_assert_uint_eq(report.n, LATENCY_REPORT_ROWS_MAX);
}
END_TEST

START_TEST(latency_json_has_all_kinds_and_buckets) {
  add(&report, "region", "hit", 150, 4);
  add(&report, "socket", "miss", 0, 0);
  report.period_ns = 1500000000;
  json_t *all = latency_report_json(&report);
  const json_t *kinds = json_object_get(all, "kinds");
  const json_t *first = json_array_get(kinds, 0), *pair;

  printed_number(all, "period_s", 1.5);
  ck_assert_uint_eq(json_array_size(kinds), 2);
  printed_string(first, "path", "region");
  printed_number(first, "count", 4);
  printed_number(first, "sum_s", 600e-9);
  printed_number(first, "p999_s", 150e-9);
  ck_assert_uint_eq(json_array_size(json_object_get(first, "buckets")), 1);
  pair = json_array_get(json_object_get(first, "buckets"), 0);
  ck_assert_double_eq_tol(json_number_value(json_array_get(pair, 0)), 151e-9, 1e-12);
  ck_assert_int_eq(json_integer_value(json_array_get(pair, 1)), 4);
  json_decref(all);
}
END_TEST

/* ---- intrinsic ---- */

START_TEST(intrinsic_keeps_the_longest_gaps_in_order) {
  static struct intrinsic intrinsic;
  uint64_t at_ns = 0;

  memset(&intrinsic, 0, sizeof intrinsic);
  for (uint64_t i = 1; i <= 3 * INTRINSIC_LONGEST; i++) {
    uint64_t ns = (i * 7 % (3 * INTRINSIC_LONGEST) + 1) * INTRINSIC_GAP_NS;

    at_ns += ns;
    intrinsic_add(&intrinsic, ns, at_ns);
    intrinsic_add(&intrinsic, 30, at_ns + 30);
  }
  intrinsic.duration_ns = at_ns;
  ck_assert_uint_eq(intrinsic.gaps, 3 * INTRINSIC_LONGEST);
  ck_assert_uint_eq(intrinsic.gap_ns, at_ns);
  ck_assert_uint_eq(intrinsic.n, INTRINSIC_LONGEST);
  for (uint32_t i = 0; i < intrinsic.n; i++)
    ck_assert_uint_eq(intrinsic.longest[i].ns, (3 * INTRINSIC_LONGEST - i) * INTRINSIC_GAP_NS);
  json_t *all = intrinsic_json(&intrinsic);
  printed_number(all, "gaps", 3 * INTRINSIC_LONGEST);
  ck_assert_uint_eq(json_array_size(json_object_get(all, "longest")), INTRINSIC_LONGEST);
  json_decref(all);
}
END_TEST

START_TEST(intrinsic_stops_when_told) {
  static struct intrinsic intrinsic;
  static const volatile int stop = 1;

  intrinsic_measure(&intrinsic, UINT64_MAX, &stop);
  ck_assert_uint_eq(intrinsic.steps.count, 0);
}
END_TEST

/* ---- slowest ---- */

static struct fc_slow_entry slow_request(const char *name) {
  return (struct fc_slow_entry){.request = fc_str_of("get_many"),
                                .age_ns = UINT64_C(61000000000),
                                .total_ns = 10000000,
                                .queue_ns = 2000000,
                                .serve_ns = 3000000,
                                .send_ns = 5000000,
                                .bytes = 3100,
                                .keys = 64,
                                .client_id = 7,
                                .client = fc_str_of("worker-1"),
                                .pid = 4711,
                                .name_space = fc_str_of("gpt2"),
                                .op = fc_str_of("logprob_of"),
                                .view = fc_str_of(name)};
}

static char *print_requests(const struct fc_slow_entry *request) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  struct slowest_report slowest = {.out = out};

  ck_assert_ptr_nonnull(out);
  slowest_report_begin(&slowest, SLOWEST_REQUESTS);
  if (request)
    slowest_report_add_request(&slowest, request);
  slowest_report_end(&slowest, true, 1000000000);
  ck_assert(!slowest.failed);
  slowest_report_deinit(&slowest);
  ck_assert_int_eq(fclose(out), 0);
  return text;
}

START_TEST(slowest_requests_with_names_below) {
  struct fc_slow_entry request = slow_request("base");

  printed_is(print_requests(NULL), "no requests\n");
  printed_is(print_requests(&request),
             "  TOTAL   QUEUE   SERVE    SEND    AGO REQUEST  KEYS     SIZE  PID\n"
             "10.0 ms 2.00 ms 3.00 ms 5.00 ms 1m 01s get_many   64 3.03 KiB 4711\n"
             "    worker-1, namespace gpt2, op logprob_of, view base\n");
  request.name_space = request.op = request.view = (struct fc_str){0};
  char *text = print_requests(&request);
  printed_contains(text, "\n    worker-1\n");
  free(text);
}
END_TEST

START_TEST(slowest_requests_fit_80_columns) {
  struct fc_slow_entry request = slow_request(printed_long_name());
  char *text;

  request.total_ns = request.queue_ns = request.serve_ns = request.send_ns = request.age_ns =
      UINT64_MAX;
  request.bytes = request.client_id = UINT64_MAX;
  request.keys = UINT32_MAX;
  request.pid = 4194304;
  request.client = request.name_space = request.op = request.view;
  text = print_requests(&request);
  printed_fits(text);
  free(text);
}
END_TEST

START_TEST(slowest_json_has_requests_and_entries) {
  struct fc_slow_entry request = slow_request("base");
  struct fc_list_entry entry = {.name_space = fc_str_of("gpt2"),
                                .key = printed_key("logprob_of", "base"),
                                .value_size = 100,
                                .compute_ns = 1500000000,
                                .hits = 3};
  struct slowest_report slowest = {.json = true};

  slowest_report_begin(&slowest, SLOWEST_REQUESTS);
  slowest_report_add_request(&slowest, &request);
  slowest_report_end(&slowest, true, 2000000000);
  slowest_report_begin(&slowest, SLOWEST_ENTRIES);
  slowest_report_add_entry(&slowest, &entry);
  slowest_report_end(&slowest, true, 0);
  json_t *all = slowest_report_json(&slowest);
  const json_t *first = json_array_get(json_object_get(all, "requests"), 0);

  printed_number(all, "period_s", 2);
  printed_number(first, "total_s", 0.01);
  printed_number(first, "keys", 64);
  printed_string(first, "client", "worker-1");
  first = json_array_get(json_object_get(all, "entries"), 0);
  printed_key_is(first);
  printed_number(first, "compute_s", 1.5);
  json_decref(all);
  slowest_report_deinit(&slowest);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("print_times");
  TCase *test_case = tcase_create("print_times");

  tcase_add_checked_fixture(test_case, set_up, tear_down);
  tcase_add_test(test_case, latency_table_shows_kinds_that_happened);
  tcase_add_test(test_case, latency_lines_fit_80_columns);
  tcase_add_test(test_case, latency_interval_is_the_difference_by_name);
  tcase_add_test(test_case, latency_interval_after_a_reset_is_the_time_since);
  tcase_add_test(test_case, latency_more_kinds_than_rows_ignored);
  tcase_add_test(test_case, latency_json_has_all_kinds_and_buckets);
  tcase_add_test(test_case, intrinsic_keeps_the_longest_gaps_in_order);
  tcase_add_test(test_case, intrinsic_stops_when_told);
  tcase_add_test(test_case, slowest_requests_with_names_below);
  tcase_add_test(test_case, slowest_requests_fit_80_columns);
  tcase_add_test(test_case, slowest_json_has_requests_and_entries);
  suite_add_tcase(suite, test_case);
  return suite;
}

int main(void) {
  (void)setlocale(LC_CTYPE, "C.UTF-8");
  return runner_run(make_suite());
}
