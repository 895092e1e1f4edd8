/* dead_regions.h - the memory of daemons that have ended: regions that processes still
 * map, seen at start as far as this user may look into /proc. */
#ifndef FC_DAEMON_DEAD_REGIONS_H
#define FC_DAEMON_DEAD_REGIONS_H

#include "proto/shm/region_uses.h"

#define DEAD_REGIONS_TEXT_SIZE 384

/* Reads /proc/PID/maps of all processes, for FC_REGION_USES_SCAN_MS at most; `root` as in
 * memory_check.h. Before there is a region of our own. */
void dead_regions_find(const char *root, struct fc_region_uses *dead);

/* Says how many there are, how large, whose, and when they go; "" where there are none. */
void dead_regions_describe(const struct fc_region_uses *dead, char text[DEAD_REGIONS_TEXT_SIZE]);

#endif
