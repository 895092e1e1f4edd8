/* counters.h - counts lookups. A namespace and the daemon have a set each.
 *
 * `sets` are `n_sets` borrowed pointers, and NULL pointers among them are skipped. A zeroed set is
 * empty. Sums of times saturate at UINT64_MAX. One thread. */
#ifndef FC_DAEMON_COUNTERS_H
#define FC_DAEMON_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counters {
  uint64_t hits;
  uint64_t misses;
  uint64_t forward_passes;
  uint64_t scoring_wall_ns; /* of hits and computations, as client_time charged them */
  uint64_t batches_sent;
  uint64_t batched_prompts;
  uint64_t max_batch_size;
  uint64_t shared_hits;   /* hits on entries that another process put */
  uint64_t saved_wall_ns; /* compute time of the entries that were hit */
  uint64_t leases_granted;
  uint64_t
      leases_abandoned; /* given up, or their owner failed or ended, or their key was cleared */
  uint64_t leases_expired;
  uint64_t coalesced_hits; /* hits that ended a wait for another connection's lease */
  uint64_t lease_wait_ns;  /* of all waits that ended, with or without a hit; overlapping waits of
                              one client count once */
};

/* Counts one hit. The lookup took `wall_ns`, the value's computation took `saved_ns`, and `shared`
 * is set if another process put it. */
void counters_hit(struct counters *const *sets, size_t n_sets, uint64_t wall_ns, uint64_t saved_ns,
                  bool shared);

/* Counts `n` misses with a forward pass each, whose computations took `compute_ns` together. */
void counters_miss(struct counters *const *sets, size_t n_sets, uint64_t n, uint64_t compute_ns);

/* Counts `n` more prompts of a computed batch, which has `size` prompts so far. `first` is set for
 * its first ones. Its misses are counted by counters_miss. */
void counters_batch(struct counters *const *sets, size_t n_sets, uint64_t n, uint64_t size,
                    bool first);

/* Returns true if nothing was counted. */
bool counters_are_zero(const struct counters *counters);

#endif
