/* The stats of a daemon that continues the counters of earlier ones. */
#include <check.h>
#include <string.h>

#include "tests/support/dispatch_fixture.h"
#include "tests/support/runner.h"

static struct test_client *const one = &test_clients[0];
static struct totals earlier;

static void set_up(void) {
  static struct dispatch_options options = {.totals = &earlier};
  memset(&earlier, 0, sizeof earlier);
  totals_begin(&earlier, 1);
  earlier.counters.hits = 70;
  earlier.counters.max_batch_size = 9;
  earlier.connections = 300;
  earlier.trace = (struct trace_counts){.events = 50, .written = 48};
  earlier.region_moved_bytes = 4096;
  earlier.adopted_entries = 11;
  earlier.lease_secret = 12345;
  totals_begin(&earlier, 2);
  dispatch_set_up(&options);
  (void)client_hello(one, client_hello_of(FC_PROTOCOL_VERSION));
}

/* Finds a statistic of the daemon. Returns false if there is none. */
static bool find_stat(const char *name, struct fc_stat *stat) {
  struct fc_buf request = {0};
  struct fc_stats_walk walk = {0};
  ck_assert_int_eq(fc_encode_stats(&request, 1, fc_str_of(NULL)), 0);
  client_request(one, &request);
  struct fc_reply reply = client_last_reply(one);
  while (fc_stats_next(&reply.stats, &walk, stat))
    if (stat->name_space.data == NULL && fc_str_equal(stat->name, fc_str_of(name)))
      return true;
  return false;
}

static uint64_t integer_of(const char *name) {
  struct fc_stat stat;
  ck_assert_msg(find_stat(name, &stat), "%s is missing", name);
  ck_assert_int_eq(stat.kind, FC_STAT_UINT);
  return stat.integer;
}

START_TEST(counter_continues_and_daemon_counter_starts_at_zero) {
  ck_assert_uint_eq(integer_of("cache_hits"), 70);
  ck_assert_uint_eq(integer_of("daemon_cache_hits"), 0);
  dispatch.totals->counters.hits += 3;
  ck_assert_uint_eq(integer_of("cache_hits"), 73);
  ck_assert_uint_eq(integer_of("daemon_cache_hits"), 3);
  ck_assert_uint_eq(integer_of("connections"), 301);
  ck_assert_uint_eq(integer_of("daemon_connections"), 1);
  ck_assert_uint_eq(integer_of("restarts"), 1);
}
END_TEST

/* The server adds what it took over after dispatch_init. */
START_TEST(adopted_entries_are_of_this_daemon) {
  dispatch.totals->adopted_entries += 5;
  ck_assert_uint_eq(integer_of("adopted_entries"), 16);
  ck_assert_uint_eq(integer_of("daemon_adopted_entries"), 5);
}
END_TEST

START_TEST(trace_lines_of_killed_daemon_are_lost) {
  ck_assert_uint_eq(integer_of("trace_lines"), 48);
  ck_assert_uint_eq(integer_of("trace_lost"), 2);
  ck_assert_uint_eq(integer_of("daemon_trace_lost"), 0);
}
END_TEST

START_TEST(moved_bytes_continue_over_arenas) {
  store.heap.arena.moved_bytes = 100;
  ck_assert_uint_eq(integer_of("region_moved_bytes"), 4196);
  store.heap.arena.moved_bytes = 30; /* of another arena */
  ck_assert_uint_eq(integer_of("region_moved_bytes"), 4226);
  ck_assert_uint_eq(integer_of("daemon_region_moved_bytes"), 130);
}
END_TEST

/* They are found after the adoption, when they migrate. */
START_TEST(damaged_entries_of_migration_are_counted) {
  store.migration.dropped[ADOPT_DAMAGED] = 3;
  ck_assert_uint_eq(integer_of("adopt_dropped"), 3);
  store.migration.dropped[ADOPT_DAMAGED] = 4;
  ck_assert_uint_eq(integer_of("adopt_dropped"), 4);
  ck_assert_uint_eq(integer_of("daemon_adopt_dropped"), 4);
}
END_TEST

START_TEST(longest_batch_is_of_the_cache_alone) {
  struct fc_stat stat;
  ck_assert_uint_eq(integer_of("max_batch_size"), 9);
  ck_assert(!find_stat("daemon_max_batch_size", &stat));
}
END_TEST

/* Leases of earlier daemons keep their digests. */
START_TEST(secret_of_cache_stays) {
  ck_assert_uint_eq(dispatch.secret, 12345);
  ck_assert_uint_eq(dispatch.totals->lease_secret, 12345);
}
END_TEST

static void report_of_test(void *arg, struct survival_report *report) {
  *report = *(const struct survival_report *)arg;
}

START_TEST(snapshot_is_shown_if_there_is_a_state_directory) {
  struct fc_stat stat;
  struct survival_report report = {.cache_id = 0xab, .snapshot_age_ns = UINT64_MAX};
  ck_assert(!find_stat("cache_id", &stat)); /* no report, no line */
  dispatch.survival_report = report_of_test;
  dispatch.survival_arg = &report;
  ck_assert(find_stat("cache_id", &stat));
  ck_assert(fc_str_equal(stat.text, fc_str_of("00000000000000ab")));
  ck_assert(!find_stat("snapshot_result", &stat));
  report.keeps_snapshots = true;
  report.snapshot_result = "none";
  ck_assert(find_stat("snapshot_result", &stat));
  ck_assert(!find_stat("snapshot_age_s", &stat));
  report.snapshot_late = true; /* also without any */
  report.snapshot_interval_ns = 500000000;
  ck_assert(find_stat("snapshot_late", &stat));
  ck_assert_uint_eq(stat.integer, 1);
  ck_assert(find_stat("snapshot_interval_s", &stat));
  ck_assert_double_eq(stat.real, 0.5);
  report.snapshot_age_ns = 2500000000;
  ck_assert(find_stat("snapshot_age_s", &stat));
  ck_assert_double_eq(stat.real, 2.5);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats_totals");
  TCase *tcase = tcase_create("stats_totals");
  tcase_add_checked_fixture(tcase, set_up, dispatch_tear_down);
  tcase_add_test(tcase, counter_continues_and_daemon_counter_starts_at_zero);
  tcase_add_test(tcase, adopted_entries_are_of_this_daemon);
  tcase_add_test(tcase, trace_lines_of_killed_daemon_are_lost);
  tcase_add_test(tcase, moved_bytes_continue_over_arenas);
  tcase_add_test(tcase, damaged_entries_of_migration_are_counted);
  tcase_add_test(tcase, longest_batch_is_of_the_cache_alone);
  tcase_add_test(tcase, secret_of_cache_stays);
  tcase_add_test(tcase, snapshot_is_shown_if_there_is_a_state_directory);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
