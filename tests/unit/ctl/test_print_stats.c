/* The stats for people, within 80 columns, and as JSON. */
#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/stats_json.h"
#include "client/ctl/print/stats_snapshot.h"
#include "client/ctl/print/stats_text.h"
#include "client/ctl/print/stats_watch.h"
#include "client/ctl/print/text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

/* Two namespaces: one small, one with a long name and the widest numbers. */
static void fill(struct stats_snapshot *snapshot) {
  static const char *const counts[] = {"entries", "cache_hits", "cache_misses", "shared_hits"};
  char long_name[256];

  memset(long_name, 'n', 255);
  long_name[255] = '\0';
  stats_snapshot_init(snapshot);
  printed_add_stat(snapshot, NULL, "version", FCACHE_STAT_TEXT, 0, "0.1.0");
  printed_add_stat(snapshot, NULL, "cache_hits", FCACHE_STAT_COUNT, 8, NULL);
  printed_add_stat(snapshot, NULL, "cache_misses", FCACHE_STAT_COUNT, 2, NULL);
  printed_add_stat(snapshot, NULL, "hit_rate", FCACHE_STAT_RATIO, 0.8, NULL);
  printed_add_stat(snapshot, NULL, "bytes", FCACHE_STAT_BYTES, 1536, NULL);
  printed_add_stat(snapshot, NULL, "max_bytes", FCACHE_STAT_BYTES, 268435456, NULL);
  printed_add_stat(snapshot, NULL, "memory_used", FCACHE_STAT_BYTES, 42 << 20, NULL);
  printed_add_stat(snapshot, NULL, "memory_bound", FCACHE_STAT_BYTES, 560 << 20, NULL);
  printed_add_stat(snapshot, NULL, "memory_sockets", FCACHE_STAT_BYTES, 1023e12, NULL);
  printed_add_stat(snapshot, NULL, "memory_sockets_bound", FCACHE_STAT_BYTES, 1023e12, NULL);
  printed_add_stat(snapshot, NULL, "region_shared", FCACHE_STAT_COUNT, 1, NULL);
  printed_add_stat(snapshot, NULL, "region_huge_pages", FCACHE_STAT_COUNT, 1, NULL);
  printed_add_stat(snapshot, NULL, "region_bytes", FCACHE_STAT_BYTES, 1023e12, NULL);
  printed_add_stat(snapshot, NULL, "region_used_bytes", FCACHE_STAT_BYTES, 1023e12, NULL);
  printed_add_stat(snapshot, NULL, "region_fragmentation", FCACHE_STAT_RATIO, 0.125, NULL);
  printed_add_stat(snapshot, NULL, "region_moved_bytes", FCACHE_STAT_BYTES, 4 << 20, NULL);
  printed_add_stat(snapshot, NULL, "evictions_entries", FCACHE_STAT_COUNT, 0, NULL);
  printed_add_stat(snapshot, NULL, "evictions_bytes", FCACHE_STAT_COUNT, 9, NULL);
  printed_add_stat(snapshot, NULL, "evictions_forced", FCACHE_STAT_COUNT, 2, NULL);
  printed_add_stat(snapshot, NULL, "evictions_chain", FCACHE_STAT_COUNT, 3, NULL);
  printed_add_stat(snapshot, NULL, "uptime_s", FCACHE_STAT_SECONDS, 90, NULL);
  printed_add_stat(snapshot, NULL, "hits_region", FCACHE_STAT_COUNT, 7, NULL);
  printed_add_stat(snapshot, NULL, "hits_socket", FCACHE_STAT_COUNT, 1, NULL);
  printed_add_stat(snapshot, NULL, "hits_unrecorded", FCACHE_STAT_COUNT, 5, NULL);
  printed_add_stat(snapshot, NULL, "rings", FCACHE_STAT_COUNT, 3, NULL);
  printed_add_stat(snapshot, NULL, "rings_bytes", FCACHE_STAT_BYTES, 6 << 20, NULL);
  printed_add_stat(snapshot, NULL, "rings_asleep", FCACHE_STAT_COUNT, 999, NULL);
  printed_add_stat(snapshot, NULL, "clients_without_ring", FCACHE_STAT_COUNT, 998, NULL);
  printed_add_stat(snapshot, NULL, "rings_bytes_max", FCACHE_STAT_BYTES, 64 << 20, NULL);
  printed_add_stat(snapshot, NULL, "ring_records", FCACHE_STAT_COUNT, 10, NULL);
  printed_add_stat(snapshot, NULL, "drain_s", FCACHE_STAT_SECONDS, 500e-9, NULL);
  printed_add_stat(snapshot, NULL, "leases_granted", FCACHE_STAT_COUNT, 120, NULL);
  printed_add_stat(snapshot, NULL, "leases_abandoned", FCACHE_STAT_COUNT, 3, NULL);
  printed_add_stat(snapshot, NULL, "leases_expired", FCACHE_STAT_COUNT, 1, NULL);
  printed_add_stat(snapshot, NULL, "coalesced_hits", FCACHE_STAT_COUNT, 45, NULL);
  printed_add_stat(snapshot, NULL, "lease_wait_s", FCACHE_STAT_SECONDS, 1.234, NULL);
  printed_add_stat(snapshot, NULL, "leases", FCACHE_STAT_COUNT, 2, NULL);
  printed_add_stat(snapshot, NULL, "lease_waits", FCACHE_STAT_COUNT, 5, NULL);
  printed_add_stat(snapshot, NULL, "trace_on", FCACHE_STAT_COUNT, 1, NULL);
  printed_add_stat(snapshot, NULL, "trace_path", FCACHE_STAT_TEXT, 0, long_name);
  printed_add_stat(snapshot, NULL, "of_a_later_daemon", FCACHE_STAT_COUNT, 42, NULL);
  printed_add_stat(snapshot, "small", "entries", FCACHE_STAT_COUNT, 1, NULL);
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    printed_add_stat(snapshot, long_name, counts[i], FCACHE_STAT_COUNT, 9999998, NULL);
  printed_add_stat(snapshot, long_name, "bytes", FCACHE_STAT_BYTES, 1.0995e12, NULL);
  printed_add_stat(snapshot, long_name, "saved_wall_s", FCACHE_STAT_SECONDS, 999 * 86400.0 - 1,
                   NULL);
}

