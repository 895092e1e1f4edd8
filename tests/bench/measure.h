/* measure.h - times one operation repeatedly.
 *
 * A burst is one short run of one operation. The metric of a row is the median of its bursts, one a
 * round, so a disturbance of one round does not matter.
 *
 * An operation of microseconds is timed on its own. For one of some hundred nanoseconds, a read of
 * the clock is a good part. So the first half of its burst is timed in blocks of MEASURE_BLOCK
 * operations, whose number gives per_s and, divided by the CPU time of the thread, per_cpu_s. The
 * percentiles are of single operations of the second half, less the time of a read of the clock.
 * The median is finer than a step of the clock: see samples_median_us. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "tests/bench/bench_metrics.h"
#include "tests/bench/samples.h"

#include <stdbool.h>
#include <stdint.h>

enum { MEASURE_BLOCK = 16 };

struct burst {
  uint64_t ns;    /* length of the burst */
  uint32_t units; /* units that one operation counts for */
  bool blocks;    /* timed in blocks, as above */
};

/* Does the `i`th operation of its burst. Returns 0, or -1 with the reason on stderr. */
typedef int measure_fn(void *arg, uint64_t i);

/* Runs `fn` for `burst->ns`, after a tenth of that unmeasured, and at least three times. Sets the
 * percentiles and the rates of *out only. `samples` is scratch memory. Returns 0, or -1 if `fn`
 * failed or memory ran out. */
int measure_burst(struct samples *samples, measure_fn *fn, void *arg, const struct burst *burst,
                  struct measure *out);

/* Returns nanoseconds of the monotonic clock. */
uint64_t measure_now_ns(void);

/* Returns nanoseconds of the CPU time of this thread. */
uint64_t measure_cpu_ns(void);

#endif
