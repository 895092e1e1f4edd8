/* histogram.h - latencies in buckets that are 1/32 of a power of two wide, so that those of several
 * processes can be added up. */
#ifndef FC_TESTS_HISTOGRAM_H
#define FC_TESTS_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_STEPS 32u /* in each power of two */
#define HISTOGRAM_BUCKETS (64u * HISTOGRAM_STEPS)

struct histogram {
  uint64_t count[HISTOGRAM_BUCKETS];
  uint64_t max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* Writes " NS:COUNT" for each bucket that is not empty, NS its upper end, and then " max:NS". */
void histogram_print(const struct histogram *histogram, FILE *file);

#endif
