/* bench_spread.h - the median of several values, and how far apart they are. */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include <stddef.h>

/* Half of the values are from `low` to `high`: the quartiles, between two values by their distance.
 */
struct spread {
  double median, low, high;
};

/* Sorts `n` values. All three results are NAN if n is 0 or a value is NAN. */
struct spread spread_of(double *values, size_t n);

#endif
