/* worker_pair.h - a daemon and two handles of one namespace, as two workers have them. A function
 * that cannot do its work fails the test. */
#ifndef FC_TESTS_WORKER_PAIR_H
#define FC_TESTS_WORKER_PAIR_H

#include "fcache.h"
#include "tests/support/harness.h"

extern struct worker_pair {
  struct daemon daemon;
  struct fcache *worker, *other; /* of the namespace "shared" */
} pair;

/* A fixture: starts the daemon and opens the handles, and closes and stops them. */
void pair_set_up(void);
void pair_tear_down(void);

#endif
