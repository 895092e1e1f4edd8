/* counters.h - what lookups did, counted at once for everybody who is charged:
 * a namespace and the daemon each keep one set.
 *
 * `sets` are `n_sets` borrowed pointers; a NULL among them is passed over. Zero
 * a set to start. A sum of times stays at its maximum instead of wrapping. One thread. */
#ifndef FC_DAEMON_COUNTERS_H
#define FC_DAEMON_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counters {
  uint64_t hits;
  uint64_t misses;
  uint64_t forward_passes;
  uint64_t scoring_wall_ns; /* lookups that hit, and computes: what client_time charged */
  uint64_t batches_sent;
  uint64_t batched_prompts;
  uint64_t max_batch_size;
  uint64_t shared_hits;   /* hits on entries that another process put */
  uint64_t saved_wall_ns; /* compute time that hits did not spend again */
  uint64_t leases_granted;
  uint64_t
      leases_abandoned; /* given up, their owner failed or went away, or their key was cleared */
  uint64_t leases_expired;
  uint64_t coalesced_hits; /* hits that ended a wait for another connection's computation */
  uint64_t lease_wait_ns;  /* of all waits that are over, whatever their end; waits of one client
                              that overlap count once */
};

/* One hit: the lookup took `wall_ns`, computing the value once took `saved_ns`,
 * and `shared` says that another process put it. */
void counters_hit(struct counters *const *sets, size_t n_sets, uint64_t wall_ns, uint64_t saved_ns,
                  bool shared);

/* `n` misses, each of them a forward pass; all together took `compute_ns`. */
void counters_miss(struct counters *const *sets, size_t n_sets, uint64_t n, uint64_t compute_ns);

/* `n` more prompts of a batch that was computed, of which there are `size` by now; `first`: they
 * are its first. Its misses are charged apart. */
void counters_batch(struct counters *const *sets, size_t n_sets, uint64_t n, uint64_t size,
                    bool first);

/* True where nothing was ever counted. */
bool counters_are_zero(const struct counters *counters);

#endif