START_TEST(stats_fit_80_columns) {
  struct stats_snapshot snapshot;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  fill(&snapshot);
  stats_text_all(out, &snapshot);
  stats_text_group(out, &snapshot.namespaces[1]);
  stats_watch_print_header(out);
  stats_watch_print_line(out, &snapshot.daemon, &snapshot.namespaces[1], 0.001);
  ck_assert_int_eq(fclose(out), 0);
  printed_fits(text);
  printed_contains(text, "8 / 10 (80.00%)");
  printed_contains(text, "1.50 KiB / 256 MiB (0.00%)");
  printed_contains(text, "\nregion            shared, huge pages, 930 TiB / 930 TiB (100.00%)");
  printed_contains(text, "12.50%, 4 MiB compacted");
  printed_contains(text, "  others          2 for contiguous space, 3 for full buckets");
  printed_contains(text, "1m 30s");
  printed_contains(text, "7 shared memory, 1 socket, 5 not recorded");
  printed_contains(text, "3 (6 MiB), 10 records drained, 50.0 ns per record");
  printed_contains(text, "999 asleep, 998 clients without a ring, limit 64 MiB\n");
  printed_contains(text, "\nleases            120 granted, 3 abandoned, 1 expired\n");
  printed_contains(text, "\n  now             2 held, 5 waiting\n");
  printed_contains(text, "\nlease waits       1.23 s total, 45 hits after waiting\n");
  ck_assert_ptr_null(strstr(text, "\nlease_waits ")); /* covered by a row */
  printed_contains(text, "0 / 0 (-)");                /* of "small" */
  printed_contains(text, "\xe2\x80\xa6");
  printed_contains(text, "\nof_a_later_daemon ");
  ck_assert_ptr_null(strstr(text, "hit_rate")); /* shown as a share */
  free(text);
  stats_snapshot_deinit(&snapshot);
  stats_snapshot_deinit(&snapshot);
}
END_TEST

