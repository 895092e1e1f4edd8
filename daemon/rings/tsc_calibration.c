#include "daemon/rings/tsc_calibration.h"

#include <time.h>

#include "daemon/base/check.h"
#include "proto/shm/tsc.h"

#define READINGS 4u /* for one sample: the best of them */

/* Returns the rate since the latest sample as a factor, or 0 if there is none. */
static uint64_t factor_since(const struct tsc_calibration *calibration, uint64_t ticks,
                             uint64_t ns) {
  uint64_t took_ns = ns - calibration->ns, took = ticks - calibration->ticks;
  if (calibration->ns == 0 || took_ns >= FC_TSC_VALID_NS || ticks <= calibration->ticks)
    return 0;
  uint64_t factor = (took_ns << 32) / took;
  return factor >= FC_TSC_FACTOR_MIN && factor <= FC_TSC_FACTOR_MAX ? factor : 0;
}

void tsc_calibration_add(struct tsc_calibration *calibration, uint64_t ticks, uint64_t ns) {
  struct fc_tsc_clock before = calibration->clock;
  uint64_t factor = factor_since(calibration, ticks, ns), expected_ns = ns;
  calibration->ticks = ticks;
  calibration->ns = ns;
  calibration->clock = (struct fc_tsc_clock){0};
  if (fc_tsc_clock_covers(&before, ticks))
    expected_ns = fc_tsc_clock_ns(&before, ticks);
  uint64_t ahead_ns = expected_ns > ns ? expected_ns - ns : 0;
  uint64_t behind_ns = ns > expected_ns ? ns - expected_ns : 0;
  if (factor == 0 || ahead_ns > TSC_CALIBRATION_JUMP_NS || behind_ns > TSC_CALIBRATION_JUMP_NS)
    return;
  factor -= factor * ahead_ns / TSC_CALIBRATION_SETTLE_NS;
  calibration->clock = (struct fc_tsc_clock){.ticks = ticks,
                                             .ns = ns + ahead_ns,
                                             .factor = factor,
                                             .ticks_max = (FC_TSC_VALID_NS << 32) / factor};
  check_le(expected_ns, calibration->clock.ns);
}

static uint64_t monotonic_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Reads the counter before and after the clock. The closest pair tells best when the clock was
 * read: an interrupt may come between them. */
static void take_sample(uint64_t *ticks, uint64_t *ns) {
  uint64_t least = UINT64_MAX;
  for (unsigned i = 0; i < READINGS; i++) {
    uint64_t before = fc_tsc_read_ordered(), now_ns = monotonic_ns();
    uint64_t took = fc_tsc_read_ordered() - before;
    if (took >= least)
      continue;
    least = took;
    *ticks = before + took / 2;
    *ns = now_ns;
  }
}

void tsc_calibration_publish(struct tsc_calibration *calibration, struct fc_region_header *header,
                             bool usable) {
  uint64_t ticks = 0, ns = 0;
  bool withdraws = calibration->clock.factor != 0;
  take_sample(&ticks, &ns);
  if (usable)
    tsc_calibration_add(calibration, ticks, ns);
  else
    *calibration = (struct tsc_calibration){.ns = ns}; /* the next look is in a period */
  if (calibration->clock.factor != 0 || withdraws)
    fc_tsc_clock_store(header, &calibration->clock);
}
