/* stats_tier.h - the rows of `fcachectl stats` about the tier. Each function formats a value from
 * the daemon's statistics, or "" to leave its row out. */
#ifndef FC_CTL_STATS_TIER_H
#define FC_CTL_STATS_TIER_H

#include "client/ctl/print/stats_snapshot.h"

void stats_tier_servers(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_tier_reads(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_tier_fills(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_tier_now(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_tier_writes(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_tier_queue(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_tier_failures(const struct stats_group *group, char value[STATS_VALUE_SIZE]);
void stats_tier_clears(const struct stats_group *group, char value[STATS_VALUE_SIZE]);

#endif