/* Prints the stats of a cache with that many restarts. The caller frees the text. */
static char *print_restarted(double restarts) {
  struct stats_snapshot snapshot;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  stats_snapshot_init(&snapshot);
  printed_add_stat(&snapshot, NULL, "restarts", FCACHE_STAT_COUNT, restarts, NULL);
  printed_add_stat(&snapshot, NULL, "cache_age_s", FCACHE_STAT_SECONDS, 7200, NULL);
  printed_add_stat(&snapshot, NULL, "cache_id", FCACHE_STAT_TEXT, 0, "00000000000000ab");
  printed_add_stat(&snapshot, NULL, "cache_hits", FCACHE_STAT_COUNT, 80, NULL);
  printed_add_stat(&snapshot, NULL, "cache_misses", FCACHE_STAT_COUNT, 20, NULL);
  printed_add_stat(&snapshot, NULL, "daemon_cache_hits", FCACHE_STAT_COUNT, 3, NULL);
  printed_add_stat(&snapshot, NULL, "daemon_cache_misses", FCACHE_STAT_COUNT, 1, NULL);
  printed_add_stat(&snapshot, NULL, "clears", FCACHE_STAT_COUNT, 4, NULL);
  printed_add_stat(&snapshot, NULL, "daemon_clears", FCACHE_STAT_COUNT, 0, NULL);
  printed_add_stat(&snapshot, NULL, "adopted_entries", FCACHE_STAT_COUNT, 100000, NULL);
  printed_add_stat(&snapshot, NULL, "adopt_dropped", FCACHE_STAT_COUNT, 2, NULL);
  printed_add_stat(&snapshot, NULL, "restored_entries", FCACHE_STAT_COUNT, 0, NULL);
  printed_add_stat(&snapshot, NULL, "snapshots_written", FCACHE_STAT_COUNT, 12, NULL);
  printed_add_stat(&snapshot, NULL, "snapshot_result", FCACHE_STAT_TEXT, 0, "failed");
  printed_add_stat(&snapshot, NULL, "snapshot_late", FCACHE_STAT_COUNT, 1, NULL);
  printed_add_stat(&snapshot, NULL, "snapshot_age_s", FCACHE_STAT_SECONDS, 90, NULL);
  printed_add_stat(&snapshot, NULL, "snapshot_s", FCACHE_STAT_SECONDS, 0.25, NULL);
  printed_add_stat(&snapshot, NULL, "snapshot_entries", FCACHE_STAT_COUNT, 100000, NULL);
  printed_add_stat(&snapshot, NULL, "snapshot_bytes", FCACHE_STAT_BYTES, 320 << 20, NULL);
  stats_text_all(out, &snapshot);
  ck_assert_int_eq(fclose(out), 0);
  printed_fits(text);
  stats_snapshot_deinit(&snapshot);
  return text;
}

START_TEST(stats_of_restarted_cache_have_counters_since_start) {
  char *text = print_restarted(1), *since = strstr(text, "\nsince the daemon's start:\n");

  ck_assert_ptr_nonnull(since);
  printed_contains(text, "2h 00m old, 1 restart, id 00000000000000ab\n");
  printed_contains(text, "80 / 100 (80.00%)");
  printed_contains(since, "3 / 4 (75.00%)");
  ck_assert_ptr_null(strstr(since, "clears")); /* none since then */
  ck_assert_ptr_null(strstr(text, "daemon_"));
  printed_contains(text, "100000 entries, 2 dropped\n");
  ck_assert_ptr_null(strstr(text, "restored"));
  printed_contains(text, "12 written, 0 failed\n");
  printed_contains(text, "failed, late; 1m 30s old, 100000 entries, 320 MiB, took 250 ms\n");
  free(text);
}
END_TEST

