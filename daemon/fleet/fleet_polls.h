/* fleet_polls.h - when a node asks the tier again for a value that another node computes.
 *
 * A poll that comes too late prolongs the wait, and one too many is work of the tier: in a herd all
 * nodes poll for one key. So a node learns how long it waits for values. It polls several times in
 * such a time, evenly, and then ever less often. While it knows no time, it begins with a short one
 * and doubles it.
 *
 * A tier that is busy replies late. The time between two polls is at least FLEET_POLLS_REPLIES
 * times the latest one from request to reply. So polls alone do not overload a tier server: 10,000
 * nodes that poll for one key, at 10 us each, get their replies after 25 ms.
 *
 * Pure functions over times (CLOCK_MONOTONIC in ns). Plain memory. */
#ifndef FC_DAEMON_FLEET_POLLS_H
#define FC_DAEMON_FLEET_POLLS_H

#include <stdint.h>

#define FLEET_POLLS_MIN_NS UINT64_C(2000000) /* between two polls */
#define FLEET_POLLS_MAX_NS UINT64_C(250000000)
#define FLEET_POLLS_PART 4u    /* so many in the time that a value takes, and */
#define FLEET_POLLS_EVEN 8u    /* so many at even distances */
#define FLEET_POLLS_REPLIES 8u /* see above */

/* What a node has learned. Zero to start. */
struct fleet_pace {
  uint64_t value_ns; /* smoothed time that a value takes; 0: not known */
};

/* The polls for one value. */
struct fleet_polls {
  uint64_t since_ns, interval_ns;
  uint32_t n;
};

void fleet_polls_begin(struct fleet_polls *polls, const struct fleet_pace *pace, uint64_t now_ns);

/* The latest request for the value was answered after `reply_ns`. Returns the time of the next one:
 * in three to five quarters of the interval, by the random number, so that nodes do not poll
 * together. */
uint64_t fleet_polls_next(struct fleet_polls *polls, const struct fleet_pace *pace,
                          uint64_t reply_ns, uint64_t random, uint64_t now_ns);

/* The value has come. Its computation took `compute_ns`. A part of a batch took less than the
 * wait. */
void fleet_polls_end(const struct fleet_polls *polls, struct fleet_pace *pace, uint64_t compute_ns,
                     uint64_t now_ns);

#endif
