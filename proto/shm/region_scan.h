/* region_scan.h - finds the regions that the processes of this machine map. */
#ifndef FC_PROTO_REGION_SCAN_H
#define FC_PROTO_REGION_SCAN_H

#include "proto/shm/region_uses.h"

/* Adds the regions in ROOT/proc/PID/maps of every process to *uses; `root` is "" for the real
 * /proc. Processes of other users are skipped where their maps cannot be read. Stops after
 * FC_REGION_USES_SCAN_MS. */
void fc_region_scan(struct fc_region_uses *uses, const char *root);

#endif
