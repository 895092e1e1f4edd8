/* measure.h - time one operation again and again, and say how it went.
 *
 * A burst is one short run of one operation; a row's figure is the median of
 * its bursts, one a round, so that a disturbance of one round is outvoted.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Durations of single operations. Zero it to start; samples_deinit at the end. */
struct samples {
  uint64_t *ns;
  size_t n, capacity;
};
void samples_deinit(struct samples *samples);

/* What one burst, or the median of several, found. */
struct measure {
  double p50_us, p99_us, p999_us;
  double per_s; /* units a second: operations, or keys where an operation has many */
};

/* One operation, the `i`th of its burst. 0, or -1 after saying on stderr what failed. */
typedef int measure_fn(void *arg, uint64_t i);

/* Runs `fn` for `burst_ns`, after a tenth of that unmeasured, and at least three
 * times. `units` is how many units one operation counts for. `samples` is
 * scratch memory. 0, or -1 if `fn` failed or memory ran out. */
int measure_burst(struct samples *samples, measure_fn *fn, void *arg, uint64_t burst_ns,
                  uint32_t units, struct measure *out);

/* Each figure's own median over `n` >= 1 bursts. */
struct measure measure_median(const struct measure *bursts, size_t n);

/* Nanoseconds on the monotonic clock. */
uint64_t measure_now_ns(void);

#endif
