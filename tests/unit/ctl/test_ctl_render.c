/* What fcachectl prints: units, shares, names that are cut, the stats within 80 columns. */
#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/render.h"
#include "client/ctl/print/stats_json.h"
#include "client/ctl/print/stats_snapshot.h"
#include "client/ctl/print/stats_text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

#define ELLIPSIS "\xe2\x80\xa6"

START_TEST(bytes_have_units) {
  char text[RENDER_SIZE];

  ck_assert_str_eq(render_bytes(0, text), "0 B");
  ck_assert_str_eq(render_bytes(1023, text), "1023 B");
  ck_assert_str_eq(render_bytes(1024, text), "1 KiB");
  ck_assert_str_eq(render_bytes(1536, text), "1.50 KiB");
  ck_assert_str_eq(render_bytes(256u << 20, text), "256 MiB");
  ck_assert_str_eq(render_bytes((256u << 20) + 1, text), "256 MiB");
  ck_assert_str_eq(render_bytes(UINT64_C(12345678901), text), "11.5 GiB");
  ck_assert_str_eq(render_bytes(UINT64_MAX, text), "16.0 EiB");
  ck_assert_uint_eq(strlen(render_bytes(UINT64_C(1023) << 50, text)), 8); /* the widest */
}
END_TEST

START_TEST(times_have_units) {
  char text[RENDER_SIZE];

  ck_assert_str_eq(render_seconds(0, text), "0 s");
  ck_assert_str_eq(render_seconds(31.24e-9, text), "31.2 ns");
  ck_assert_str_eq(render_seconds(0.9996e-6, text), "1.00 us");
  ck_assert_str_eq(render_seconds(12.34e-6, text), "12.3 us");
  ck_assert_str_eq(render_seconds(4.561e-3, text), "4.56 ms");
  ck_assert_str_eq(render_seconds(0.9996, text), "1.00 s");
  ck_assert_str_eq(render_seconds(59.94, text), "59.9 s");
  ck_assert_str_eq(render_seconds(59.96, text), "1m 00s");
  ck_assert_str_eq(render_seconds(3599.99, text), "59m 59s");
  ck_assert_str_eq(render_seconds(11100, text), "3h 05m");
  ck_assert_str_eq(render_seconds(12 * 86400.0 + 4 * 3600, text), "12d 4h");
  ck_assert_str_eq(render_seconds(100 * 86400.0 - 1, text), "99d 23h");
  ck_assert_str_eq(render_seconds(100 * 86400.0 + 23 * 3600, text), "100d");
  ck_assert_str_eq(render_seconds((double)UINT64_MAX / 1e9, text), "213503d");
  ck_assert_str_eq(render_seconds(-1, text), "-");
  ck_assert_str_eq(render_seconds(0.0 / strtod("0", NULL), text), "-");
}
END_TEST

START_TEST(pids_are_what_linux_gives) {
  char text[RENDER_SIZE];

  ck_assert_str_eq(render_pid(1, text), "1");
  ck_assert_str_eq(render_pid(4194304, text), "4194304");
  ck_assert_str_eq(render_pid(4194305, text), "-");
  ck_assert_str_eq(render_pid(0, text), "-");
  ck_assert_str_eq(render_pid(INT64_MIN, text), "-");
}
END_TEST

START_TEST(counts_are_exact_then_short) {
  char text[RENDER_SIZE];

  ck_assert_str_eq(render_count(0, text), "0");
  ck_assert_str_eq(render_count(9999999, text), "9999999");
  ck_assert_str_eq(render_count(12345678, text), "12.3M");
  ck_assert_str_eq(render_count(UINT64_C(4560000000), text), "4.56G");
  ck_assert_str_eq(render_count(UINT64_MAX, text), "18.4E");
}
END_TEST

START_TEST(rates_without_a_denominator_are_a_dash) {
  char text[RENDER_SIZE];

  ck_assert_str_eq(render_percent(0, 0, text), "-");
  ck_assert_str_eq(render_percent(1, 3, text), "33.33%");
  ck_assert_str_eq(render_share(8, 10, text), "8 / 10 (80.00%)");
  ck_assert_str_eq(render_share(0, 0, text), "0 / 0 (-)");
  ck_assert_str_eq(render_share_bytes(512, 1024, text), "512 B / 1 KiB (50.00%)");
  ck_assert_str_eq(render_share_short(20000000, 40000000, text), "20.0M / 40.0M (50.00%)");
}
END_TEST

static char *fit(const char *name, size_t columns, int pad) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  ck_assert_ptr_nonnull(out);
  render_fit(out, name, columns, pad);
  ck_assert_int_eq(fclose(out), 0);
  return text;
}

