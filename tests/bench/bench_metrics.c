#include "tests/bench/bench_metrics.h"

#include <assert.h>
#include <math.h>

static const char *const names[METRICS] = {
    [METRIC_P50] = "p50_us",
    [METRIC_P99] = "p99_us",
    [METRIC_P999] = "p999_us",
    [METRIC_PER_S] = "per_s",
    [METRIC_PER_CPU_S] = "per_cpu_s",
    [METRIC_DAEMON_US] = "daemon_us_per_hit",
    [METRIC_REGION_SHARE] = "region_share",
    [METRIC_BESIDE_P50] = "beside_p50_us",
    [METRIC_BESIDE_P99] = "beside_p99_us",
    [METRIC_BESIDE_PER_S] = "beside_per_s",
    [METRIC_BESIDE_PER_CPU_S] = "beside_per_cpu_s",
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

/* A value that is the worst of all has no spread. */
static struct spread only(double worst) {
  return (struct spread){worst, worst, worst};
}

struct spread measure_spread(const struct measure *bursts, size_t n, enum metric metric) {
  double values[MEASURE_MAX_ROUNDS];
  assert(n >= 1 && n <= MEASURE_MAX_ROUNDS);
  for (size_t i = 0; i < n; i++)
    values[i] = bursts[i].of[metric];
  struct spread spread = spread_of(values, n);
  if (isnan(spread.median))
    return spread;
  /* Metrics that must hold in every burst; the values are sorted now. */
  if (metric == METRIC_REGION_SHARE)
    return only(values[0]);
  if (metric == METRIC_TRACE_LOST)
    return only(values[n - 1]);
  return spread;
}

struct measure measure_median(const struct measure *bursts, size_t n) {
  struct measure result = measure_none();
  for (size_t metric = 0; metric < METRICS; metric++)
    result.of[metric] = measure_spread(bursts, n, (enum metric)metric).median;
  return result;
}

static double compare_once(double value, double other, enum measure_compare compare) {
  switch (compare) {
  case COMPARE_NONE:
    return value;
  case COMPARE_RATIO:
    return value / other;
  case COMPARE_ABOVE:
    return value - other;
  }
  return NAN;
}

struct spread measure_compare(const struct measure_pair *pair, enum measure_compare compare) {
  double values[MEASURE_MAX_ROUNDS];
  assert(pair->n >= 1 && pair->n <= MEASURE_MAX_ROUNDS);
  if (compare == COMPARE_NONE)
    return measure_spread(pair->bursts, pair->n, pair->metric);
  for (size_t i = 0; i < pair->n; i++)
    values[i] = compare_once(pair->bursts[i].of[pair->metric],
                             pair->against[i].of[pair->against_metric], compare);
  return spread_of(values, pair->n);
}
