/* crash_check.h - checks the cache of a daemon that has just started, while all workers are parked.
 */
#ifndef FC_TESTS_CRASH_CHECK_H
#define FC_TESTS_CRASH_CHECK_H

#include "crash_client.h"
#include "crash_counters.h"
#include "crash_list.h"
#include "crash_order.h"

struct crash_check {
  struct crash_board *board;
  const char *socket;             /* borrowed */
  struct crash_client clients[2]; /* by message, and from the region */
  struct crash_counters counters;
  struct crash_list list; /* of the latest check */
  bool twice[CRASH_KEYS]; /* keys that the latest check found twice */
  uint64_t random;
  uint32_t torn;    /* entries that were missing because their put was in progress, ever */
  uint64_t boot_id; /* of the latest daemon */
  uint64_t daemons; /* at the latest check */
  uint64_t clears;  /* acknowledged until then */
};

/* Returns false if the daemon cannot be reached. */
bool crash_check_open(struct crash_check *check, struct crash_board *board, const char *socket,
                      uint64_t seed);
void crash_check_close(struct crash_check *check);

struct crash_check_plan {
  bool full;                       /* read all values, not only some */
  bool restored;                   /* the cache came from a file */
  const struct crash_order *order; /* of the ordered phase that the kill ended; NULL: none */
};

/* Checks counters, generation, manifests, presence and order of all entries, and values. Reports
 * faults on the board, and takes the entries that it found as the state of the cache. */
void crash_check_run(struct crash_check *check, const struct crash_check_plan *plan);

/* Reads the order from which the ordered phase begins. */
void crash_check_order(struct crash_check *check, struct crash_order *order);

#endif
