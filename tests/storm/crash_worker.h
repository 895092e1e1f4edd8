/* crash_worker.h - the processes of the crash storm. A worker puts its own keys, looks up all, and
 * computes leased keys. The clearer clears, sets manifests, requests snapshots, resizes, and looks
 * up. In the ordered phase only worker 0 uses the cache, so that the LRU order follows from its
 * steps. */
#ifndef FC_TESTS_CRASH_WORKER_H
#define FC_TESTS_CRASH_WORKER_H

#include "crash_board.h"
#include "crash_kinds.h"

struct crash_worker_plan {
  struct crash_board *board;
  const struct crash_kind *kind;
  const char *socket;
  uint32_t number; /* CRASH_WORKERS: the clearer */
  uint64_t seed;
};

#define CRASH_PROCESSES (CRASH_WORKERS + 1)

/* For child_start, with a plan as the argument. Returns at CRASH_STOP: 0, or 1 if it could not
 * begin. */
int crash_worker_run(void *arg);

/* The manifest of a version, which the clearer gives a namespace. */
#define CRASH_MANIFEST_SIZE 64u
void crash_manifest(char text[CRASH_MANIFEST_SIZE], uint64_t version);

#endif
