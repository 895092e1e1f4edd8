/* region_worker.h - a worker of the namespace "region" that reads stamped values (stamped.h) and
 * counts log lines, slow lookups and computations. Usable in children. */
#ifndef FC_TESTS_REGION_WORKER_H
#define FC_TESTS_REGION_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "fcache.h"

#define REGION_WORKER_SLOW_MS 2000u /* a deadline that no other delay reaches */

struct region_worker {
  struct fcache *cache;
  unsigned lines; /* logged */
  unsigned slow;  /* lookups that took REGION_WORKER_SLOW_MS */
  unsigned computed;
  uint64_t version; /* of the latest value */
  struct fcache_value value;
};

/* Opens a handle; `client` NULL: the default name. Returns whether it is open, connected or not. */
bool region_worker_open(struct region_worker *worker, const char *socket, const char *client,
                        uint32_t deadline_ms);
void region_worker_close(struct region_worker *worker);

/* Gets a value. Returns the result, or REGION_WORKER_WRONG if the value is torn or another's. */
enum { REGION_WORKER_WRONG = -1000 };
int region_worker_get(struct region_worker *worker, uint64_t number);

/* Calls fcache_cached, which computes `version` on a miss. Returns whether the value is right. */
bool region_worker_cached(struct region_worker *worker, uint64_t number, uint64_t version);

/* Puts the values of `n` numbers from `first` on. Ends the test on failure. */
void region_worker_put(const char *socket, uint64_t first, uint64_t n, uint64_t version);

/* Returns the next number of a sequence. *state is not 0. */
uint64_t region_worker_random(uint64_t *state);

#endif
