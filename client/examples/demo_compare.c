#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/examples/demo_outcome.h"

enum { EACH = WORKERS * LOOKUPS }; /* lookups of one run */

/* The sums over all runs with a daemon. */
struct sums {
  uint64_t computed, hits, daemon_hits, daemon_passes, wall_ns;
  bool counted;  /* the library counted each call of the model */
  bool shared;   /* sharing was on for every call */
  bool complete; /* each worker looked up everything */
  bool same;     /* all results are those without a daemon */
};

static void load(struct outcome *outcome, const char *path) {
  FILE *file = fopen(path, "re");
  if (!file || fread(outcome, sizeof *outcome, 1, file) != 1)
    die(path, "not an outcome of `demo run`");
  (void)fclose(file); /* only read from */
}

static int by_key(const void *a, const void *b) {
  return memcmp(a, b, sizeof(struct fcache_hash));
}

static size_t count_distinct(const struct outcome *outcomes, size_t n_outcomes) {
  size_t n = n_outcomes * EACH, distinct = 1;
  struct record *all = calloc(n, sizeof *all);
  if (!all)
    die("compare", "out of memory");
  for (size_t i = 0; i < n_outcomes * WORKERS; i++)
    memcpy(&all[i * LOOKUPS], outcomes[i / WORKERS].workers[i % WORKERS].records,
           LOOKUPS * sizeof *all);
  qsort(all, n, sizeof *all, by_key);
  for (size_t i = 1; i < n; i++)
    distinct += by_key(&all[i - 1], &all[i]) != 0;
  free(all);
  return distinct;
}

static void add_workers(struct sums *sums, const struct outcome *shared,
                        const struct outcome *plain) {
  for (size_t i = 0; i < WORKERS; i++) {
    const struct worker_outcome *with = &shared->workers[i], *without = &plain->workers[i];
    sums->same = sums->same && memcmp(with->records, without->records, sizeof with->records) == 0;
    sums->complete = sums->complete && with->n_records == LOOKUPS && without->n_records == LOOKUPS;
    sums->shared = sums->shared && with->counters.degraded == 0;
    sums->counted = sums->counted && with->counters.forward_passes == with->computed;
    sums->computed += with->computed;
    sums->hits += with->counters.cache_hits;
  }
  sums->daemon_hits += shared->hits;
  sums->daemon_passes += shared->forward_passes;
  if (sums->wall_ns < shared->wall_ns)
    sums->wall_ns = shared->wall_ns; /* the runs have a common start */
}

static void print_node(size_t number, const struct outcome *node) {
  uint64_t computed = 0;
  for (size_t i = 0; i < WORKERS; i++)
    computed += node->workers[i].computed;
  printf("node %zu: %d lookups, %" PRIu64 " computed, %" PRIu64 " keys from other nodes, %.2f s\n",
         number, EACH, computed, node->tier_hits, (double)node->wall_ns / 1e9);
}

static bool holds(bool condition, const char *claim) {
  if (!condition)
    fprintf(stderr, "demo: not true: %s\n", claim);
  return condition;
}

static bool check(const struct sums *sums, size_t distinct, uint64_t unshared, uint64_t lookups,
                  uint64_t trace_lines) {
  bool ok = holds(sums->complete, "LOOKUPS lookups");
  ok &= holds(sums->shared, "sharing was on for every call");
  ok &= holds(sums->counted, "the library counted each call of the model");
  ok &= holds(sums->same, "all results are the same with and without the daemon");
  ok &= holds(sums->computed == distinct, "one forward pass for each distinct key");
  ok &= holds(unshared == lookups, "without a daemon everything is computed");
  ok &= holds(sums->hits + sums->computed == lookups, "a lookup is a hit or is computed");
  ok &= holds(sums->daemon_hits == sums->hits && sums->daemon_passes == sums->computed,
              "the daemon counted the same hits and forward passes as the workers");
  ok &= holds(trace_lines == lookups, "the trace has a line for each lookup");
  return ok;
}

int demo_compare(uint64_t trace_lines, const char *plain_path, char **shared_paths, size_t n) {
  struct sums sums = {.counted = true, .shared = true, .complete = true, .same = true};
  struct outcome *all = calloc(n + 1, sizeof *all), *plain = all + n;
  uint64_t unshared = 0, lookups = (uint64_t)n * EACH;
  if (!all)
    die("compare", "out of memory");
  load(plain, plain_path);
  for (size_t i = 0; i < n; i++) {
    load(&all[i], shared_paths[i]);
    add_workers(&sums, &all[i], plain);
    if (n > 1)
      print_node(i + 1, &all[i]);
  }
  for (size_t i = 0; i < WORKERS; i++)
    unshared += n * plain->workers[i].computed; /* each node would compute as much */
  size_t distinct = count_distinct(all, n);
  printf("%.2f s with %s, %.2f s without%s\n", (double)sums.wall_ns / 1e9,
         n > 1 ? "the fleet" : "the daemon", (double)plain->wall_ns / 1e9,
         n > 1 ? " for one node's workers" : "");
  printf("demo: workers=%zu lookups=%" PRIu64 " distinct=%zu forward_passes=%" PRIu64
         " unshared=%" PRIu64 " identical=%s\n",
         n * WORKERS, lookups, distinct, sums.computed, unshared, sums.same ? "yes" : "no");
  bool ok = check(&sums, distinct, unshared, lookups, trace_lines);
  free(all);
  return ok ? 0 : 1;
}
