/* measure.h - time one operation again and again, and say how it went.
 *
 * A burst is one short run of one operation; a row's figure is the median of
 * its bursts, one a round, so that a disturbance of one round is outvoted.
 *
 * An operation of microseconds is timed on its own. Of one of some hundred
 * nanoseconds a reading of the clock is a good part. So the first half of such a
 * burst is timed in blocks of MEASURE_BLOCK operations, whose number is per_s; the
 * percentiles are those of single operations, from the second half, less what two
 * readings of the clock are apart with nothing between them.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "tests/bench/bench_figures.h"

#include <stddef.h>
#include <stdint.h>

enum { MEASURE_BLOCK = 16 };

/* Durations of single operations, or of blocks. Zero it to start; samples_deinit at the end. */
struct samples {
  uint64_t *ns;
  size_t n, capacity;
};
void samples_deinit(struct samples *samples);

struct burst {
  uint64_t ns;    /* its length */
  uint32_t units; /* that one operation counts for */
  bool blocks;    /* timed in blocks, as above */
};

/* One operation, the `i`th of its burst. 0, or -1 after saying on stderr what failed. */
typedef int measure_fn(void *arg, uint64_t i);

/* Runs `fn` for `burst->ns`, after a tenth of that unmeasured, and at least three
 * times. Sets the percentiles and per_s of *out, and leaves the rest. `samples` is
 * scratch memory. 0, or -1 if `fn` failed or memory ran out. */
int measure_burst(struct samples *samples, measure_fn *fn, void *arg, const struct burst *burst,
                  struct measure *out);

/* Nanoseconds on the monotonic clock. */
uint64_t measure_now_ns(void);

#endif
