#include "client/ctl/print/stats_survival.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/units.h"

#define N(id) ((unsigned long long)stats_group_integer(group, STATS_NAME(id)))

static const char since_prefix[] = FC_STATS_SINCE_PREFIX;

void stats_survival_cache(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  const char *id = stats_group_text(group, STATS_NAME(cache_id));
  char age[UNITS_SIZE];

  units_seconds(stats_group_real(group, STATS_NAME(cache_age_s)), age);
  snprintf(value, STATS_VALUE_SIZE, "%s old, %llu restart%s%s%s", age, N(restarts),
           units_plural(N(restarts)), id[0] != '\0' ? ", id " : "", id);
}

static void entries_of(unsigned long long taken, unsigned long long dropped,
                       char value[STATS_VALUE_SIZE]) {
  value[0] = '\0';
  if (taken > 0 || dropped > 0)
    snprintf(value, STATS_VALUE_SIZE, "%llu entr%s, %llu dropped", taken, taken == 1 ? "y" : "ies",
             dropped);
}

void stats_survival_adopted(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  entries_of(N(adopted_entries), N(adopt_dropped), value);
}

void stats_survival_restored(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  entries_of(N(restored_entries), N(restore_dropped), value);
}

void stats_survival_migrating(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  char bytes[UNITS_SIZE];

  value[0] = '\0';
  if (N(migrating_bytes) > 0)
    snprintf(value, STATS_VALUE_SIZE, "%s left in earlier regions",
             units_bytes(N(migrating_bytes), bytes));
}

void stats_survival_snapshots(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  value[0] = '\0';
  if (N(snapshots_written) > 0 || N(snapshots_failed) > 0)
    snprintf(value, STATS_VALUE_SIZE, "%llu written, %llu failed", N(snapshots_written),
             N(snapshots_failed));
}

/* The result is of the last attempt, and the rest of the last one that was completed. */
void stats_survival_last(const struct stats_group *group, char value[STATS_VALUE_SIZE]) {
  char age[UNITS_SIZE], time[UNITS_SIZE], bytes[UNITS_SIZE], entries[UNITS_SIZE];
  int used = snprintf(value, STATS_VALUE_SIZE, "%s%s",
                      stats_group_text(group, STATS_NAME(snapshot_result)),
                      N(snapshot_late) > 0 ? ", late" : "");

  if (!stats_group_find(group, STATS_NAME(snapshot_age_s)) || used < 0 ||
      used >= (int)STATS_VALUE_SIZE)
    return;
  snprintf(value + used, STATS_VALUE_SIZE - (size_t)used, "; %s old, %s entries, %s, took %s",
           units_seconds(stats_group_real(group, STATS_NAME(snapshot_age_s)), age),
           units_count(N(snapshot_entries), entries), units_bytes(N(snapshot_bytes), bytes),
           units_seconds(stats_group_real(group, STATS_NAME(snapshot_s)), time));
}

/* ---- since the start ---- */

bool stats_survival_is_since(const struct stats_group *group, const char *name) {
  size_t size = sizeof since_prefix - 1;

  return strncmp(name, since_prefix, size) == 0 && stats_group_find(group, name + size);
}

int stats_survival_since(const struct stats_group *group, struct stats_group *since) {
  *since = (struct stats_group){0};
  if (N(restarts) == 0)
    return 0;
  since->items = calloc(group->n, sizeof *since->items);
  if (!since->items)
    return FCACHE_ENOMEM;
  for (size_t i = 0; i < group->n; i++)
    if (stats_survival_is_since(group, group->items[i].name)) {
      since->items[since->n] = group->items[i];
      since->items[since->n++].name += sizeof since_prefix - 1;
    }
  return 0;
}
