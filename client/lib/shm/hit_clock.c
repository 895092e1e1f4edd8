#include "client/lib/shm/hit_clock.h"

uint64_t hit_clock_renew(struct hit_clock *clock, const struct fc_region_header *header,
                         uint64_t ticks) {
  uint64_t now_ns = clock_now_ns();
  if (header != NULL && fc_tsc_clock_load(&clock->tsc, header) &&
      fc_tsc_clock_covers(&clock->tsc, ticks)) {
    uint64_t tsc_ns = fc_tsc_clock_ns(&clock->tsc, ticks);
    uint64_t off_ns = tsc_ns > now_ns ? tsc_ns - now_ns : now_ns - tsc_ns;
    if (off_ns <= HIT_CLOCK_MAX_OFF_NS)
      return tsc_ns;
  }
  clock->tsc = (struct fc_tsc_clock){0};
  return now_ns;
}
