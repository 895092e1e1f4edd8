#include "daemon/rings/client_time.h"

#include <time.h>

#include "daemon/base/check.h"

static uint64_t read_clock(clockid_t id) {
  struct timespec now;
  (void)clock_gettime(id, &now); /* cannot fail for these clocks */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Reads CLOCK_REALTIME first. If the daemon is stopped between the two, the difference is too
 * small, and client_time_stamp corrects that at the next reading. A difference that is too large
 * would stay. */
struct client_clock client_clock_now(void) {
  struct client_clock clock;
  clock.real_ns = read_clock(CLOCK_REALTIME);
  clock.now_ns = read_clock(CLOCK_MONOTONIC);
  return clock;
}

uint64_t client_time_charge(struct client_time *time, uint64_t now_ns, uint64_t claimed_ns) {
  uint64_t connected_ns = now_ns > time->since_ns ? now_ns - time->since_ns : 0;
  uint64_t left_ns = connected_ns > time->charged_ns ? connected_ns - time->charged_ns : 0;
  uint64_t charge_ns = claimed_ns < left_ns ? claimed_ns : left_ns;
  time->charged_ns += charge_ns;
  check_le(charge_ns, left_ns);
  return charge_ns;
}

uint64_t client_time_stamp(struct client_time *time, const struct client_clock *clock,
                           uint64_t end_ns) {
  int64_t offset_ns = (int64_t)(clock->real_ns - clock->now_ns);
  if (offset_ns > time->offset_ns)
    time->offset_ns = offset_ns;
  if (end_ns > time->stamped_ns)
    time->stamped_ns = end_ns;
  check_le(end_ns, time->stamped_ns);
  return time->stamped_ns + (uint64_t)time->offset_ns;
}
