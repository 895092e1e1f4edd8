/* requirements.h - bounds that the results must meet. */
#ifndef BENCH_REQUIREMENTS_H
#define BENCH_REQUIREMENTS_H

#include "tests/bench/bench_metrics.h"

#include <stddef.h>

/* A bound on a metric of a row, or on its comparison with another row. Rows have their full names.
 */
struct bench_requirement {
  const char *row;
  enum metric metric;
  enum measure_compare compare; /* of each round's results */
  const char *against;          /* a row and its metric */
  enum metric against_metric;
  enum bench_side { AT_MOST, AT_LEAST, EXACTLY } side;
  double bound;
};

extern const struct bench_requirement bench_requirements[];
extern const size_t bench_n_requirements;

#endif
