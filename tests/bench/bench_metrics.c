#include "tests/bench/bench_metrics.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_BURSTS = 64 };

static const char *const names[METRICS] = {
    [METRIC_P50] = "p50_us",
    [METRIC_P99] = "p99_us",
    [METRIC_P999] = "p999_us",
    [METRIC_PER_S] = "per_s",
    [METRIC_DAEMON_US] = "daemon_us_per_hit",
    [METRIC_REGION_SHARE] = "region_share",
    [METRIC_BESIDE_P50] = "beside_p50_us",
    [METRIC_BESIDE_P99] = "beside_p99_us",
    [METRIC_BESIDE_PER_S] = "beside_per_s",
    [METRIC_RATIO] = "ratio",
    [METRIC_PUTS_PER_S] = "puts_per_s",
    [METRIC_TRACE_LOST] = "trace_lost",
    [METRIC_BYTES] = "bytes",
    [METRIC_KEY_VALUE_BYTES] = "key_value_bytes",
    [METRIC_COMPUTES] = "computes",
    [METRIC_WALL_S] = "wall_s",
};

const char *metric_name(enum metric metric) {
  return names[metric];
}

struct measure measure_none(void) {
  struct measure none;
  for (size_t i = 0; i < METRICS; i++)
    none.of[i] = NAN;
  return none;
}

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Combines `n` values. Of metrics that must hold in every burst it takes the worst. */
static double middle(enum metric metric, double *values, size_t n) {
  qsort(values, n, sizeof(*values), compare_double);
  if (metric == METRIC_REGION_SHARE)
    return values[0];
  if (metric == METRIC_TRACE_LOST)
    return values[n - 1];
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct measure measure_median(const struct measure *bursts, size_t n) {
  struct measure result = measure_none();
  if (n > MAX_BURSTS)
    n = MAX_BURSTS;
  for (size_t metric = 0; metric < METRICS; metric++) {
    double values[MAX_BURSTS] = {0};
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
      values[i] = bursts[i].of[metric];
      known += !isnan(values[i]);
    }
    if (known == n)
      result.of[metric] = middle((enum metric)metric, values, n);
  }
  return result;
}
