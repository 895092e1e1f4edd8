/* crash_storm.h - kills the daemon with SIGKILL at random moments while workers use it, starts the
 * next one with the descriptors that the service manager kept, and checks the cache: everything
 * that was acknowledged is there, nothing that was cleared, in the right order, with all counters.
 */
#ifndef FC_TESTS_CRASH_STORM_H
#define FC_TESTS_CRASH_STORM_H

#include "crash_board.h"

struct crash_plan {
  uint32_t rounds; /* each with a kill at least */
  uint64_t seed;
  const char *kind; /* of all lives (crash_kinds.h); NULL: one after the other */
  bool spares;      /* kills nothing: tests the model */
  uint32_t until;   /* ends with the first of these faults: 1 << enum crash_fault */
  double limit_s;   /* ends then in any case */
};

struct crash_result {
  uint32_t rounds;
  uint32_t ordered; /* rounds in the ordered phase */
  uint32_t kills;
  uint32_t adopting; /* kills soon after the start, before the check */
  uint32_t restores; /* starts from a file */
  uint32_t torn;     /* entries that were missing because their put was in progress */
  uint64_t checked;  /* entries */
  uint64_t puts, hits, clears, deletes, grants, inherited, snapshots, resizes;
  uint32_t faults[CRASH_FAULTS];
  double took_s;
};

/* Runs under Check and harness_main. Returns false, with the reason on stderr, if the storm could
 * not go on. */
bool crash_storm_run(const struct crash_plan *plan, struct crash_result *result);

/* Copies the counts of the board. */
void crash_storm_sum_up(const struct crash_board *board, struct crash_result *result);

uint32_t crash_storm_faults(const struct crash_result *result);

/* Prints one line to stdout. */
void crash_storm_print(const struct crash_result *result);

#endif
