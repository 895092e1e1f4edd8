/* tsc_clock.h - CLOCK_MONOTONIC from the processor's time stamp counter, for the stamps of hits.
 *
 * Where the kernel derives its clock from that counter, the daemon publishes a calibration in the
 * region's header: the counter and CLOCK_MONOTONIC at one moment, and the rate. A client reads the
 * counter instead of the clock, which takes less than half the time. All clients of a daemon use
 * the same calibration, so that their stamps are ordered as the reads of the counter were.
 *
 * The kernel changes the rate of CLOCK_MONOTONIC a little (NTP). So a calibration is valid for a
 * short time, and the daemon replaces it while it has clients. Without a valid one, clients use the
 * kernel's clock. No I/O. */
#ifndef FC_PROTO_TSC_CLOCK_H
#define FC_PROTO_TSC_CLOCK_H

#include <stdbool.h>

#include "proto/shm/region_layout.h"

#define FC_TSC_VALID_NS UINT64_C(2000000000) /* since its moment */

/* Bounds of a plausible rate: 64 MHz to 16 GHz. With these, no conversion overflows. */
#define FC_TSC_FACTOR_MIN (UINT64_C(1) << 28)
#define FC_TSC_FACTOR_MAX (UINT64_C(1) << 36)

/* A private copy of a calibration. Zero: none. */
struct fc_tsc_clock {
  uint32_t sequence;  /* of the header, from which it was copied */
  uint64_t ticks, ns; /* the counter and CLOCK_MONOTONIC at its moment */
  uint64_t factor;    /* nanoseconds of 2^32 ticks */
  uint64_t ticks_max; /* it is valid for so many ticks. 0: none is */
};

/* Returns the time of a counter that is less than `ticks_max` after the calibration's. */
static inline uint64_t fc_tsc_clock_ns(const struct fc_tsc_clock *clock, uint64_t ticks) {
  /* The product is at most FC_TSC_VALID_NS * 2^32, below 2^63. */
  return clock->ns + ((ticks - clock->ticks) * clock->factor >> 32);
}

/* Returns whether the calibration is valid at a counter. One before its moment is not: the
 * difference is then very large. */
static inline bool fc_tsc_clock_covers(const struct fc_tsc_clock *clock, uint64_t ticks) {
  return ticks - clock->ticks < clock->ticks_max;
}

/* Copies the header's calibration. Returns false, with `clock` zero, if there is none, if it is
 * being written, or if its rate is impossible: the header is not trusted. */
bool fc_tsc_clock_load(struct fc_tsc_clock *clock, const struct fc_region_header *header);

/* Publishes a calibration in the header; one without a factor withdraws it. For the one writer. */
void fc_tsc_clock_store(struct fc_region_header *header, const struct fc_tsc_clock *clock);

#endif
