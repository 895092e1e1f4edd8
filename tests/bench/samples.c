#include "tests/bench/samples.h"

#include <stdio.h>
#include <stdlib.h>

void samples_deinit(struct samples *samples) {
  free(samples->ns);
  *samples = (struct samples){0};
}

int samples_add(struct samples *samples, uint64_t ns) {
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

void samples_sort(struct samples *samples) {
  if (samples->n > 0)
    qsort(samples->ns, samples->n, sizeof(*samples->ns), compare_ns);
}

double samples_percentile_us(const struct samples *sorted, double share) {
  size_t rank = (size_t)(share * (double)sorted->n + 0.999999);
  if (rank < 1)
    rank = 1;
  if (rank > sorted->n)
    rank = sorted->n;
  return (double)sorted->ns[rank - 1] / 1000.0;
}

double samples_median_us(const struct samples *sorted, uint64_t step_ns) {
  uint64_t median_ns = sorted->ns[(sorted->n - 1) / 2];
  double sum = 0;
  size_t n = 0;
  for (size_t i = 0; i < sorted->n && sorted->ns[i] <= median_ns + step_ns; i++) {
    if (sorted->ns[i] + step_ns >= median_ns) {
      sum += (double)sorted->ns[i];
      n++;
    }
  }
  return sum / (double)n / 1000.0;
}
