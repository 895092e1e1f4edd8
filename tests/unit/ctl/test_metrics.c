/* Statistics as Prometheus metrics. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/metrics/metrics_choice.h"
#include "client/ctl/metrics/metrics_latency.h"
#include "client/ctl/metrics/metrics_stats.h"
#include "client/ctl/metrics/metrics_text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

static struct stats_snapshot snapshot;

static void set_up(void) {
  stats_snapshot_init(&snapshot);
}

static void tear_down(void) {
  stats_snapshot_deinit(&snapshot);
}

static void add(const char *name_space, const char *name, enum fcache_stat_kind kind, double number,
                const char *text) {
  printed_add_stat(&snapshot, name_space, name, kind, number, text);
}

/* Adds a namespace with that many hits, as many seconds saved, and a limit. */
static void add_namespace(const char *name, double hits) {
  add(name, "entries", FCACHE_STAT_COUNT, 1, NULL);
  add(name, "max_bytes", FCACHE_STAT_BYTES, 1000, NULL);
  add(name, "cache_hits", FCACHE_STAT_COUNT, hits, NULL);
  add(name, "saved_wall_s", FCACHE_STAT_SECONDS, hits, NULL);
  add(name, "evictions_bytes", FCACHE_STAT_COUNT, 2, NULL);
}

/* Prints the metrics. The caller frees the text. */
static char *print(void) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  ck_assert_ptr_nonnull(out);
  metrics_print(out, &snapshot);
  ck_assert_int_eq(fclose(out), 0);
  return text;
}

static void lacks(const char *text, const char *part) {
  ck_assert_msg(!strstr(text, part), "%s", part);
}

static size_t count(const char *text, const char *part) {
  size_t n = 0;

  for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
    n++;
  return n;
}

START_TEST(samples_of_one_metric_follow_one_head) {
  char *text;

  add(NULL, "version", FCACHE_STAT_TEXT, 0, "1.2");
  add(NULL, "memory_region", FCACHE_STAT_BYTES, 5, NULL);
  add(NULL, "memory_region_bound", FCACHE_STAT_BYTES, 9, NULL);
  add(NULL, "memory_rings", FCACHE_STAT_BYTES, 6, NULL);
  text = print();
  printed_contains(text, "# HELP fcached_memory_part_bytes Of memory_used, by part.\n"
                         "# TYPE fcached_memory_part_bytes gauge\n"
                         "fcached_memory_part_bytes{part=\"region\"} 5\n"
                         "fcached_memory_part_bytes{part=\"rings\"} 6\n");
  printed_contains(text, "# TYPE fcached_memory_part_bound_bytes gauge\n"
                         "fcached_memory_part_bound_bytes{part=\"region\"} 9\n");
  printed_contains(text, "\nfcached_info{version=\"1.2\",cache_id=\"\"} 1\n");
  lacks(text, "cache_hits"); /* a metric without a value has no head either */
  free(text);
}
END_TEST

START_TEST(unknown_items_and_items_of_other_types_have_no_metric) {
  char *text;

  add(NULL, "of_a_later_daemon", FCACHE_STAT_COUNT, 42, NULL);
  add(NULL, "daemon_clears", FCACHE_STAT_COUNT, 42, NULL);
  add(NULL, "clears", FCACHE_STAT_TEXT, 0, "many");
  add(NULL, "hit_rate", FCACHE_STAT_RATIO, 0.5, NULL);
  add(NULL, "pid", FCACHE_STAT_COUNT, 42, NULL);
  text = print();
  lacks(text, "42");
  lacks(text, "many");
  lacks(text, "hit_rate");
  free(text);
}
END_TEST

START_TEST(down_is_one_metric) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  metrics_print_down(out);
  ck_assert_int_eq(fclose(out), 0);
  printed_is(text, "# HELP fcached_up 1 if the daemon replied, else 0.\n"
                   "# TYPE fcached_up gauge\n"
                   "fcached_up 0\n");
}
END_TEST

/* 32 busy namespaces have metrics of their own, and three quiet ones share one sum. */
START_TEST(busiest_namespaces_have_metrics_and_the_others_a_sum) {
  char name[32], *text;

  add_namespace("quiet-1", 0);
  add_namespace("quiet-2", 1);
  for (int i = 0; i < 32; i++) {
    (void)snprintf(name, sizeof name, "busy-%d", i);
    add_namespace(name, 100 + i);
  }
  add_namespace("quiet-3", 2);
  text = print();
  printed_contains(text, "\nfcached_namespaces_exported 32\n");
  printed_contains(text, "\nfcached_other_namespaces 3\n");
  ck_assert_uint_eq(count(text, "fcached_namespace_cache_hits_total{namespace=\"busy-"), 32);
  lacks(text, "quiet");
  printed_contains(text, "# TYPE fcached_other_namespaces_cache_hits gauge\n"
                         "fcached_other_namespaces_cache_hits 3\n");
  printed_contains(text, "\nfcached_other_namespaces_saved_wall_seconds 3\n");
  printed_contains(text, "\nfcached_other_namespaces_entries 3\n");
  printed_contains(text, "\nfcached_other_namespaces_evictions{cause=\"bytes\"} 6\n");
  printed_contains(text,
                   "\nfcached_namespace_evictions_total{namespace=\"busy-7\",cause=\"bytes\"} 2\n");
  printed_contains(text, "\nfcached_namespace_max_bytes{namespace=\"busy-7\"} 1000\n");
  lacks(text, "other_namespaces_max");
  free(text);
}
END_TEST

