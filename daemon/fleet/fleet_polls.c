#include "daemon/fleet/fleet_polls.h"

#include "daemon/base/check.h"

#define PACE_PARTS 8u                         /* of a new time in the smoothed one */
#define VALUE_MAX_NS UINT64_C(10000000000000) /* a longer one is an error of another node */

static uint64_t clamp(uint64_t interval_ns) {
  uint64_t raised_ns = interval_ns > FLEET_POLLS_MIN_NS ? interval_ns : FLEET_POLLS_MIN_NS;
  return raised_ns < FLEET_POLLS_MAX_NS ? raised_ns : FLEET_POLLS_MAX_NS;
}

void fleet_polls_begin(struct fleet_polls *polls, const struct fleet_pace *pace, uint64_t now_ns) {
  *polls = (struct fleet_polls){.since_ns = now_ns,
                                .interval_ns = clamp(pace->value_ns / FLEET_POLLS_PART)};
}

uint64_t fleet_polls_next(struct fleet_polls *polls, const struct fleet_pace *pace,
                          uint64_t reply_ns, uint64_t random, uint64_t now_ns) {
  uint64_t least_ns = reply_ns * FLEET_POLLS_REPLIES; /* a reply takes seconds at most */
  uint64_t interval_ns = clamp(polls->interval_ns > least_ns ? polls->interval_ns : least_ns);
  polls->n++;
  if (pace->value_ns == 0 || polls->n >= FLEET_POLLS_EVEN)
    polls->interval_ns = clamp(polls->interval_ns * 2);
  return now_ns + interval_ns * 3 / 4 + random % (interval_ns / 2 + 1);
}

void fleet_polls_end(const struct fleet_polls *polls, struct fleet_pace *pace, uint64_t compute_ns,
                     uint64_t now_ns) {
  check_le(polls->since_ns, now_ns);
  uint64_t waited_ns = now_ns - polls->since_ns;
  uint64_t took_ns = waited_ns > compute_ns ? waited_ns : compute_ns;
  took_ns = took_ns < VALUE_MAX_NS ? took_ns : VALUE_MAX_NS;
  if (pace->value_ns == 0)
    pace->value_ns = took_ns;
  else
    pace->value_ns = pace->value_ns - pace->value_ns / PACE_PARTS + took_ns / PACE_PARTS;
}
