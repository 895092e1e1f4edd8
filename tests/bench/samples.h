/* samples.h - durations of an operation, and their percentiles. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/* Zero it to start, and call samples_deinit at the end. */
struct samples {
  uint64_t *ns;
  size_t n, capacity;
};
void samples_deinit(struct samples *samples);

/* Appends one. Returns 0, or -1 with the reason on stderr if memory ran out. */
int samples_add(struct samples *samples, uint64_t ns);

void samples_sort(struct samples *samples);

/* Returns the smallest of sorted samples (at least one) that at least `share` of all do not exceed,
 * in microseconds. */
double samples_percentile_us(const struct samples *sorted, double share);

/* Returns the mean of the sorted samples (at least one) that are within `step_ns` of their median,
 * in microseconds. A clock that advances in steps has only their multiples as its durations. A
 * duration between two of them is measured as either, and as the longer the more often the closer
 * it is. So the mean of both is finer than a step, and samples far away do not matter. */
double samples_median_us(const struct samples *sorted, uint64_t step_ns);

#endif
