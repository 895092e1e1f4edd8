/* hit_clock.h - the clock by which a handle stamps its hits: CLOCK_MONOTONIC, from the processor's
 * time stamp counter if the region has a valid calibration (proto/shm/tsc_clock.h), else from the
 * kernel.
 *
 * The daemon compares the stamps of all clients. A calibration that is not within
 * HIT_CLOCK_MAX_OFF_NS of the kernel's clock is not used: the process is in another time namespace,
 * or the header is wrong. The stamps of one handle never go back. One thread. */
#ifndef FC_CLIENT_HIT_CLOCK_H
#define FC_CLIENT_HIT_CLOCK_H

#include "client/lib/util/clock.h"
#include "proto/shm/tsc.h"
#include "proto/shm/tsc_clock.h"

#define HIT_CLOCK_MAX_OFF_NS UINT64_C(1000000) /* when the handle begins to use it */

/* Zero to start, and again for another region. */
struct hit_clock {
  struct fc_tsc_clock tsc; /* the header's, checked */
  uint64_t latest_ns;      /* the latest stamp */
};

/* Returns the time when the counter was `ticks`, which is now. Looks for a newer calibration.
 * Without a header, it is the kernel's time. */
uint64_t hit_clock_renew(struct hit_clock *clock, const struct fc_region_header *header,
                         uint64_t ticks);

/* Returns the time when the counter was `ticks`, which is now, and not before the latest stamp.
 *
 * Loads the sequence after the counter. Relaxed: the copy is private, and the load only shows
 * whether there is a newer calibration. The processor may make the load a little earlier, by less
 * than the time of the instructions that it has in flight. For so long the older calibration may
 * still be used beside the newer one, which is never behind it (daemon/rings/tsc_calibration.h). */
static inline uint64_t hit_clock_at(struct hit_clock *clock, const struct fc_region_header *header,
                                    uint64_t ticks) {
  bool usable =
      header != NULL && fc_tsc_clock_covers(&clock->tsc, ticks) &&
      atomic_load_explicit(&header->clock_sequence, memory_order_relaxed) == clock->tsc.sequence;
  uint64_t now_ns =
      usable ? fc_tsc_clock_ns(&clock->tsc, ticks) : hit_clock_renew(clock, header, ticks);
  if (now_ns > clock->latest_ns)
    clock->latest_ns = now_ns;
  return clock->latest_ns;
}

/* Returns the time at which a lookup begins. The counter is read after all earlier loads: the
 * lookup may follow a hit of another process, of which they tell, and its stamp must too. */
static inline uint64_t hit_clock_begin(struct hit_clock *clock,
                                       const struct fc_region_header *header) {
  return hit_clock_at(clock, header, fc_tsc_read_ordered());
}

/* Returns the time at which it ends: no earlier than it began. */
static inline uint64_t hit_clock_end(struct hit_clock *clock,
                                     const struct fc_region_header *header) {
  return hit_clock_at(clock, header, fc_tsc_read());
}

#endif
