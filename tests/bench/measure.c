#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MIN_OPERATIONS = 3, MAX_BURSTS = 64 };

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

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
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

int measure_burst(struct samples *samples, measure_fn *fn, void *arg, uint64_t burst_ns,
                  uint32_t units, struct measure *out) {
  uint64_t i = 0;
  uint64_t start_ns = measure_now_ns();
  do {
    if (fn(arg, i++) != 0)
      return -1;
  } while (measure_now_ns() - start_ns < burst_ns / 10);

  samples->n = 0;
  start_ns = measure_now_ns();
  uint64_t last_ns = start_ns;
  do {
    if (fn(arg, i++) != 0)
      return -1;
    uint64_t now_ns = measure_now_ns();
    if (samples_add(samples, now_ns - last_ns) != 0)
      return -1;
    /* Read again: what the bookkeeping cost is in no sample. */
    last_ns = measure_now_ns();
  } while (last_ns - start_ns < burst_ns || samples->n < MIN_OPERATIONS);

  double elapsed_s = (double)(last_ns - start_ns) / 1e9;
  out->per_s = (double)samples->n * units / elapsed_s;
  qsort(samples->ns, samples->n, sizeof(*samples->ns), compare_ns);
  out->p50_us = percentile_us(samples, 0.5);
  out->p99_us = percentile_us(samples, 0.99);
  out->p999_us = percentile_us(samples, 0.999);
  return 0;
}

static double median(double *values, size_t n) {
  qsort(values, n, sizeof(*values), compare_double);
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct measure measure_median(const struct measure *bursts, size_t n) {
  double p50[MAX_BURSTS], p99[MAX_BURSTS], p999[MAX_BURSTS], per_s[MAX_BURSTS];
  if (n > MAX_BURSTS)
    n = MAX_BURSTS;
  for (size_t i = 0; i < n; i++) {
    p50[i] = bursts[i].p50_us;
    p99[i] = bursts[i].p99_us;
    p999[i] = bursts[i].p999_us;
    per_s[i] = bursts[i].per_s;
  }
  return (struct measure){.p50_us = median(p50, n),
                          .p99_us = median(p99, n),
                          .p999_us = median(p999, n),
                          .per_s = median(per_s, n)};
}
