/* intrinsic.h - measures the delays of the machine itself: a loop that only reads the clock finds
 * out when its process did not run. Needs no daemon. */
#ifndef FC_CTL_INTRINSIC_H
#define FC_CTL_INTRINSIC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/histogram.h"

#define INTRINSIC_LONGEST 10u
#define INTRINSIC_GAP_NS 10000u /* a gap: the process did not run */

struct intrinsic {
  uint64_t duration_ns;
  struct fc_histogram steps; /* between two readings of the clock */
  uint64_t gaps, gap_ns;     /* the steps of INTRINSIC_GAP_NS and more, and their sum */
  uint32_t n;                /* longest gaps, the longest first */
  struct intrinsic_gap {
    uint64_t ns, at_ns; /* at_ns: since the start */
  } longest[INTRINSIC_LONGEST];
};

/* Measures for `duration_ns`, or until *stop becomes true. */
void intrinsic_measure(struct intrinsic *intrinsic, uint64_t duration_ns, const volatile int *stop);

/* Adds one step, which ended `at_ns` after the start. */
void intrinsic_add(struct intrinsic *intrinsic, uint64_t ns, uint64_t at_ns);

void intrinsic_print(FILE *out, const struct intrinsic *intrinsic);
/* Returns an object, or NULL if out of memory. */
json_t *intrinsic_json(const struct intrinsic *intrinsic);

#endif
