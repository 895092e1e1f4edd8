/* crash_counters.h - the counters of the daemon and of each namespace, which must never fall, over
 * all daemons of a cache. */
#ifndef FC_TESTS_CRASH_COUNTERS_H
#define FC_TESTS_CRASH_COUNTERS_H

#include "client/lib/admin/admin.h"
#include "crash_board.h"

#define CRASH_COUNTERS 256u

struct crash_counter {
  char space[32], name[48]; /* space "": of the daemon */
  double value;
};

struct crash_counters {
  struct crash_board *board;
  struct crash_counter list[CRASH_COUNTERS];
  uint32_t n, read; /* `read` in the latest reply */
  uint64_t generation;
  char cache_id[32]; /* a new cache begins with new counters, and knows no earlier daemon */
};

/* Reads all counters, and reports those that are lower than at the call before or missing.
 * A cache with another id is a fault. `restored`: the cache came from a file, so that this time the
 * counters may be lower and the id another. Returns false if the daemon does not answer. */
bool crash_counters_read(struct crash_counters *counters, struct admin *admin, bool restored);

/* Returns a counter of the daemon, as read. */
uint64_t crash_counters_get(const struct crash_counters *counters, const char *name);

/* Returns the entries that were evicted, for any reason. */
uint64_t crash_counters_evictions(const struct crash_counters *counters);

/* Reports counters below the acknowledged numbers of the board in this life. */
void crash_counters_check_acked(const struct crash_counters *counters);

#endif
