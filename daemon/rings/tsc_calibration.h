/* tsc_calibration.h - measures the processor's time stamp counter against CLOCK_MONOTONIC, and
 * publishes the result to the clients (proto/shm/tsc_clock.h), which stamp their hits by it.
 *
 * Two samples give a rate. Each further one gives the rate since the one before, and so follows the
 * slewing of CLOCK_MONOTONIC. The published clock never goes back: where it is ahead of the
 * kernel's, it is not set back but runs slower until both agree. So a hit that is served after
 * another has no earlier stamp, whatever calibrations their clients used. A clock that is more than
 * TSC_CALIBRATION_JUMP_NS away is withdrawn, and a new one begins. One thread. */
#ifndef FC_DAEMON_TSC_CALIBRATION_H
#define FC_DAEMON_TSC_CALIBRATION_H

#include "proto/shm/tsc_clock.h"

#define TSC_CALIBRATION_PERIOD_NS UINT64_C(100000000) /* between two samples, at least */
#define TSC_CALIBRATION_SETTLE_NS UINT64_C(250000000) /* in which it loses what it is ahead */
#define TSC_CALIBRATION_JUMP_NS UINT64_C(1000000)

/* Zero to start. */
struct tsc_calibration {
  uint64_t ticks, ns;        /* of the latest sample; 0: none */
  struct fc_tsc_clock clock; /* the published one; zero: none */
};

/* Returns whether it is time for another sample. `now_ns` is CLOCK_MONOTONIC. */
static inline bool tsc_calibration_due(const struct tsc_calibration *calibration, uint64_t now_ns) {
  return now_ns - calibration->ns >= TSC_CALIBRATION_PERIOD_NS;
}

/* Adds a sample, and sets calibration->clock. */
void tsc_calibration_add(struct tsc_calibration *calibration, uint64_t ticks, uint64_t ns);

/* Takes a sample and publishes the clock in the region's header. With `usable` false, the kernel
 * does not use the counter (any more): withdraws the clock. */
void tsc_calibration_publish(struct tsc_calibration *calibration, struct fc_region_header *header,
                             bool usable);

#endif
