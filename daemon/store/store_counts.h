/* store_counts.h - how many entries may have a view and an op: so a clear that selects nothing is
 * known at once.
 *
 * Of fixed size, whatever clients store: names share counters by their hashes. Where a counter is 0
 * there is no such entry; else there may be one. The hashes have a secret seed, so no client can
 * choose names that share one. No memory is owned; one thread. */
#ifndef FC_DAEMON_STORE_COUNTS_H
#define FC_DAEMON_STORE_COUNTS_H

#include "proto/key.h"

#define STORE_COUNTS 16384u /* a power of two */

struct store_counts {
  uint64_t seed;
  uint32_t counts[STORE_COUNTS];
};

/* `seed` is random, and no client can know it. */
void store_counts_init(struct store_counts *counts, uint64_t seed);

/* An entry of that view and op came into the namespace of that seed (namespace.h), or went. */
void store_counts_add(struct store_counts *counts, uint64_t namespace_seed, struct fc_str view,
                      struct fc_str op);
void store_counts_remove(struct store_counts *counts, uint64_t namespace_seed, struct fc_str view,
                         struct fc_str op);

/* False: no entry has that view and op, in that namespace (0: in any). A name that is none: any. */
bool store_counts_may_have(const struct store_counts *counts, uint64_t namespace_seed,
                           struct fc_str view, struct fc_str op);

#endif
