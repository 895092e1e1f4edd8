/* consistency.h - three daemons on one real tier server, workers that get, compute, put, clear and
 * delete on them, and faults meanwhile. What the workers saw is checked (history.h). */
#ifndef FC_TESTS_CONSISTENCY_H
#define FC_TESTS_CONSISTENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/fleet_consistency/history.h"
#include "tests/support/harness.h"

#define CONSISTENCY_NODES 3u
#define CONSISTENCY_WORKERS 6u /* two of each node */
#define CONSISTENCY_KEYS 24u   /* 2 views x 2 ops x 6 prompts */

/* In memory that the workers share. */
struct consistency_board {
  _Atomic bool stop;
  _Atomic uint32_t lives[CONSISTENCY_NODES]; /* of the daemons: rises at each end and start */
  _Atomic uint64_t n;                        /* events */
  uint64_t capacity;
  struct history_event events[];
};

struct consistency_worker {
  struct consistency_board *board;
  const struct daemon *node;
  uint32_t number; /* from 0 on */
  uint64_t seed;
};

/* Works until board->stop. In a child: for child_start, with a struct consistency_worker. */
int consistency_work(void *arg);

/* Adds an event, unless the board is full. */
void consistency_note(struct consistency_board *board, const struct history_event *event);

struct consistency_plan {
  const char *program; /* of the tier server */
  uint64_t seed, seconds;
  uint64_t bound_ns; /* see history.h: the workers and daemons share the processors */
};

struct consistency_result {
  uint64_t events, hits, puts, clears, faults_injected;
  size_t faults;
  char report[HISTORY_REPORT_SIZE];
};

/* Runs the fleet, and checks its history. Fails the test if a daemon or a worker does not do its
 * work. */
struct consistency_result consistency_run(const struct consistency_plan *plan);

#endif
