/* crash_life.h - the life of one cache in the crash storm: a service manager, workers, and daemons
 * one after the other. A life has one kind: the options of its daemons and its events. */
#ifndef FC_TESTS_CRASH_LIFE_H
#define FC_TESTS_CRASH_LIFE_H

#include "crash_check.h"
#include "crash_kinds.h"
#include "crash_storm.h"
#include "crash_worker.h"
#include "tests/support/service_manager.h"

struct crash_life {
  const struct crash_kind *kind;
  struct crash_board *board;
  struct crash_result *result;
  struct service_manager manager;
  const char *args[CRASH_ARGS_MAX + 2];
  char state[HARNESS_PATH_SIZE + 16]; /* "--state=DIR" */
  struct crash_worker_plan plans[CRASH_PROCESSES];
  pid_t pids[CRASH_PROCESSES];
  struct crash_check check;
  struct crash_order order;
  uint32_t rounds;
  bool failed; /* no daemon serves, so that workers may wait for one */
  bool spares; /* the daemon lives on, so that only the model is tested */
  uint64_t random;
};

/* Starts the first daemon and the workers. Returns false, with the reason on stderr, if it cannot.
 */
bool crash_life_begin(struct crash_life *life, const struct crash_kind *kind,
                      struct crash_board *board, struct crash_result *result, uint64_t seed);

/* Lets the workers run for a moment, kills the daemon, starts the next one, and checks the cache.
 * Returns false if the life cannot go on. */
bool crash_life_round(struct crash_life *life);

/* Lets the workers run for that time, and waits until they are parked. */
bool crash_life_work(struct crash_life *life, uint64_t ns);

/* Waits until the daemon has moved all entries of earlier regions to its own, and has given their
 * memory back. All workers are parked. */
bool crash_life_settle(struct crash_life *life);

void crash_life_end(struct crash_life *life);

#endif
