/* storm_kill.h - a storm whose writer, a separate process, is killed at any moment. */
#ifndef FC_TESTS_STORM_KILL_H
#define FC_TESTS_STORM_KILL_H

#include "storm.h"

struct storm_kills {
  struct storm_reads before, after; /* after the kill; sums over all writers */
  uint32_t kills;
  uint32_t halves; /* kills that left a bucket busy, during a change */
  uint32_t undead; /* regions that seemed live after their writer's end */
};

/* Starts a writer, reads, kills it, and reads its region, as a lookup would that began before.
 * Repeats that so many times. Returns false, with the reason on stderr, if it was not possible. */
bool storm_kill(uint32_t times, struct storm_kills *kills);

#endif
