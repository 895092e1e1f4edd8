#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MIN_SAMPLES = 3 };

uint64_t measure_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void samples_deinit(struct samples *samples) {
  free(samples->ns);
  *samples = (struct samples){0};
}

static int samples_add(struct samples *samples, uint64_t ns) {
  if (samples->n == samples->capacity) {
    size_t capacity = samples->capacity == 0 ? 65536 : samples->capacity * 2;
    uint64_t *grown = realloc(samples->ns, capacity * sizeof(*grown));
    if (grown == NULL) {
      fprintf(stderr, "bench: out of memory for %zu samples\n", capacity);
      return -1;
    }
    samples->ns = grown;
    samples->capacity = capacity;
  }
  samples->ns[samples->n++] = ns;
  return 0;
}

static int compare_ns(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Nearest rank: the smallest sample that at least `share` of all do not exceed. */
static double percentile_us(const struct samples *sorted, double share) {
  size_t rank = (size_t)(share * (double)sorted->n + 0.999999);
  if (rank < 1)
    rank = 1;
  if (rank > sorted->n)
    rank = sorted->n;
  return (double)sorted->ns[rank - 1] / 1000.0;
}

/* A run of one operation, for its samples. */
struct run {
  struct samples *samples;
  measure_fn *fn;
  void *arg;
  uint64_t i; /* operations so far */
};

static int operate(struct run *run, uint32_t n) {
  for (uint32_t k = 0; k < n; k++) {
    if (run->fn(run->arg, run->i++) != 0)
      return -1;
  }
  return 0;
}

static int warm_up(struct run *run, uint64_t ns) {
  uint64_t start_ns = measure_now_ns();
  do {
    if (operate(run, 1) != 0)
      return -1;
  } while (measure_now_ns() - start_ns < ns);
  return 0;
}

/* Takes samples of `block` operations each for `ns`, and sorts them. Sets *elapsed_ns. */
static int run_burst(struct run *run, uint64_t ns, uint32_t block, uint64_t *elapsed_ns) {
  struct samples *samples = run->samples;
  samples->n = 0;
  uint64_t start_ns = measure_now_ns();
  uint64_t last_ns = start_ns;
  do {
    if (operate(run, block) != 0)
      return -1;
    uint64_t now_ns = measure_now_ns();
    if (samples_add(samples, now_ns - last_ns) != 0)
      return -1;
    /* Read again, so that no sample has the cost of the bookkeeping. */
    last_ns = measure_now_ns();
  } while (last_ns - start_ns < ns || samples->n < MIN_SAMPLES);
  *elapsed_ns = last_ns - start_ns;
  qsort(samples->ns, samples->n, sizeof(*samples->ns), compare_ns);
  return 0;
}

/* Returns the median time between two reads of the clock without anything between them. */
static uint64_t clock_cost_ns(void) {
  enum { READINGS = 101 };
  uint64_t apart[READINGS];
  for (size_t i = 0; i < READINGS; i++) {
    uint64_t first_ns = measure_now_ns();
    apart[i] = measure_now_ns() - first_ns;
  }
  qsort(apart, READINGS, sizeof apart[0], compare_ns);
  return apart[READINGS / 2];
}

static void subtract(struct samples *samples, uint64_t ns) {
  for (size_t i = 0; i < samples->n; i++)
    samples->ns[i] = samples->ns[i] > ns ? samples->ns[i] - ns : 0;
}

int measure_burst(struct samples *samples, measure_fn *fn, void *arg, const struct burst *burst,
                  struct measure *out) {
  struct run run = {.samples = samples, .fn = fn, .arg = arg};
  uint32_t block = burst->blocks ? MEASURE_BLOCK : 1;
  uint64_t ns = burst->blocks ? burst->ns / 2 : burst->ns;
  uint64_t elapsed_ns = 0;
  if (warm_up(&run, burst->ns / 10) != 0 || run_burst(&run, ns, block, &elapsed_ns) != 0)
    return -1;
  out->of[METRIC_PER_S] = (double)samples->n * block * burst->units / ((double)elapsed_ns / 1e9);
  if (burst->blocks && run_burst(&run, ns, 1, &elapsed_ns) != 0)
    return -1;
  if (burst->blocks)
    subtract(samples, clock_cost_ns());
  out->of[METRIC_P50] = percentile_us(samples, 0.5);
  out->of[METRIC_P99] = percentile_us(samples, 0.99);
  out->of[METRIC_P999] = percentile_us(samples, 0.999);
  return 0;
}
