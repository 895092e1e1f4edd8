#include "histogram.h"

#include <inttypes.h>

#define STEP_BITS 5u /* HISTOGRAM_STEPS is 1 << STEP_BITS */

/* The top bit's place and the STEP_BITS bits below it. */
static unsigned bucket_of(uint64_t ns) {
  if (ns < HISTOGRAM_STEPS)
    return (unsigned)ns;
  unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - STEP_BITS;
  return (shift << STEP_BITS) + (unsigned)(ns >> shift);
}

static uint64_t upper_end(unsigned bucket) {
  if (bucket < 2 * HISTOGRAM_STEPS)
    return bucket;
  unsigned shift = (bucket >> STEP_BITS) - 1;
  return (((uint64_t)(bucket & (HISTOGRAM_STEPS - 1)) + HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
  histogram->count[bucket_of(ns)]++;
  if (ns > histogram->max_ns)
    histogram->max_ns = ns;
}

void histogram_print(const struct histogram *histogram, FILE *file) {
  for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
    if (histogram->count[i] > 0)
      (void)fprintf(file, " %" PRIu64 ":%" PRIu64, upper_end(i), histogram->count[i]);
  (void)fprintf(file, " max:%" PRIu64, histogram->max_ns);
}
