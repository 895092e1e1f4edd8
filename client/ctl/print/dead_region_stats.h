/* dead_region_stats.h - adds dead regions to the stats: regions of daemons that have exited, which
 * processes of this machine still map. */
#ifndef FC_CTL_DEAD_REGION_STATS_H
#define FC_CTL_DEAD_REGION_STATS_H

#include "client/ctl/print/stats_snapshot.h"

/* Adds dead_regions, dead_regions_bytes and dead_regions_pids to the daemon's items, by
 * fc_region_scan. No effect if the items lack the daemon's own region (an older daemon). */
void dead_region_stats_add(struct stats_snapshot *snapshot);

#endif
