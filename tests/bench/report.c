#include "tests/bench/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct bench_result *find(const struct bench_result *results, size_t n,
                                       const char *label, uint32_t size, bool unpinned) {
  for (size_t i = 0; i < n; i++) {
    const struct bench_result *result = &results[i];
    if (strcmp(result->row->label, label) == 0 && result->size == size &&
        result->unpinned == unpinned)
      return result;
  }
  return NULL;
}

/* "x1.25" of our row's p50, or "-" where that was not measured. */
static void print_line(const struct bench_result *result, const struct bench_result *ours) {
  const struct measure *m = &result->measure;
  char name[BENCH_NAME_BYTES];
  bench_row_name(result->row, result->size, false, name);
  printf("%-28s %9.1f %9.1f %9.1f %10.0f ", name, m->p50_us, m->p99_us, m->p999_us, m->per_s);
  if (ours == NULL)
    printf("%9s\n", "-");
  else if (ours == result)
    printf("%9s\n", "ours");
  else
    printf("%9.2f\n", m->p50_us / ours->measure.p50_us);
}

void report_table(const char *title, const struct bench_result *results, size_t n, bool unpinned) {
  bool any = false;
  const struct bench_result *last = NULL;
  for (size_t i = 0; i < n; i++) {
    const struct bench_result *result = &results[i];
    if (result->unpinned != unpinned)
      continue;
    if (!any)
      printf("\n%s\n%-28s %9s %9s %9s %10s %9s\n", title, "row/bytes", "p50 us", "p99 us",
             "p99.9 us", "per s", "p50/ours");
    /* A gap between groups: a group is what is compared with one row of ours. */
    if (any && (last->size != result->size || strcmp(last->row->ours, result->row->ours) != 0))
      printf("\n");
    any = true;
    last = result;
    print_line(result, find(results, n, result->row->ours, result->size, unpinned));
  }
}

void report_requirements(const struct bench_result *results, size_t n) {
  printf("\n");
  for (size_t i = 0; i < bench_n_requirements; i++) {
    const struct bench_requirement *need = &bench_requirements[i];
    const struct bench_result *row = find(results, n, need->row, need->size, false);
    const struct bench_result *against = find(results, n, need->against, need->size, false);
    if (row == NULL || against == NULL)
      continue;
    bool least = need->figure == FIGURE_PER_S;
    double ratio = least ? row->measure.per_s / against->measure.per_s
                         : row->measure.p50_us / against->measure.p50_us;
    bool met = least ? ratio >= need->bound : ratio <= need->bound;
    printf("%s/%" PRIu32 " %s is %.2f of %s's (at %s %.2f): %s\n", need->row, need->size,
           least ? "per_s" : "p50", ratio, need->against, least ? "least" : "most", need->bound,
           met ? "ok" : "FAIL");
  }
}

static json_t *figures(const struct measure *m) {
  return json_pack("{s:f, s:f, s:f, s:f}", "p50_us", m->p50_us, "p99_us", m->p99_us, "p999_us",
                   m->p999_us, "per_s", m->per_s);
}

int report_json(const char *path, const struct bench_result *results, size_t n) {
  json_t *all = json_object();
  int result = all == NULL ? -1 : 0;
  for (size_t i = 0; result == 0 && i < n; i++) {
    char name[BENCH_NAME_BYTES];
    bench_row_name(results[i].row, results[i].size, results[i].unpinned, name);
    result = json_object_set_new(all, name, figures(&results[i].measure));
  }
  if (result == 0)
    result = json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
  if (result != 0)
    fprintf(stderr, "bench: cannot write the figures to %s: is the folder there?\n", path);
  json_decref(all);
  return result;
}