static void check_fit(const char *name, size_t columns, int pad, const char *want) {
  char *text = fit(name, columns, pad);

  ck_assert_str_eq(text, want);
  free(text);
}

START_TEST(names_are_cut_by_width) {
  check_fit("abc", 5, 1, "abc  ");
  check_fit("abc", 5, 0, "abc");
  check_fit("abcde", 5, 1, "abcde");
  check_fit("abcdef", 5, 1, "abcd" ELLIPSIS);
  /* Three wide characters are six columns; two and the ellipsis are five. */
  check_fit("\xe5\x90\x8d\xe5\x89\x8d\xe7\xa9\xba", 6, 1, "\xe5\x90\x8d\xe5\x89\x8d\xe7\xa9\xba");
  check_fit("\xe5\x90\x8d\xe5\x89\x8d\xe7\xa9\xba", 5, 1, "\xe5\x90\x8d\xe5\x89\x8d" ELLIPSIS);
  check_fit("\xe5\x90\x8d\xe5\x89\x8d\xe7\xa9\xba", 4, 1, "\xe5\x90\x8d" ELLIPSIS " ");
  /* A combining accent takes no column. */
  check_fit("e\xcc\x81"
            "a",
            3, 1,
            "e\xcc\x81"
            "a ");
}
END_TEST

START_TEST(names_do_not_steer_the_terminal) {
  char text[16];

  check_fit("a\x1b[31m", 10, 0, "a?[31m");
  check_fit("\xff\xc3", 10, 0, "??");
  check_fit("\xc2\x9b"
            "1m",
            10, 0, "?1m"); /* CSI as one character */
  /* what ends a line, or turns the direction of writing */
  check_fit("a\xe2\x80\xa8\xe2\x80\xae\xc2\x85", 10, 1, "a???      ");
  /* what is not seen: two names must not look the same */
  check_fit("a\xe2\x80\x8b\xef\xb8\x8f\xc2\xad", 10, 1, "a???      ");
  ck_assert_str_eq(render_clean(text, sizeof text, "a\nb\x7f\xe2\x80\xa9"), "a?b??");
  ck_assert_str_eq(render_clean(text, 4, "abcdef"), "abc");
  ck_assert_str_eq(render_clean(text, 4, "ab\xc3\xa9"), "ab"); /* no half characters */
}
END_TEST

/* ---- whole views ---- */

static void add(struct figures *figures, const char *name_space, const char *name,
                enum fcache_stat_kind kind, double number, const char *text) {
  struct fcache_stat stat = {.name_space = name_space,
                             .name = name,
                             .kind = kind,
                             .integer = (uint64_t)number,
                             .real = number,
                             .text = text};

  figures_add(figures, &stat);
  ck_assert(!figures->failed);
}

