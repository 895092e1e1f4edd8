/* fcachectl metrics with a real daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stats/stats_metric.h"
#include "tests/support/ctl.h"
#include "tests/support/full_daemon.h"
#include "tests/support/printed.h"
#include "tests/support/promtool.h"

static struct daemon daemon_;

static bool has_sample(const char *text, const struct fc_stats_metric *metric) {
  size_t size = strlen(metric->name);
  for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
    at += *at == '\n';
    if (strncmp(at, metric->name, size) == 0 && (at[size] == ' ' || at[size] == '{'))
      return true;
  }
  return false;
}

START_TEST(every_row_with_a_metric_has_a_sample) {
  full_daemon_start(&daemon_);
  char *text = ctl_printed(CTL("metrics"));
  struct fc_stats_metric metric;
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++)
    for (int of = FC_STATS_OF_DAEMON; of <= FC_STATS_OF_NAMESPACE; of++)
      if (fc_stats_metric(&fc_stats_rows[i], (enum fc_stats_metric_of)of, &metric))
        ck_assert_msg(has_sample(text, &metric), "%s has no sample", metric.name);
  printed_contains(text, "\nfcached_latency_seconds_count{path=\"socket\",operation=\"put\"} 1\n");
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(promtool_finds_nothing) {
  full_daemon_start(&daemon_);
  char *text = ctl_printed(CTL("metrics"));
  promtool_check_metrics(text);
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(absent_daemon_is_down_and_status_3) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 8];
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/none", dir);
  ctl_expect_status(CTL("-S", path, "metrics"), 3, "\nfcached_up 0\n", "no daemon at");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_metrics");
  TCase *tests = tcase_create("ctl_metrics");

  tcase_add_test(tests, every_row_with_a_metric_has_a_sample);
  tcase_add_test(tests, promtool_finds_nothing);
  tcase_add_test(tests, absent_daemon_is_down_and_status_3);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
