#include "tests/bench/bench_report.h"

#include "tests/bench/requirements.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_BYTES = 32 };

static const struct bench_result *find_ours(const struct bench_result *results, size_t n,
                                            const struct bench_result *of) {
  for (size_t i = 0; of->row->ours != NULL && i < n; i++) {
    const struct bench_result *result = &results[i];
    if (strcmp(result->row->label, of->row->ours) == 0 && result->size == of->size &&
        result->unpinned == of->unpinned)
      return result;
  }
  return NULL;
}

static const struct bench_result *find_named(const struct bench_result *results, size_t n,
                                             const char *name) {
  for (size_t i = 0; name != NULL && i < n; i++) {
    char other[BENCH_NAME_BYTES];
    bench_row_name(results[i].row, results[i].size, results[i].unpinned, other);
    if (strcmp(name, other) == 0)
      return &results[i];
  }
  return NULL;
}

/* ---- tables ------------------------------------------------------------- */

/* Chooses the decimals by the size of the value. */
static const char *cell(double value, char text[CELL_BYTES]) {
  if (isnan(value))
    return "unknown";
  int decimals = value < 10 ? 3 : value < 100000 ? 1 : 0;
  (void)snprintf(text, CELL_BYTES, "%.*f", decimals, value); /* values are short */
  return text;
}

static void print_line(const struct bench_result *result, const struct bench_result *ours) {
  const double *of = result->measure.of;
  char name[BENCH_NAME_BYTES], a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES];
  bench_row_name(result->row, result->size, false, name);
  printf("%-28s %9s %9s %9s %10.0f ", name, cell(of[METRIC_P50], a), cell(of[METRIC_P99], b),
         cell(of[METRIC_P999], c), of[METRIC_PER_S]);
  if (ours == NULL)
    printf("%9s\n", "-");
  else if (ours == result)
    printf("%9s\n", "ours");
  else
    printf("%9.2f\n", of[METRIC_P50] / ours->measure.of[METRIC_P50]);
}

/* A group is one row of fcached and the rows that are compared with it. */
static bool same_group(const struct bench_result *a, const struct bench_result *b) {
  if (a->row->ours == NULL || b->row->ours == NULL)
    return a->row->ours == b->row->ours;
  return a->size == b->size && strcmp(a->row->ours, b->row->ours) == 0;
}

void report_table(const char *title, const struct bench_result *results, size_t n, bool unpinned) {
  const struct bench_result *last = NULL;
  for (size_t i = 0; i < n; i++) {
    const struct bench_result *result = &results[i];
    if (result->unpinned != unpinned || isnan(result->measure.of[METRIC_P50]))
      continue;
    if (last == NULL)
      printf("\n%s\n%-28s %9s %9s %9s %10s %9s\n", title, "row/bytes", "p50 us", "p99 us",
             "p99.9 us", "per s", "p50/ours");
    else if (!same_group(last, result))
      printf("\n");
    last = result;
    print_line(result, find_ours(results, n, result));
  }
}

void report_more(const struct bench_result *results, size_t n) {
  bool any = false;
  for (size_t i = 0; i < n; i++) {
    char name[BENCH_NAME_BYTES], value[CELL_BYTES];
    bench_row_name(results[i].row, results[i].size, results[i].unpinned, name);
    for (size_t metric = METRIC_PER_S + 1; metric < METRICS; metric++) {
      double found = results[i].measure.of[metric];
      if (isnan(found))
        continue;
      if (!any)
        printf("\n%-40s %-20s %12s\n", "More of", "metric", "value");
      any = true;
      printf("%-40s %-20s %12s\n", name, metric_name((enum metric)metric), cell(found, value));
    }
  }
}

/* ---- requirements ------------------------------------------------------- */

/* Prints the bounded metric, or its comparison. */
static double bounded(const struct bench_requirement *need, double metric, double other) {
  switch (need->compare) {
  case COMPARE_NONE:
    return metric;
  case COMPARE_RATIO:
    return metric / other;
  case COMPARE_ABOVE:
    return metric - other;
  }
  return NAN;
}

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

static void print_requirement(const struct bench_requirement *need, double value) {
  char is[CELL_BYTES], bound[CELL_BYTES];
  static const char *const sides[] = {
      [AT_MOST] = "at most", [AT_LEAST] = "at least", [EXACTLY] = "exactly"};
  printf("%s %s is %s", need->row, metric_name(need->metric), cell(value, is));
  if (need->compare != COMPARE_NONE)
    printf(" %s %s's", need->compare == COMPARE_RATIO ? "of" : "above", need->against);
  if (need->compare != COMPARE_NONE && need->against_metric != need->metric)
    printf(" %s", metric_name(need->against_metric));
  printf(" (%s %s): %s\n", sides[need->side], cell(need->bound, bound),
         is_met(need, value) ? "ok" : "FAIL");
}

void report_requirements(const struct bench_result *results, size_t n) {
  printf("\n");
  for (size_t i = 0; i < bench_n_requirements; i++) {
    const struct bench_requirement *need = &bench_requirements[i];
    const struct bench_result *row = find_named(results, n, need->row);
    const struct bench_result *against = find_named(results, n, need->against);
    if (row == NULL || (need->compare != COMPARE_NONE && against == NULL))
      continue;
    double other = against == NULL ? NAN : against->measure.of[need->against_metric];
    print_requirement(need, bounded(need, row->measure.of[need->metric], other));
  }
}

/* ---- the file ----------------------------------------------------------- */

/* Returns NULL if memory ran out. */
static json_t *metrics(const struct measure *measure) {
  json_t *all = json_object();
  for (size_t i = 0; all != NULL && i < METRICS; i++) {
    if (isfinite(measure->of[i]) &&
        json_object_set_new(all, metric_name((enum metric)i), json_real(measure->of[i])) != 0) {
      json_decref(all);
      all = NULL;
    }
  }
  return all;
}

int report_json(const char *path, const struct bench_result *results, size_t n) {
  json_t *all = json_object();
  int result = all == NULL ? -1 : 0;
  for (size_t i = 0; result == 0 && i < n; i++) {
    char name[BENCH_NAME_BYTES];
    bench_row_name(results[i].row, results[i].size, results[i].unpinned, name);
    result = json_object_set_new(all, name, metrics(&results[i].measure));
  }
  if (result == 0)
    result = json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
  if (result != 0)
    fprintf(stderr, "bench: cannot write the metrics to %s: does its directory exist?\n", path);
  json_decref(all);
  return result;
}
