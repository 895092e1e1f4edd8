/* fleet_calls.h - calls of workers on the nodes of a fleet, for keys that have numbers. The value
 * of a key is its number. A function fails the test if a call fails or returns another value. */
#ifndef FC_TESTS_FLEET_CALLS_H
#define FC_TESTS_FLEET_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "fcache.h"

struct fleet_call {
  uint32_t key;
  bool computed; /* by this call */
  uint64_t took_ns;
};

/* Gets the value of the key of that number by fcache_cached. */
struct fleet_call fleet_call(struct fcache *cache, uint32_t number);

/* Computes the values of new keys, `n` from `first` on, by one fcache_cached_batch. Returns its
 * time in ns. At most FLEET_CALLS_BATCH keys. */
#define FLEET_CALLS_BATCH 64u
uint64_t fleet_call_batch(struct fcache *cache, uint32_t first, uint32_t n);

/* Makes a call for the key on both nodes. Returns true if the second one gets the value of the
 * first through the tier. *key is the next number afterwards. */
bool fleet_call_passes(struct fcache *from, struct fcache *to, uint32_t *key);

#endif
