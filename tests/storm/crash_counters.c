#include "crash_counters.h"

#include <stdio.h>
#include <string.h>

/* Without values that also fall, such as `clients`, and without ratios and limits. */
static const char *const names[] = {"connections",
                                    "refused",
                                    "dropped",
                                    "cache_hits",
                                    "cache_misses",
                                    "forward_passes",
                                    "scoring_wall_s",
                                    "hits_socket",
                                    "hits_region",
                                    "hits_unrecorded",
                                    "ring_records",
                                    "drain_s",
                                    "shared_hits",
                                    "saved_wall_s",
                                    "leases_granted",
                                    "leases_abandoned",
                                    "leases_expired",
                                    "coalesced_hits",
                                    "lease_wait_s",
                                    "batches_sent",
                                    "batched_prompts",
                                    "max_batch_size",
                                    "evictions_entries",
                                    "evictions_bytes",
                                    "evictions_own_bytes",
                                    "evictions_forced",
                                    "evictions_chain",
                                    "puts_kept",
                                    "puts_stale",
                                    "puts_too_big",
                                    "restarts",
                                    "adopted_entries",
                                    "adopt_dropped",
                                    "restored_entries",
                                    "restore_dropped",
                                    "snapshots_written",
                                    "clears",
                                    "deletes",
                                    "tier_hits",
                                    "tier_misses",
                                    "tier_bad_values",
                                    "tier_writes",
                                    "tier_writes_kept",
                                    "tier_writes_dropped"};

static bool is_counter(const char *name) {
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], name) == 0)
      return true;
  return false;
}

static struct crash_counter *find(struct crash_counters *counters, const char *space,
                                  const char *name) {
  for (uint32_t i = 0; i < counters->n; i++)
    if (strcmp(counters->list[i].name, name) == 0 && strcmp(counters->list[i].space, space) == 0)
      return &counters->list[i];
  return NULL;
}

static void check_cache(struct crash_counters *counters, const char *id, bool restored) {
  if (strcmp(counters->cache_id, id) == 0)
    return;
  if (counters->cache_id[0] != '\0' && !restored)
    crash_report(counters->board, CRASH_LOST, "the cache %s, in whose place is %s",
                 counters->cache_id, id);
  counters->generation = 0;
  (void)snprintf(counters->cache_id, sizeof counters->cache_id, "%s", id);
}

struct reading {
  struct crash_counters *counters;
  bool restored;
};

static void read_one(void *arg, const struct fcache_stat *stat) {
  struct reading *reading = arg;
  struct crash_counters *counters = reading->counters;
  const char *space = stat->name_space == NULL ? "" : stat->name_space;
  if (strcmp(stat->name, "cache_id") == 0)
    check_cache(counters, stat->text, reading->restored);
  if (!is_counter(stat->name))
    return;
  bool is_real = stat->kind == FCACHE_STAT_SECONDS || stat->kind == FCACHE_STAT_RATIO;
  double value = is_real ? stat->real : (double)stat->integer;
  struct crash_counter *counter = find(counters, space, stat->name);
  counters->read++;
  if (counter == NULL && counters->n < CRASH_COUNTERS) {
    counter = &counters->list[counters->n++];
    (void)snprintf(counter->space, sizeof counter->space, "%s", space);
    (void)snprintf(counter->name, sizeof counter->name, "%s", stat->name);
  } else if (counter == NULL || (value < counter->value && !reading->restored)) {
    crash_report(counters->board, CRASH_FELL, "%s of %s fell to %g from %g", stat->name,
                 *space ? space : "the daemon", value, counter == NULL ? -1 : counter->value);
  }
  if (counter != NULL)
    counter->value = value;
}

bool crash_counters_read(struct crash_counters *counters, struct admin *admin, bool restored) {
  struct reading reading = {counters, restored};
  counters->read = 0;
  if (admin_stats(admin, NULL, read_one, &reading) < 0)
    return false;
  if (counters->read < counters->n)
    crash_report(counters->board, CRASH_FELL, "%u of %u counters are missing",
                 counters->n - counters->read, counters->n);
  return true;
}

uint64_t crash_counters_get(const struct crash_counters *counters, const char *name) {
  for (uint32_t i = 0; i < counters->n; i++)
    if (counters->list[i].space[0] == '\0' && strcmp(counters->list[i].name, name) == 0)
      return (uint64_t)counters->list[i].value;
  return 0;
}

uint64_t crash_counters_evictions(const struct crash_counters *counters) {
  static const char *const kinds[] = {"evictions_entries", "evictions_bytes", "evictions_own_bytes",
                                      "evictions_forced", "evictions_chain"};
  uint64_t sum = 0;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    sum += crash_counters_get(counters, kinds[i]);
  return sum;
}

static void check_at_least(const struct crash_counters *counters, const char *name,
                           uint64_t acked) {
  uint64_t counted = crash_counters_get(counters, name);
  if (counted < acked)
    crash_report(counters->board, CRASH_FELL, "%s is %llu, after %llu that were acknowledged", name,
                 (unsigned long long)counted, (unsigned long long)acked);
}

void crash_counters_check_acked(const struct crash_counters *counters) {
  check_at_least(counters, "forward_passes", atomic_load(&counters->board->life_puts));
  check_at_least(counters, "hits_socket", atomic_load(&counters->board->life_socket_hits));
  check_at_least(counters, "clears", atomic_load(&counters->board->life_clears));
  check_at_least(counters, "deletes", atomic_load(&counters->board->life_deletes));
}
