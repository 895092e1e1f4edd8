#include "client/demo/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "client/demo/compare.h"

int outcome_read(struct run_outcome *outcome, const char *folder, bool plain) {
  *outcome = (struct run_outcome){0};
  for (unsigned i = 0; i < GANG_WORKERS; i++) {
    char path[DEMO_PATH_SIZE];
    gang_path(path, folder, plain, i, ".report");
    if (report_read(&outcome->reports[i], path) != 0)
      return -1;
    outcome->lookups += outcome->reports[i].lookups;
    outcome->computed += outcome->reports[i].computed;
    outcome->hits += outcome->reports[i].hits;
  }
  return gang_read_summary(&outcome->summary, folder, plain);
}

__attribute__((format(printf, 3, 4))) static void expect(bool *holds, bool condition,
                                                         const char *format, ...) {
  va_list args;
  if (condition)
    return;
  *holds = false;
  va_start(args, format);
  fputs("demo: not so: ", stderr);
  (void)vfprintf(stderr, format, args); /* stderr has no other place to complain to */
  fputc('\n', stderr);
  va_end(args);
}

/* Each worker's own books, and those of the library in it. */
static void check_worker(bool *holds, const struct run_outcome *outcome, unsigned index,
                         const char *run) {
  const struct worker_report *r = &outcome->reports[index];
  expect(holds, r->hits + r->computed == r->lookups,
         "worker %u, %s: %" PRIu64 " hits + %" PRIu64 " computed = %" PRIu64 " lookups", index, run,
         r->hits, r->computed, r->lookups);
  expect(holds, r->forward_passes == r->computed,
         "worker %u, %s: the library counted %" PRIu64 " forward passes, the model ran %" PRIu64
         " times",
         index, run, r->forward_passes, r->computed);
}

static void check_daemon(bool *holds, const struct run_outcome *shared, uint64_t trace_lines) {
  const struct gang_summary *daemon = &shared->summary;
  for (unsigned i = 0; i < GANG_WORKERS; i++)
    expect(holds, shared->reports[i].degraded == 0,
           "worker %u had sharing all the time: %" PRIu64 " of its calls found it off", i,
           shared->reports[i].degraded);
  expect(holds, daemon->hits == shared->hits,
         "the daemon counted %" PRIu64 " hits, the workers %" PRIu64, daemon->hits, shared->hits);
  expect(holds, daemon->misses == shared->computed,
         "the daemon counted %" PRIu64 " misses, the workers %" PRIu64, daemon->misses,
         shared->computed);
  expect(holds, daemon->forward_passes == shared->computed,
         "the daemon counted %" PRIu64 " forward passes, the workers %" PRIu64,
         daemon->forward_passes, shared->computed);
  expect(holds, daemon->shared_hits > 0 && daemon->shared_hits <= daemon->hits,
         "%" PRIu64 " of %" PRIu64 " hits were on what another worker computed",
         daemon->shared_hits, daemon->hits);
  expect(holds, daemon->coalesced_hits <= daemon->shared_hits,
         "%" PRIu64 " hits after a wait for another worker are among %" PRIu64
         " on what others computed",
         daemon->coalesced_hits, daemon->shared_hits);
  expect(holds, trace_lines == shared->lookups,
         "the trace has %" PRIu64 " lines for %" PRIu64 " lookups", trace_lines, shared->lookups);
}

/* Loads the results of a run. False after a line on stderr. */
static bool load_run(struct results lists[GANG_WORKERS], const char *folder, bool plain) {
  bool ok = true;
  for (unsigned i = 0; i < GANG_WORKERS; i++) {
    char path[DEMO_PATH_SIZE];
    gang_path(path, folder, plain, i, "");
    ok = results_load(&lists[i], path) == 0 && ok;
  }
  return ok;
}

/* Every result of every worker, bit for bit; and the distinct keys. */
static bool compare_results(const char *folder, uint64_t lookups, size_t *distinct) {
  struct results with[GANG_WORKERS] = {{0}}, without[GANG_WORKERS] = {{0}};
  bool same = load_run(with, folder, false) && load_run(without, folder, true);
  size_t n = 0;
  *distinct = 0;
  for (unsigned i = 0; i < GANG_WORKERS && same; i++) {
    char what[32];
    snprintf(what, sizeof what, "worker %u", i);
    same = results_same(&with[i], &without[i], what);
    n += with[i].n;
  }
  if (same) {
    bool consistent = true;
    *distinct = results_distinct(with, GANG_WORKERS, &consistent);
    expect(&same, consistent, "one key, one value, whoever asked");
    expect(&same, n == lookups, "%zu results for %" PRIu64 " lookups", n, lookups);
  }
  for (unsigned i = 0; i < GANG_WORKERS; i++) {
    results_deinit(&with[i]);
    results_deinit(&without[i]);
  }
  return same;
}

int verdict_give(const struct run_outcome *shared, const struct run_outcome *plain,
                 const char *folder, uint64_t trace_lines) {
  bool holds = true;
  size_t distinct = 0;
  for (unsigned i = 0; i < GANG_WORKERS; i++) {
    check_worker(&holds, shared, i, "with the daemon");
    check_worker(&holds, plain, i, "without a daemon");
  }
  check_daemon(&holds, shared, trace_lines);
  bool identical = compare_results(folder, shared->lookups, &distinct);
  expect(&holds, identical, "all results are the same with and without the daemon");
  expect(&holds, plain->computed == plain->lookups && plain->lookups == shared->lookups,
         "%" PRIu64 " lookups without a daemon, %" PRIu64 " computed; %" PRIu64 " lookups with one",
         plain->lookups, plain->computed, shared->lookups);
  expect(&holds, !identical || distinct == shared->computed,
         "one forward pass for each distinct result: %" PRIu64 " passes, %zu results",
         shared->computed, distinct);
  expect(&holds, shared->computed < plain->computed,
         "the workers shared: %" PRIu64 " forward passes with the daemon, %" PRIu64 " without",
         shared->computed, plain->computed);
  (void)fflush(stderr); /* unbuffered anyway; the next line is the last */
  printf("demo: workers=%u lookups=%" PRIu64 " distinct=%zu forward_passes=%" PRIu64
         " unshared=%" PRIu64 " identical=%s\n",
         GANG_WORKERS, shared->lookups, distinct, shared->computed, plain->computed,
         identical ? "yes" : "no");
  return holds && fflush(stdout) == 0 ? 0 : 1;
}