START_TEST(stats_of_first_daemon_are_not_repeated) {
  char *text = print_restarted(0);

  ck_assert_ptr_null(strstr(text, "since"));
  ck_assert_ptr_null(strstr(text, "daemon_"));
  free(text);
}
END_TEST

START_TEST(stats_watch_prints_rates) {
  struct stats_snapshot before, now;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  stats_snapshot_init(&before);
  stats_snapshot_init(&now);
  printed_add_stat(&before, NULL, "cache_hits", FCACHE_STAT_COUNT, 10, NULL);
  printed_add_stat(&now, NULL, "cache_hits", FCACHE_STAT_COUNT, 16, NULL);
  printed_add_stat(&now, NULL, "cache_misses", FCACHE_STAT_COUNT, 2, NULL);
  printed_add_stat(&now, NULL, "lease_waits", FCACHE_STAT_COUNT, 7, NULL);
  stats_watch_print_line(out, &before.daemon, &now.daemon, 2);
  stats_watch_print_line(out, &now.daemon, &before.daemon, 2); /* another daemon: counters fell */
  ck_assert_int_eq(fclose(out), 0);
  printed_contains(text, "  4    75.00%");
  printed_contains(text, "       7\n"); /* waits at the moment */
  printed_contains(text, "  -         -");
  printed_contains(text, "       -\n"); /* a daemon without this item */
  free(text);
  stats_snapshot_deinit(&before);
  stats_snapshot_deinit(&now);
}
END_TEST

START_TEST(stats_json_has_numbers) {
  struct stats_snapshot snapshot;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  json_t *all, *daemon, *namespaces;

  fill(&snapshot);
  ck_assert_int_eq(stats_json_print(out, &snapshot), 0);
  ck_assert_int_eq(fclose(out), 0);
  all = json_loads(text, 0, NULL);
  ck_assert_ptr_nonnull(all);
  daemon = json_object_get(all, "daemon");
  namespaces = json_object_get(all, "namespaces");
  ck_assert_int_eq(json_integer_value(json_object_get(daemon, "cache_hits")), 8);
  ck_assert(json_real_value(json_object_get(daemon, "hit_rate")) == 0.8);
  printed_contains(text, "\"hit_rate\": 0.8,");
  ck_assert_str_eq(json_string_value(json_object_get(daemon, "version")), "0.1.0");
  ck_assert_uint_eq(json_array_size(namespaces), 2);
  ck_assert_str_eq(json_string_value(json_object_get(json_array_get(namespaces, 0), "namespace")),
                   "small");
  json_decref(all);
  free(text);
  stats_snapshot_deinit(&snapshot);
}
END_TEST

START_TEST(stats_json_is_ascii) {
  struct stats_snapshot snapshot;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  stats_snapshot_init(&snapshot);
  printed_add_stat(&snapshot, NULL, "version", FCACHE_STAT_TEXT, 0, "0.1.0");
  printed_add_stat(&snapshot, "n\xe2\x80\xa8m", "entries", FCACHE_STAT_COUNT, 1, NULL);
  ck_assert_int_eq(stats_json_print(out, &snapshot), 0);
  ck_assert_int_eq(fclose(out), 0);
  printed_contains(text, "\"n\\u2028m\"");
  free(text);
  stats_snapshot_deinit(&snapshot);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("print_stats");
  TCase *tests = tcase_create("print_stats");

  setlocale(LC_CTYPE, "C.UTF-8");
  text_force_columns(PRINTED_COLUMNS);
  tcase_add_test(tests, stats_fit_80_columns);
  tcase_add_test(tests, stats_of_restarted_cache_have_counters_since_start);
  tcase_add_test(tests, stats_of_first_daemon_are_not_repeated);
  tcase_add_test(tests, stats_watch_prints_rates);
  tcase_add_test(tests, stats_json_has_numbers);
  tcase_add_test(tests, stats_json_is_ascii);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
