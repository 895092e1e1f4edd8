/* storm_kill.h - a storm whose writer, a process of its own, is killed at any moment. */
#ifndef FC_TESTS_STORM_KILL_H
#define FC_TESTS_STORM_KILL_H

#include "storm.h"

struct storm_kills {
  struct storm_reads before, after; /* the kill; sums over all of them */
  uint32_t kills;
  uint32_t halves; /* kills that left a bucket busy: in the midst of a change */
  uint32_t undead; /* regions that were said to be live after their writer's end */
};

/* So many times: begins a writer, reads meanwhile, kills it, and reads what it left, as a look-up
 * would that had begun before. False, with the reason on stderr, where it could not be done. */
bool storm_kill(uint32_t times, struct storm_kills *kills);

#endif
