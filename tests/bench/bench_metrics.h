/* bench_metrics.h - the metrics of a row, and their names in build/bench.json. */
#ifndef BENCH_METRICS_H
#define BENCH_METRICS_H

#include "tests/bench/bench_spread.h"

#include <stdbool.h>
#include <stddef.h>

enum { MEASURE_MAX_ROUNDS = 64 };

enum metric {
  METRIC_P50, /* microseconds of one operation, as the other percentiles */
  METRIC_P99,
  METRIC_P999,
  METRIC_PER_S,        /* units a second: operations, or keys where an operation has many */
  METRIC_PER_CPU_S,    /* units a second of the measured processes' CPU time */
  METRIC_DAEMON_US,    /* CPU time of all of the daemon's threads for one hit, microseconds */
  METRIC_REGION_SHARE, /* share of the hits that the client served from the region, 0 to 1 */
  METRIC_BESIDE_P50,   /* of the same round's turn without the load of the row: see its scene */
  METRIC_BESIDE_P99,
  METRIC_BESIDE_PER_S,
  METRIC_BESIDE_PER_CPU_S,
  METRIC_RATIO, /* ratio of the row's own turn to the one beside it, in the metric of the scene */
  METRIC_PUTS_PER_S,      /* that were stored while it was measured */
  METRIC_TRACE_LOST,      /* lines that the daemon did not write, since its start */
  METRIC_BYTES,           /* of memory for one entry */
  METRIC_KEY_VALUE_BYTES, /* of its key and value together */
  METRIC_COMPUTES,        /* of all workers of a herd together */
  METRIC_WALL_S,          /* from their common start to the last one's end */
  METRICS
};

/* Returns the name of a metric, a static string. */
const char *metric_name(enum metric metric);

/* Results of one burst, or the medians of several. NAN: not measured. */
struct measure {
  double of[METRICS];
};

/* Sets all to NAN. */
struct measure measure_none(void);

/* Computes the median of a metric over `n` bursts, 1 to MEASURE_MAX_ROUNDS, and its quartiles: the
 * least of METRIC_REGION_SHARE, the greatest of METRIC_TRACE_LOST, and NAN if a burst lacks it. */
struct spread measure_spread(const struct measure *bursts, size_t n, enum metric metric);

/* Computes the medians of all metrics. */
struct measure measure_median(const struct measure *bursts, size_t n);

enum measure_compare {
  COMPARE_NONE,  /* the metric itself, which may be a ratio of one row's own bursts */
  COMPARE_RATIO, /* the metric divided by the other */
  COMPARE_ABOVE, /* the metric less the other */
};

/* Bursts of two rows that were measured in the same rounds: the `i`th of each are of round i. */
struct measure_pair {
  const struct measure *bursts, *against; /* `against`: NULL for COMPARE_NONE */
  size_t n;
  enum metric metric, against_metric;
};

/* Compares the two in each round, and computes the median of these results and their quartiles. A
 * disturbance that lasts longer than a round changes both sides of a comparison. */
struct spread measure_compare(const struct measure_pair *pair, enum measure_compare compare);

#endif
