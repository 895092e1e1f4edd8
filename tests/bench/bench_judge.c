#include "tests/bench/bench_judge.h"

static bool is_met(const struct bench_requirement *need, double value) {
  switch (need->side) {
  case AT_MOST:
    return value <= need->bound;
  case AT_LEAST:
    return value >= need->bound;
  case EXACTLY:
    return value == need->bound; /* a count, and so exact */
  }
  return false;
}

bool judge(const struct bench_requirement *need, const struct bench_result *results, size_t n,
           struct verdict *verdict) {
  const struct bench_result *row = results_find(results, n, need->row);
  const struct bench_result *against = results_find(results, n, need->against);
  if (row == NULL || (need->compare != COMPARE_NONE && against == NULL))
    return false;
  struct spread value =
      results_compare(row, need->metric, need->compare, against, need->against_metric);
  *verdict = (struct verdict){.need = need, .value = value, .met = is_met(need, value.median)};
  return true;
}
