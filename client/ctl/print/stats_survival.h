/* stats_survival.h - the stats of a cache that outlives its daemon: the values of some rows of
 * stats_text.c, and the counters since the daemon's start. */
#ifndef FC_CTL_STATS_SURVIVAL_H
#define FC_CTL_STATS_SURVIVAL_H

#include "client/ctl/print/stats_snapshot.h"

/* Format the value of a row. "": there is nothing to show. */
void stats_survival_cache(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_survival_adopted(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_survival_restored(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_survival_migrating(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_survival_snapshots(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_survival_last(const struct stats_group *group, char value[STATS_VALUE_SIZE]);

/* Returns whether `name` is a counter since the daemon's start, which has "daemon_" before the name
 * of the counter of the cache. */
bool stats_survival_is_since(const struct stats_group *group, const char *name);

/* Makes a group of the counters since the daemon's start, under the names of those of the cache.
 * Its strings are those of `group`, so free only `since->items`. It is empty if the cache has had
 * no other daemon, as they are all equal then. Returns 0 or FCACHE_ENOMEM. */
int stats_survival_since(const struct stats_group *group, struct stats_group *since);

#endif
