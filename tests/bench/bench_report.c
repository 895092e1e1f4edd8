#include "tests/bench/bench_report.h"

#include "tests/bench/bench_judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_BYTES = 32, RANGE_BYTES = 80 };

/* ---- tables ------------------------------------------------------------- */

/* Chooses the decimals by the size of the value. */
static const char *cell(double value, char text[CELL_BYTES]) {
  if (isnan(value))
    return "unknown";
  int decimals = value < 10 ? 3 : value < 100000 ? 1 : 0;
  (void)snprintf(text, CELL_BYTES, "%.*f", decimals, value); /* values are short */
  return text;
}

/* Writes "LOW to HIGH", or "" if there is only one round. */
static const char *range(const struct spread *spread, char text[RANGE_BYTES]) {
  char low[CELL_BYTES], high[CELL_BYTES];
  text[0] = '\0';
  if (spread->low < spread->high)
    (void)snprintf(text, RANGE_BYTES, "%s to %s", cell(spread->low, low),
                   cell(spread->high, high)); /* it fits */
  return text;
}

static void print_line(const struct bench_result *result, const struct bench_result *ours) {
  const double *of = result->measure.of;
  char name[BENCH_NAME_BYTES], a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES], around[RANGE_BYTES];
  bench_row_name(result->row, result->size, false, name);
  printf("%-28s %9s %9s %9s %10.0f ", name, cell(of[METRIC_P50], a), cell(of[METRIC_P99], b),
         cell(of[METRIC_P999], c), of[METRIC_PER_S]);
  if (ours == NULL || ours == result) {
    printf("%9s\n", ours == NULL ? "-" : "ours");
    return;
  }
  struct spread ratio = results_compare(result, METRIC_P50, COMPARE_RATIO, ours, METRIC_P50);
  printf("%9s  %s\n", cell(ratio.median, a), range(&ratio, around));
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
      printf("\n%s\n%-28s %9s %9s %9s %10s %9s  %s\n", title, "row/bytes", "p50 us", "p99 us",
             "p99.9 us", "per s", "p50/ours", "half of the rounds");
    else if (!same_group(last, result))
      printf("\n");
    last = result;
    print_line(result, results_find_ours(results, n, result));
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

static void print_verdict(const struct verdict *verdict) {
  const struct bench_requirement *need = verdict->need;
  char is[CELL_BYTES], bound[CELL_BYTES], around[RANGE_BYTES];
  static const char *const sides[] = {
      [AT_MOST] = "at most", [AT_LEAST] = "at least", [EXACTLY] = "exactly"};
  printf("%s %s is %s", need->row, metric_name(need->metric), cell(verdict->value.median, is));
  if (range(&verdict->value, around)[0] != '\0')
    printf(" [%s]", around);
  if (need->compare != COMPARE_NONE)
    printf(" %s %s's", need->compare == COMPARE_RATIO ? "of" : "above", need->against);
  if (need->compare != COMPARE_NONE && need->against_metric != need->metric)
    printf(" %s", metric_name(need->against_metric));
  printf(" (%s %s): %s\n", sides[need->side], cell(need->bound, bound),
         verdict->met ? "ok" : "FAIL");
}

void report_requirements(const struct bench_result *results, size_t n) {
  printf("\n");
  for (size_t i = 0; i < bench_n_requirements; i++) {
    struct verdict verdict;
    if (judge(&bench_requirements[i], results, n, &verdict))
      print_verdict(&verdict);
  }
}
