/* bench-survive - measures a cache that outlives its daemon: snapshots, restores,
 * restarts beside `memcached -e`, and the first hit after a kill. */
#include "tests/bench/survive/survive.h"

#include "tests/bench/scratch.h"

#include <argp.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_MAX 128u

struct metric {
  char row[48], name[48];
  double value, bound;
};

static struct {
  const char *rows, *json;
  struct survive_env env;
  struct metric metrics[METRICS_MAX];
  size_t n;
  int failed;
} bench = {.rows = "", .json = "build/bench-survive.json", .env = {.peers = "build/peers"}};

static const struct {
  const char *name;
  survive_row_fn *measure;
} rows[] = {{"snapshot", snapshot_row},
            {"restore/64", restore_small_row},
            {"restore/1000000", restore_large_row},
            {"restart/3100", restart_row},
            {"crash/3100", crash_row}};

/* ---- results ---- */

/* Prints "ok" or "FAIL" with a bound, as the requirements of the bench do. */
void survive_metric(const char *row, const char *metric, double value, double bound) {
  struct metric *kept = &bench.metrics[bench.n];
  bool met = bound < 0 ? value >= -bound : value <= bound;
  if (bound == 0)
    printf("      %-28s %-30s %12.4g\n", row, metric, value);
  else
    printf("%-5s %-28s %-30s %12.4g  (%s %.4g)\n", met ? "ok" : "FAIL", row, metric, value,
           bound < 0 ? "at least" : "at most", bound < 0 ? -bound : bound);
  (void)fflush(stdout); /* for a reader of a pipe; the exit shows a failure */
  if (bench.n == METRICS_MAX)
    return;
  (void)snprintf(kept->row, sizeof kept->row, "%s", row);
  (void)snprintf(kept->name, sizeof kept->name, "%s", metric);
  kept->value = value;
  kept->bound = bound;
  bench.n++;
}

/* Writes {"ROW": {"METRIC": value, ...}, ...}. */
static int write_json(void) {
  json_t *all = json_object();
  int failed = all == NULL;
  for (size_t i = 0; i < bench.n; i++) {
    const struct metric *metric = &bench.metrics[i];
    json_t *row = json_object_get(all, metric->row);
    if (row == NULL) {
      row = json_object();
      failed |= json_object_set_new(all, metric->row, row);
    }
    failed |= json_object_set_new(row, metric->name, json_real(metric->value));
  }
  failed |= json_dump_file(all, bench.json, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
  json_decref(all);
  if (failed)
    fprintf(stderr, "bench: cannot write %s\n", bench.json);
  return failed ? -1 : 0;
}

/* ---- the rows ---- */

/* As in the rest of the bench: a part of the name; several are separated by commas. */
static bool is_wanted(const char *name) {
  char copy[256];
  char *rest = copy;
  if (bench.rows[0] == '\0')
    return true;
  (void)snprintf(copy, sizeof copy, "%s", bench.rows);
  for (char *part = strtok_r(copy, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest))
    if (strstr(name, part) != NULL || fnmatch(part, name, 0) == 0)
      return true;
  return false;
}

/* One test of Check for all rows, because the harness works below it. */
START_TEST(all_rows) {
  char dir[SCRATCH_PATH_BYTES];
  ck_assert_int_eq(scratch_make(dir), 0);
  bench.env.dir = dir;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (is_wanted(rows[i].name))
      bench.failed |= rows[i].measure(&bench.env);
  scratch_remove(dir);
}
END_TEST

static error_t parse(int key, char *text, struct argp_state *state) {
  (void)state;
  switch (key) {
  case 'r':
    bench.rows = text;
    return 0;
  case 'p':
    bench.env.peers = text;
    return 0;
  case 'j':
    bench.json = text;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"rows", 'r', "PATTERNS", 0, "Only rows whose name has one of these", 0},
    {"peers", 'p', "DIR", 0, "Directory that fetch-peers.sh filled (build/peers)", 0},
    {"json", 'j', "FILE", 0, "Write the results to FILE (build/bench-survive.json)", 0},
    {0}};

int main(int argc, char **argv) {
  static const struct argp argp = {
      options, parse, NULL, "Measures a cache that outlives its daemon.", NULL, NULL, NULL};
  if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
    return 2;
  (void)setenv("CK_FORK", "no", 1); /* the results stay in this process */
  Suite *suite = suite_create("bench-survive");
  TCase *tcase = tcase_create("bench-survive");
  tcase_add_test(tcase, all_rows);
  suite_add_tcase(suite, tcase);
  int status = harness_main(suite);
  if (status == 0 && bench.n > 0)
    status = write_json() != 0;
  return status != 0 || bench.failed != 0;
}
