#include "tests/bench/bench_json.h"

#include "tests/bench/bench_judge.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* All functions return 0, or -1 if memory ran out. */

/* Adds no unknown value. */
static int set_real(json_t *object, const char *name, double value) {
  return isfinite(value) ? json_object_set_new(object, name, json_real(value)) : 0;
}

/* Adds NAME, NAME_low and NAME_high. */
static int set_spread(json_t *object, const char *name, const struct spread *spread) {
  char low[64], high[64];
  (void)snprintf(low, sizeof(low), "%s_low", name); /* names are short */
  (void)snprintf(high, sizeof(high), "%s_high", name);
  return set_real(object, name, spread->median) != 0 || set_real(object, low, spread->low) != 0 ||
                 set_real(object, high, spread->high) != 0
             ? -1
             : 0;
}

static int add_metrics(json_t *of, const struct bench_result *result) {
  for (size_t i = 0; i < METRICS; i++) {
    if (set_real(of, metric_name((enum metric)i), result->measure.of[i]) != 0)
      return -1;
  }
  struct spread ratio = results_compare(result, METRIC_RATIO, COMPARE_NONE, NULL, METRIC_RATIO);
  return set_spread(of, metric_name(METRIC_RATIO), &ratio);
}

static int add_row(json_t *all, const struct bench_result *results, size_t n,
                   const struct bench_result *result) {
  char name[BENCH_NAME_BYTES];
  bench_row_name(result->row, result->size, result->unpinned, name);
  json_t *of = json_object();
  if (of == NULL || json_object_set_new(all, name, of) != 0 || add_metrics(of, result) != 0)
    return -1;
  const struct bench_result *ours = results_find_ours(results, n, result);
  if (ours == NULL || ours == result)
    return 0;
  struct spread ratio = results_compare(result, METRIC_P50, COMPARE_RATIO, ours, METRIC_P50);
  return set_spread(of, "p50_over_ours", &ratio);
}

static int add_verdict(json_t *list, const struct verdict *verdict) {
  static const char *const sides[] = {
      [AT_MOST] = "at most", [AT_LEAST] = "at least", [EXACTLY] = "exactly"};
  const struct bench_requirement *need = verdict->need;
  json_t *of = json_pack("{ss ss sf ss sb}", "row", need->row, "metric", metric_name(need->metric),
                         "bound", need->bound, "side", sides[need->side], "met", verdict->met);
  if (of == NULL || json_array_append_new(list, of) != 0 ||
      (need->against != NULL &&
       json_object_set_new(of, "against", json_string(need->against)) != 0))
    return -1;
  return set_spread(of, "value", &verdict->value);
}

static int add_requirements(json_t *all, const struct bench_result *results, size_t n) {
  json_t *list = json_array();
  if (list == NULL || json_object_set_new(all, "requirements", list) != 0)
    return -1;
  for (size_t i = 0; i < bench_n_requirements; i++) {
    struct verdict verdict;
    if (judge(&bench_requirements[i], results, n, &verdict) && add_verdict(list, &verdict) != 0)
      return -1;
  }
  return 0;
}

static int add_noise(json_t *all, const struct noise_summary *noise) {
  json_t *of = json_object();
  if (of == NULL || json_object_set_new(all, "noise", of) != 0)
    return -1;
  return set_real(of, "spins", (double)noise->spins) != 0 ||
                 set_real(of, "spin_us", noise->spin_us) != 0 ||
                 set_real(of, "p99_over_median", noise->p99) != 0 ||
                 set_real(of, "worst_over_median", noise->worst) != 0 ||
                 set_real(of, "preempted_share", noise->preempted) != 0 ||
                 set_real(of, "steal_share", noise->stolen) != 0 ||
                 set_real(of, "context_switches_per_s", noise->switches_per_s) != 0 ||
                 set_real(of, "load_at_start", noise->load) != 0
             ? -1
             : 0;
}

int bench_json_write(const char *path, const struct bench_result *results, size_t n,
                     const struct noise_summary *noise) {
  json_t *all = json_object();
  int result = all == NULL ? -1 : 0;
  for (size_t i = 0; result == 0 && i < n; i++)
    result = add_row(all, results, n, &results[i]);
  if (result == 0)
    result = add_requirements(all, results, n);
  if (result == 0)
    result = add_noise(all, noise);
  if (result == 0)
    result = json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
  if (result != 0)
    fprintf(stderr, "bench: cannot write the metrics to %s: does its directory exist?\n", path);
  json_decref(all);
  return result;
}
