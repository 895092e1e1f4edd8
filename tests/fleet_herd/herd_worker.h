/* herd_worker.h - one worker of a herd, in its own process: it wants each key once, from a place of
 * its own in the list on. A computation is a sleep, so 128 workers fit on two processors. */
#ifndef FC_TESTS_HERD_WORKER_H
#define FC_TESTS_HERD_WORKER_H

#include "herd_board.h"

#define HERD_NAMESPACE "herd"

struct herd_worker_plan {
  struct herd_board *board;
  uint32_t number; /* of the worker, in the board */
  uint32_t first;  /* number of its first key; the list is a circle */
  uint32_t keys;
  uint64_t compute_ns;
  const char *socket; /* of its daemon, or in a plain herd of the server */
};

/* Run a worker of the plan `arg`, for child_start: with fcache_cached, or the plain way, where the
 * worker gets each key from the server, and computes and sets what is missing. Return 0, or 1 with
 * the reason on stderr. */
int herd_worker_run(void *arg);
int herd_worker_run_plain(void *arg);

#endif