/* Two namespaces: one small, one with a long name and figures as wide as they come. */
static void fill(struct figures *figures) {
  static const char *const counts[] = {"entries", "cache_hits", "cache_misses", "shared_hits"};
  char long_name[256];

  memset(long_name, 'n', 255);
  long_name[255] = '\0';
  figures_init(figures);
  add(figures, NULL, "version", FCACHE_STAT_TEXT, 0, "0.1.0");
  add(figures, NULL, "cache_hits", FCACHE_STAT_COUNT, 8, NULL);
  add(figures, NULL, "cache_misses", FCACHE_STAT_COUNT, 2, NULL);
  add(figures, NULL, "hit_rate", FCACHE_STAT_RATIO, 0.8, NULL);
  add(figures, NULL, "bytes", FCACHE_STAT_BYTES, 1536, NULL);
  add(figures, NULL, "max_bytes", FCACHE_STAT_BYTES, 268435456, NULL);
  add(figures, NULL, "memory_used", FCACHE_STAT_BYTES, 42 << 20, NULL);
  add(figures, NULL, "memory_bound", FCACHE_STAT_BYTES, 560 << 20, NULL);
  add(figures, NULL, "memory_sockets", FCACHE_STAT_BYTES, 1023e12, NULL);
  add(figures, NULL, "memory_sockets_bound", FCACHE_STAT_BYTES, 1023e12, NULL);
  add(figures, NULL, "region_shared", FCACHE_STAT_COUNT, 1, NULL);
  add(figures, NULL, "region_bytes", FCACHE_STAT_BYTES, 1023e12, NULL);
  add(figures, NULL, "region_used_bytes", FCACHE_STAT_BYTES, 1023e12, NULL);
  add(figures, NULL, "region_fragmentation", FCACHE_STAT_RATIO, 0.125, NULL);
  add(figures, NULL, "region_moved_bytes", FCACHE_STAT_BYTES, 4 << 20, NULL);
  add(figures, NULL, "evictions_entries", FCACHE_STAT_COUNT, 0, NULL);
  add(figures, NULL, "evictions_bytes", FCACHE_STAT_COUNT, 9, NULL);
  add(figures, NULL, "evictions_forced", FCACHE_STAT_COUNT, 2, NULL);
  add(figures, NULL, "evictions_chain", FCACHE_STAT_COUNT, 3, NULL);
  add(figures, NULL, "uptime_s", FCACHE_STAT_SECONDS, 90, NULL);
  add(figures, NULL, "hits_region", FCACHE_STAT_COUNT, 7, NULL);
  add(figures, NULL, "hits_socket", FCACHE_STAT_COUNT, 1, NULL);
  add(figures, NULL, "hits_unrecorded", FCACHE_STAT_COUNT, 5, NULL);
  add(figures, NULL, "rings", FCACHE_STAT_COUNT, 3, NULL);
  add(figures, NULL, "rings_bytes", FCACHE_STAT_BYTES, 6 << 20, NULL);
  add(figures, NULL, "rings_asleep", FCACHE_STAT_COUNT, 999, NULL);
  add(figures, NULL, "clients_without_ring", FCACHE_STAT_COUNT, 998, NULL);
  add(figures, NULL, "rings_bytes_max", FCACHE_STAT_BYTES, 64 << 20, NULL);
  add(figures, NULL, "ring_records", FCACHE_STAT_COUNT, 10, NULL);
  add(figures, NULL, "drain_s", FCACHE_STAT_SECONDS, 500e-9, NULL);
  add(figures, NULL, "leases_granted", FCACHE_STAT_COUNT, 120, NULL);
  add(figures, NULL, "leases_abandoned", FCACHE_STAT_COUNT, 3, NULL);
  add(figures, NULL, "leases_expired", FCACHE_STAT_COUNT, 1, NULL);
  add(figures, NULL, "coalesced_hits", FCACHE_STAT_COUNT, 45, NULL);
  add(figures, NULL, "lease_wait_s", FCACHE_STAT_SECONDS, 1.234, NULL);
  add(figures, NULL, "leases", FCACHE_STAT_COUNT, 2, NULL);
  add(figures, NULL, "lease_waits", FCACHE_STAT_COUNT, 5, NULL);
  add(figures, NULL, "trace_on", FCACHE_STAT_COUNT, 1, NULL);
  add(figures, NULL, "trace_path", FCACHE_STAT_TEXT, 0, long_name);
  add(figures, NULL, "of_a_later_daemon", FCACHE_STAT_COUNT, 42, NULL);
  add(figures, "small", "entries", FCACHE_STAT_COUNT, 1, NULL);
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    add(figures, long_name, counts[i], FCACHE_STAT_COUNT, 9999998, NULL);
  add(figures, long_name, "bytes", FCACHE_STAT_BYTES, 1.0995e12, NULL);
  add(figures, long_name, "saved_wall_s", FCACHE_STAT_SECONDS, 999 * 86400.0 - 1, NULL);
}

START_TEST(stats_fit_80_columns) {
  struct figures figures;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  fill(&figures);
  stats_text_all(out, &figures);
  stats_text_group(out, &figures.namespaces[1]);
  stats_text_watch_header(out);
  stats_text_watch_line(out, &figures.daemon, &figures.namespaces[1], 0.001);
  ck_assert_int_eq(fclose(out), 0);
  printed_fits(text);
  ck_assert_ptr_nonnull(strstr(text, "8 / 10 (80.00%)"));
  ck_assert_ptr_nonnull(strstr(text, "1.50 KiB / 256 MiB (0.00%)"));
  ck_assert_ptr_nonnull(strstr(text, "\nregion           shared, 930 TiB / 930 TiB (100.00%)"));
  ck_assert_ptr_nonnull(strstr(text, "12.50% fragmented, 4 MiB moved together"));
  ck_assert_ptr_nonnull(strstr(text, "9 over max_bytes, 2 for a hole, 3 collided"));
  ck_assert_ptr_nonnull(strstr(text, "1m 30s"));
  ck_assert_ptr_nonnull(strstr(text, "7 by clients themselves, 1 by message, 5 not recorded"));
  ck_assert_ptr_nonnull(strstr(text, "3 of 6 MiB, 10 records, 50.0 ns each"));
  ck_assert_ptr_nonnull(strstr(text, "999 asleep, 998 clients without one, 64 MiB at most\n"));
  ck_assert_ptr_nonnull(strstr(text, "\nleases           120 granted, 3 abandoned, 1 expired\n"));
  ck_assert_ptr_nonnull(strstr(text, "\n  now            2 held, 5 waiting\n"));
  ck_assert_ptr_nonnull(strstr(text, "\n  waits          1.23 s in all, 45 ended with a hit\n"));
  ck_assert_ptr_null(strstr(text, "\nlease_waits ")); /* nor another of them as it is */
  ck_assert_ptr_nonnull(strstr(text, "0 / 0 (-)"));   /* of "small" */
  ck_assert_ptr_nonnull(strstr(text, ELLIPSIS));
  ck_assert_ptr_nonnull(strstr(text, "\nof_a_later_daemon "));
  ck_assert_ptr_null(strstr(text, "hit_rate")); /* shown as a share */
  free(text);
  figures_deinit(&figures);
  figures_deinit(&figures);
}
END_TEST