START_TEST(few_namespaces_have_no_others) {
  char *text;

  add_namespace("one", 0);
  text = print();
  printed_contains(text, "\nfcached_namespaces_exported 1\n");
  printed_contains(text, "\nfcached_other_namespaces 0\n");
  lacks(text, "fcached_other_namespaces_entries");
  free(text);
}
END_TEST

/* Equal ones: more entries first, then the older ones. */
START_TEST(choice_is_ordered_by_lookups_then_entries_then_age) {
  static const struct {
    const char *name;
    double misses, entries;
  } spaces[] = {{"d", 0, 1}, {"b", 1, 5}, {"a", 9, 0}, {"e", 0, 1}, {"c", 1, 4}};
  struct metrics_choice choice;

  for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
    add(spaces[i].name, "cache_misses", FCACHE_STAT_COUNT, spaces[i].misses, NULL);
    add(spaces[i].name, "entries", FCACHE_STAT_COUNT, spaces[i].entries, NULL);
  }
  metrics_choose(&snapshot, &choice);
  ck_assert_uint_eq(choice.n_shown, 5);
  for (size_t i = 0; i < 5; i++)
    ck_assert_int_eq(choice.shown[i]->name_space[0], 'a' + (int)i);
}
END_TEST

START_TEST(histogram_has_cumulative_buckets_and_one_head) {
  static struct fc_latency_entry hit, put;
  struct metrics_latency latency = {0};
  char *text = NULL;
  size_t size;

  latency.out = open_memstream(&text, &size);
  hit = (struct fc_latency_entry){.path = fc_str_of("region"), .operation = fc_str_of("hit")};
  put = (struct fc_latency_entry){.path = fc_str_of("socket"), .operation = fc_str_of("put")};
  fc_histogram_add(&hit.histogram, 200);
  fc_histogram_add(&hit.histogram, 40000);
  fc_histogram_add(&hit.histogram, 60000000000u);
  metrics_latency_print(&latency, &hit);
  metrics_latency_print(&latency, &put);
  ck_assert_int_eq(fclose(latency.out), 0);
  ck_assert_uint_eq(count(text, "# TYPE fcached_latency_seconds histogram\n"), 1);
#define HIT "{path=\"region\",operation=\"hit\""
  printed_contains(text, "fcached_latency_seconds_bucket" HIT ",le=\"2.5e-07\"} 1\n");
  printed_contains(text, "fcached_latency_seconds_bucket" HIT ",le=\"1e-05\"} 1\n");
  printed_contains(text, "fcached_latency_seconds_bucket" HIT ",le=\"5e-05\"} 2\n");
  printed_contains(text, "fcached_latency_seconds_bucket" HIT ",le=\"10\"} 2\n");
  printed_contains(text, "fcached_latency_seconds_bucket" HIT ",le=\"+Inf\"} 3\n");
  printed_contains(text, "fcached_latency_seconds_sum" HIT "} 60.0000402\n");
  printed_contains(text, "fcached_latency_seconds_count" HIT "} 3\n");
  printed_contains(text, "fcached_latency_seconds_count{path=\"socket\",operation=\"put\"} 0\n");
#undef HIT
  free(text);
}
END_TEST

START_TEST(labels_and_helps_are_escaped) {
  const struct metrics_label label = {"namespace", "a\"b\\c\nd\xc3\xa9\xff"};
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  metrics_text_gauge(out, "m", "back\\slash");
  metrics_text_integer(out, "m", &label, 1, UINT64_MAX);
  ck_assert_int_eq(fclose(out), 0);
  printed_is(text, "# HELP m back\\\\slash\n# TYPE m gauge\n"
                   "m{namespace=\"a\\\"b\\\\c\\nd\xc3\xa9?\"} 18446744073709551615\n");
}
END_TEST

START_TEST(reals_print_with_15_digits) {
  static const double values[] = {0, 0.1, 1796036996.44263, 1e300, NAN, INFINITY, -INFINITY};
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    metrics_text_real(out, "m", NULL, 0, values[i]);
  ck_assert_int_eq(fclose(out), 0);
  printed_is(text, "m 0\nm 0.1\nm 1796036996.44263\nm 1e+300\nm NaN\nm +Inf\nm -Inf\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("metrics");
  TCase *tests = tcase_create("metrics");

  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, samples_of_one_metric_follow_one_head);
  tcase_add_test(tests, unknown_items_and_items_of_other_types_have_no_metric);
  tcase_add_test(tests, down_is_one_metric);
  tcase_add_test(tests, busiest_namespaces_have_metrics_and_the_others_a_sum);
  tcase_add_test(tests, few_namespaces_have_no_others);
  tcase_add_test(tests, choice_is_ordered_by_lookups_then_entries_then_age);
  tcase_add_test(tests, histogram_has_cumulative_buckets_and_one_head);
  tcase_add_test(tests, labels_and_helps_are_escaped);
  tcase_add_test(tests, reals_print_with_15_digits);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
