/* store_chain.h - bounds the chains of the index.
 *
 * A client knows its namespace's seed, and chooses its keys: it can make as many as it likes that
 * share a bucket. Each get, put and eviction in that bucket walks the chain. So a chain has a
 * bound, and a put into a full one evicts an entry of it first. */
#ifndef FC_DAEMON_STORE_CHAIN_H
#define FC_DAEMON_STORE_CHAIN_H

#include "daemon/store/store.h"

/* Honest keys hardly ever get there: a full cache of the smallest values has 5 entries a bucket on
 * the average, and then a given bucket has 32 with a probability of 7e-16. At a million puts a
 * second that is one entry evicted too early in decades. A walk over a full chain takes 3 us at
 * worst, and readers look at far more entries (FC_REGION_CHAIN_MAX). */
#define STORE_CHAIN_MAX 32u

/* Is there room for one more entry in the bucket of that digest? */
bool store_chain_has_room(const struct store *store, uint64_t digest);

/* Of a full chain, the entry that goes for another one of `ns`: the least recently used of that
 * namespace, so that its clients harm themselves alone; where it has none there, the least recently
 * used of all. */
struct entry *store_chain_victim(const struct store *store, const struct namespace *ns,
                                 uint64_t digest);

#endif