START_TEST(watch_shows_what_changed) {
  struct figures before, now;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  figures_init(&before);
  figures_init(&now);
  add(&before, NULL, "cache_hits", FCACHE_STAT_COUNT, 10, NULL);
  add(&now, NULL, "cache_hits", FCACHE_STAT_COUNT, 16, NULL);
  add(&now, NULL, "cache_misses", FCACHE_STAT_COUNT, 2, NULL);
  add(&now, NULL, "lease_waits", FCACHE_STAT_COUNT, 7, NULL);
  stats_text_watch_line(out, &before.daemon, &now.daemon, 2);
  stats_text_watch_line(out, &now.daemon, &before.daemon, 2); /* another daemon: counters fell */
  ck_assert_int_eq(fclose(out), 0);
  ck_assert_ptr_nonnull(strstr(text, "  4    75.00%"));
  ck_assert_ptr_nonnull(strstr(text, "       7\n")); /* who waits, now */
  ck_assert_ptr_nonnull(strstr(text, "  -         -"));
  ck_assert_ptr_nonnull(strstr(text, "       -\n")); /* a daemon that does not tell */
  free(text);
  figures_deinit(&before);
  figures_deinit(&now);
}
END_TEST

START_TEST(json_has_numbers_as_numbers) {
  struct figures figures;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  json_t *all, *daemon, *namespaces;

  fill(&figures);
  ck_assert_int_eq(stats_json_print(out, &figures), 0);
  ck_assert_int_eq(fclose(out), 0);
  all = json_loads(text, 0, NULL);
  ck_assert_ptr_nonnull(all);
  daemon = json_object_get(all, "daemon");
  namespaces = json_object_get(all, "namespaces");
  ck_assert_int_eq(json_integer_value(json_object_get(daemon, "cache_hits")), 8);
  ck_assert(json_real_value(json_object_get(daemon, "hit_rate")) == 0.8);
  ck_assert_ptr_nonnull(strstr(text, "\"hit_rate\": 0.8,"));
  ck_assert_str_eq(json_string_value(json_object_get(daemon, "version")), "0.1.0");
  ck_assert_uint_eq(json_array_size(namespaces), 2);
  ck_assert_str_eq(json_string_value(json_object_get(json_array_get(namespaces, 0), "namespace")),
                   "small");
  json_decref(all);
  free(text);
  figures_deinit(&figures);
}
END_TEST

/* A reader of lines or of another locale reads it all the same. */
START_TEST(json_is_ascii) {
  struct figures figures;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  figures_init(&figures);
  add(&figures, NULL, "version", FCACHE_STAT_TEXT, 0, "0.1.0");
  add(&figures, "n\xe2\x80\xa8m", "entries", FCACHE_STAT_COUNT, 1, NULL);
  ck_assert_int_eq(stats_json_print(out, &figures), 0);
  ck_assert_int_eq(fclose(out), 0);
  ck_assert_ptr_nonnull(strstr(text, "\"n\\u2028m\""));
  free(text);
  figures_deinit(&figures);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_render");
  TCase *tests = tcase_create("render");

  setlocale(LC_CTYPE, "C.UTF-8");
  tcase_add_test(tests, bytes_have_units);
  tcase_add_test(tests, times_have_units);
  tcase_add_test(tests, pids_are_what_linux_gives);
  tcase_add_test(tests, counts_are_exact_then_short);
  tcase_add_test(tests, rates_without_a_denominator_are_a_dash);
  tcase_add_test(tests, names_are_cut_by_width);
  tcase_add_test(tests, names_do_not_steer_the_terminal);
  tcase_add_test(tests, stats_fit_80_columns);
  tcase_add_test(tests, watch_shows_what_changed);
  tcase_add_test(tests, json_has_numbers_as_numbers);
  tcase_add_test(tests, json_is_ascii);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
