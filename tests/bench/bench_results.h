/* bench_results.h - the results of the rows, and where to find one. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "tests/bench/bench_metrics.h"
#include "tests/bench/bench_rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Results of one row. */
struct bench_result {
  const struct bench_row *row;
  uint32_t size; /* bytes */
  bool unpinned;
  struct measure measure; /* medians of the rounds, or the only measurement of a row without any */
  struct measure *bursts; /* one a round; owned; NULL: a row without rounds */
  size_t n_bursts;
};

/* Frees what they own. */
void results_deinit(struct bench_result *results, size_t n);

/* Returns the row of fcached with which a row is compared (itself for such a row), or NULL. */
const struct bench_result *results_find_ours(const struct bench_result *results, size_t n,
                                             const struct bench_result *of);

/* Returns the row of that full name, or NULL. NULL is allowed as a name. */
const struct bench_result *results_find(const struct bench_result *results, size_t n,
                                        const char *name);

/* Compares a metric of one row with one of `against` (NULL for COMPARE_NONE) in each round. All NAN
 * if they were not measured in the same rounds. */
struct spread results_compare(const struct bench_result *result, enum metric metric,
                              enum measure_compare compare, const struct bench_result *against,
                              enum metric against_metric);

#endif
