#include "tests/bench/bench_spread.h"

#include <math.h>
#include <stdlib.h>

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Returns the value at `share` of the way from the first to the last. */
static double quantile(const double *sorted, size_t n, double share) {
  double place = share * (double)(n - 1);
  size_t below = (size_t)place;
  if (below + 1 >= n)
    return sorted[n - 1];
  double rest = place - (double)below;
  /* Without a rest, the value itself: a neighbour may be infinite. */
  return rest > 0 ? sorted[below] + rest * (sorted[below + 1] - sorted[below]) : sorted[below];
}

struct spread spread_of(double *values, size_t n) {
  const struct spread unknown = {NAN, NAN, NAN};
  for (size_t i = 0; i < n; i++) {
    if (isnan(values[i]))
      return unknown;
  }
  if (n == 0)
    return unknown;
  qsort(values, n, sizeof(*values), compare_double);
  return (struct spread){.median = quantile(values, n, 0.5),
                         .low = quantile(values, n, 0.25),
                         .high = quantile(values, n, 0.75)};
}
