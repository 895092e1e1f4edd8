#include "daemon/store/counters.h"

#include "proto/wall.h"

void counters_hit(struct counters *const *sets, size_t n_sets, uint64_t wall_ns, uint64_t saved_ns,
                  bool shared) {
  for (size_t i = 0; i < n_sets; i++) {
    struct counters *set = sets[i];
    if (set == NULL)
      continue;
    set->hits++;
    fc_sum_add(&set->scoring_wall_ns, wall_ns);
    fc_sum_add(&set->saved_wall_ns, saved_ns);
    set->shared_hits += shared ? 1 : 0;
  }
}

void counters_miss(struct counters *const *sets, size_t n_sets, uint64_t n, uint64_t compute_ns) {
  for (size_t i = 0; i < n_sets; i++) {
    struct counters *set = sets[i];
    if (set == NULL)
      continue;
    set->misses += n;
    set->forward_passes += n;
    fc_sum_add(&set->scoring_wall_ns, compute_ns);
  }
}

void counters_batch(struct counters *const *sets, size_t n_sets, uint64_t n, uint64_t size,
                    bool first) {
  for (size_t i = 0; i < n_sets; i++) {
    struct counters *set = sets[i];
    if (set == NULL)
      continue;
    set->batches_sent += first ? 1 : 0;
    set->batched_prompts += n;
    if (set->max_batch_size < size)
      set->max_batch_size = size;
  }
}

bool counters_are_zero(const struct counters *counters) {
  return counters->hits == 0 && counters->misses == 0 && counters->forward_passes == 0 &&
         counters->batches_sent == 0 && counters->leases_granted == 0;
}
