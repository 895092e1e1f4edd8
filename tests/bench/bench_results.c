#include "tests/bench/bench_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void results_deinit(struct bench_result *results, size_t n) {
  for (size_t i = 0; i < n; i++) {
    free(results[i].bursts);
    results[i].bursts = NULL;
  }
}

const struct bench_result *results_find_ours(const struct bench_result *results, size_t n,
                                             const struct bench_result *of) {
  for (size_t i = 0; of->row->ours != NULL && i < n; i++) {
    const struct bench_result *result = &results[i];
    if (strcmp(result->row->label, of->row->ours) == 0 && result->size == of->size &&
        result->unpinned == of->unpinned)
      return result;
  }
  return NULL;
}

const struct bench_result *results_find(const struct bench_result *results, size_t n,
                                        const char *name) {
  for (size_t i = 0; name != NULL && i < n; i++) {
    char other[BENCH_NAME_BYTES];
    bench_row_name(results[i].row, results[i].size, results[i].unpinned, other);
    if (strcmp(name, other) == 0)
      return &results[i];
  }
  return NULL;
}

/* Returns the bursts of a result. A row without rounds has one measurement. */
static const struct measure *bursts_of(const struct bench_result *result, size_t *n) {
  *n = result->bursts == NULL ? 1 : result->n_bursts;
  return result->bursts == NULL ? &result->measure : result->bursts;
}

struct spread results_compare(const struct bench_result *result, enum metric metric,
                              enum measure_compare compare, const struct bench_result *against,
                              enum metric against_metric) {
  struct measure_pair pair = {.metric = metric, .against_metric = against_metric};
  size_t n_against = 0;
  pair.bursts = bursts_of(result, &pair.n);
  if (compare == COMPARE_NONE)
    return measure_compare(&pair, compare);
  if (against != NULL)
    pair.against = bursts_of(against, &n_against);
  if (n_against != pair.n)
    return (struct spread){NAN, NAN, NAN};
  return measure_compare(&pair, compare);
}
