/* The table of statistics, and the names of its metrics. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/stats/stats_metric.h"
#include "tests/support/runner.h"

static const struct {
  const char *name;
  const char *metric, *of_namespace; /* NULL: none */
  const char *label_value;           /* "": no label */
} examples[] = {
    {"uptime_s", "fcached_uptime_seconds", NULL, ""},
    {"start_time_s", "fcached_start_time_seconds", NULL, ""},
    {"restarts", "fcached_restarts_total", NULL, ""},
    {"max_entries", NULL, "fcached_namespace_max_entries", ""},
    {"dead_regions", NULL, NULL, ""},
    {"clients", "fcached_clients", "fcached_namespace_clients", ""},
    {"bytes", "fcached_bytes", "fcached_namespace_bytes", ""},
    {"max_value", "fcached_max_value_bytes", NULL, ""},
    {"rings_bytes_max", "fcached_rings_max_bytes", NULL, ""},
    {"region_moved_bytes", "fcached_region_moved_bytes_total", NULL, ""},
    {"region_fragmentation", "fcached_region_fragmentation_ratio", NULL, ""},
    {"saved_wall_s", "fcached_saved_wall_seconds_total",
     "fcached_namespace_saved_wall_seconds_total", ""},
    {"evictions_own_bytes", "fcached_evictions_total", "fcached_namespace_evictions_total",
     "own_bytes"},
    {"share_refused_leases", "fcached_share_refused_total", NULL, "leases"},
    {"memory_used", "fcached_memory_used_bytes", NULL, ""},
    {"memory_bound", "fcached_memory_bound_bytes", NULL, ""},
    {"memory_in_flight", "fcached_memory_in_flight_bytes", NULL, ""},
    {"memory_rings", "fcached_memory_part_bytes", NULL, "rings"},
    {"memory_rings_bound", "fcached_memory_part_bound_bytes", NULL, "rings"},
    {"tier_hits", "fcached_tier_hits_total", NULL, ""},
    {"tier_queue_bytes_max", "fcached_tier_queue_max_bytes", NULL, ""},
    {"hit_rate", NULL, NULL, ""},
    {"cache_id", NULL, NULL, ""},
    {"pid", NULL, NULL, ""},
};

static void check_name(const struct fc_stats_row *row, enum fc_stats_metric_of of, const char *want,
                       const char *label_value) {
  struct fc_stats_metric metric;
  ck_assert_int_eq(fc_stats_metric(row, of, &metric), want != NULL);
  if (want == NULL)
    return;
  ck_assert_str_eq(metric.name, want);
  ck_assert_str_eq(metric.label_value, label_value);
  ck_assert_int_eq(metric.label != NULL, *label_value != '\0');
  ck_assert_int_eq(metric.counter, row->kind == FC_STATS_COUNTER);
}

START_TEST(metric_name_follows_the_rule) {
  const struct fc_stats_row *row = fc_stats_find(examples[_i].name);
  ck_assert_ptr_nonnull(row);
  check_name(row, FC_STATS_OF_DAEMON, examples[_i].metric, examples[_i].label_value);
  check_name(row, FC_STATS_OF_NAMESPACE, examples[_i].of_namespace, examples[_i].label_value);
}
END_TEST

START_TEST(sum_of_namespaces_is_a_gauge_without_maxima) {
  struct fc_stats_metric metric;
  ck_assert(fc_stats_metric(fc_stats_find("saved_wall_s"), FC_STATS_OF_OTHERS, &metric));
  ck_assert_str_eq(metric.name, "fcached_other_namespaces_saved_wall_seconds");
  ck_assert(!metric.counter);
  ck_assert(!fc_stats_metric(fc_stats_find("max_bytes"), FC_STATS_OF_OTHERS, &metric));
  ck_assert(!fc_stats_metric(fc_stats_find("max_batch_size"), FC_STATS_OF_OTHERS, &metric));
  ck_assert(!fc_stats_metric(fc_stats_find("clears"), FC_STATS_OF_OTHERS, &metric));
}
END_TEST

static bool is_metric_name(const char *name) {
  if (strncmp(name, "fcached_", 8) != 0 || strstr(name, "__") != NULL)
    return false;
  for (; *name != '\0'; name++)
    if (!islower((unsigned char)*name) && *name != '_')
      return false;
  return name[-1] != '_';
}

/* No two rows are one metric with the same label, and the rows of a metric have one kind. `_i` is
 * an enum fc_stats_metric_of. */
START_TEST(metrics_are_valid_and_distinct) {
  enum fc_stats_metric_of of = (enum fc_stats_metric_of)_i;
  struct fc_stats_metric a, b;
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++) {
    if (!fc_stats_metric(&fc_stats_rows[i], of, &a))
      continue;
    ck_assert_msg(is_metric_name(a.name), "%s", a.name);
    for (size_t j = 0; j < i; j++) {
      if (!fc_stats_metric(&fc_stats_rows[j], of, &b) || strcmp(a.name, b.name) != 0)
        continue;
      ck_assert_msg(strcmp(a.label_value, b.label_value) != 0, "%s twice", a.name);
      ck_assert_int_eq(a.counter, b.counter);
      ck_assert_ptr_eq(a.label, b.label);
      ck_assert_ptr_eq(a.help, b.help);
    }
  }
}
END_TEST

START_TEST(rows_have_names_and_helps_of_one_form) {
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++) {
    const struct fc_stats_row *row = &fc_stats_rows[i];
    size_t size = strlen(row->help), name_size = strlen(row->name);
    bool ends_s = name_size > 2 && strcmp(row->name + name_size - 2, "_s") == 0;
    ck_assert_ptr_eq(fc_stats_find(row->name), row);
    ck_assert_uint_lt(name_size + strlen(FC_STATS_SINCE_PREFIX), FC_STATS_NAME_SIZE);
    ck_assert_msg(size > 5 && row->help[size - 1] == '.' && strpbrk(row->help, "\n|`\\") == NULL,
                  "the help of %s", row->name);
    ck_assert_msg(ends_s == (row->unit == FC_STATS_SECONDS), "%s", row->name);
    ck_assert_msg(row->unit != FC_STATS_TEXT || row->kind == FC_STATS_INFO, "%s", row->name);
  }
}
END_TEST

START_TEST(prefix_is_found_on_counters_that_have_it) {
  bool since_start;
  ck_assert_str_eq(fc_stats_find_prefixed("daemon_clears", &since_start)->name, "clears");
  ck_assert(since_start);
  ck_assert_str_eq(fc_stats_find_prefixed("clears", &since_start)->name, "clears");
  ck_assert(!since_start);
  ck_assert_ptr_null(fc_stats_find_prefixed("daemon_entries", &since_start));
  ck_assert_ptr_null(fc_stats_find_prefixed("of_a_newer_daemon", &since_start));
  ck_assert_ptr_null(fc_stats_find_prefixed("", &since_start));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats_metric");
  TCase *tests = tcase_create("stats_metric");

  tcase_add_loop_test(tests, metric_name_follows_the_rule, 0, sizeof examples / sizeof examples[0]);
  tcase_add_test(tests, sum_of_namespaces_is_a_gauge_without_maxima);
  tcase_add_loop_test(tests, metrics_are_valid_and_distinct, 0, FC_STATS_OF_OTHERS + 1);
  tcase_add_test(tests, rows_have_names_and_helps_of_one_form);
  tcase_add_test(tests, prefix_is_found_on_counters_that_have_it);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
