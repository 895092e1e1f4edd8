#include "tests/bench/bench_figures.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_BURSTS = 64 };

static const char *const names[FIGURES] = {
    [FIGURE_P50] = "p50_us",
    [FIGURE_P99] = "p99_us",
    [FIGURE_P999] = "p999_us",
    [FIGURE_PER_S] = "per_s",
    [FIGURE_DAEMON_US] = "daemon_us_per_hit",
    [FIGURE_REGION_SHARE] = "region_share",
    [FIGURE_BESIDE_P50] = "beside_p50_us",
    [FIGURE_BESIDE_P99] = "beside_p99_us",
    [FIGURE_BESIDE_PER_S] = "beside_per_s",
    [FIGURE_RATIO] = "ratio",
    [FIGURE_PUTS_PER_S] = "puts_per_s",
    [FIGURE_TRACE_LOST] = "trace_lost",
    [FIGURE_BYTES] = "bytes",
    [FIGURE_KEY_VALUE_BYTES] = "key_value_bytes",
    [FIGURE_COMPUTES] = "computes",
    [FIGURE_WALL_S] = "wall_s",
};

const char *figure_name(enum figure figure) {
  return names[figure];
}

struct measure measure_none(void) {
  struct measure none;
  for (size_t i = 0; i < FIGURES; i++)
    none.of[i] = NAN;
  return none;
}

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Of `n` values; of what must hold in every burst, the worst. */
static double middle(enum figure figure, double *values, size_t n) {
  qsort(values, n, sizeof(*values), compare_double);
  if (figure == FIGURE_REGION_SHARE)
    return values[0];
  if (figure == FIGURE_TRACE_LOST)
    return values[n - 1];
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct measure measure_median(const struct measure *bursts, size_t n) {
  struct measure result = measure_none();
  if (n > MAX_BURSTS)
    n = MAX_BURSTS;
  for (size_t figure = 0; figure < FIGURES; figure++) {
    double values[MAX_BURSTS] = {0};
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
      values[i] = bursts[i].of[figure];
      known += !isnan(values[i]);
    }
    if (known == n)
      result.of[figure] = middle((enum figure)figure, values, n);
  }
  return result;
}
