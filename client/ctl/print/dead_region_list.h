/* dead_region_list.h - regions of daemons that have ended, which processes of this machine
 * still map: seen in /proc, as far as this user may look. */
#ifndef FC_CTL_DEAD_REGIONS_H
#define FC_CTL_DEAD_REGIONS_H

#include "client/ctl/print/stats_snapshot.h"

/* Adds dead_regions, dead_regions_bytes and dead_regions_pids to the daemon's figures; nothing
 * where these do not say which region is its own (an older daemon). Reads for
 * FC_REGION_USES_SCAN_MS at most. */
void dead_regions_add(struct figures *figures);

#endif
