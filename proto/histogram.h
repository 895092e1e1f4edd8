/* histogram.h - counts durations in cells that grow with the duration: for percentiles that need no
 * list of the durations.
 *
 * The first 32 cells have the durations 0 to 31 ns. From there on a power of two has 32 cells of
 * one size, so a cell is at most 1/32 (3.1%) as wide as its least duration. A quantile is the
 * largest duration of its cell: never less than the true one, and at most 3.1% above it. Durations
 * of 2^40 ns (1,099 s) and more share the last cell. `count`, `sum_ns` and `max_ns` are exact.
 *
 * A zeroed histogram is empty. Histograms with the same cells can be added and subtracted. The
 * cells are part of the protocol: docs/protocol.md, latency. Pure functions. One thread. */
#ifndef FC_PROTO_HISTOGRAM_H
#define FC_PROTO_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define FC_HISTOGRAM_SUB_BITS 5u
#define FC_HISTOGRAM_SUB_CELLS (1u << FC_HISTOGRAM_SUB_BITS) /* of a power of two */
#define FC_HISTOGRAM_BITS 40u /* durations below 2^40 ns have cells */
#define FC_HISTOGRAM_CELLS                                                                         \
  ((FC_HISTOGRAM_BITS - FC_HISTOGRAM_SUB_BITS + 1u) * FC_HISTOGRAM_SUB_CELLS)

struct fc_histogram {
  uint64_t count;
  uint64_t sum_ns; /* saturates */
  uint64_t max_ns;
  uint64_t cells[FC_HISTOGRAM_CELLS];
};

/* Returns the number of the duration's cell. */
static inline uint32_t fc_histogram_cell(uint64_t ns) {
  if (ns < FC_HISTOGRAM_SUB_CELLS)
    return (uint32_t)ns;
  if (ns >> FC_HISTOGRAM_BITS != 0)
    return FC_HISTOGRAM_CELLS - 1;
  uint32_t shift = 63u - (uint32_t)__builtin_clzll(ns) - FC_HISTOGRAM_SUB_BITS;
  /* ns >> shift is 32 to 63. */
  return shift * FC_HISTOGRAM_SUB_CELLS + (uint32_t)(ns >> shift);
}

/* Counts one duration. About two nanoseconds. */
static inline void fc_histogram_add(struct fc_histogram *histogram, uint64_t ns) {
  uint64_t sum_ns = histogram->sum_ns + ns;
  histogram->cells[fc_histogram_cell(ns)]++;
  histogram->count++;
  histogram->sum_ns = sum_ns >= ns ? sum_ns : UINT64_MAX;
  if (ns > histogram->max_ns)
    histogram->max_ns = ns;
}

/* Returns the largest duration of a cell below FC_HISTOGRAM_CELLS. For the last one: UINT64_MAX. */
uint64_t fc_histogram_cell_max_ns(uint32_t cell);

/* Returns the duration that `part` of `whole` durations do not exceed, such as 999 of 1000. `part`
 * is at most `whole`, which is 10,000 at most. 0 for an empty histogram. */
uint64_t fc_histogram_quantile(const struct fc_histogram *histogram, uint32_t part, uint32_t whole);

/* Returns how many durations are at most `ns`, without those in a cell that also has larger ones.
 * So the number is exact for the largest duration of a cell, and for others it is that of a bound
 * at most 3.1% lower. It rises with `ns`, and is `count` for UINT64_MAX. */
uint64_t fc_histogram_count_to(const struct fc_histogram *histogram, uint64_t ns);

/* Adds the durations of `other`. */
void fc_histogram_merge(struct fc_histogram *histogram, const struct fc_histogram *other);

/* Subtracts an earlier reading of the same histogram. The largest duration of the rest becomes that
 * of its highest cell, or the former one if that is less. Returns false, with the histogram
 * unchanged, if `before` is no earlier reading: it was reset in between. */
bool fc_histogram_subtract(struct fc_histogram *histogram, const struct fc_histogram *before);

#endif
