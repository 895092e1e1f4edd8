/* dead_regions.h - regions that outlived their daemon because client processes still map them. */
#ifndef FC_DAEMON_DEAD_REGIONS_H
#define FC_DAEMON_DEAD_REGIONS_H

#include "daemon/os/fd_store.h"
#include "proto/shm/region_uses.h"

#define DEAD_REGIONS_TEXT_SIZE 384

/* Finds them by fc_region_scan, except those that the daemon received from the one before. Call
 * before the daemon has a region of its own. */
void dead_regions_find(const char *root, const struct fd_store *store, struct fc_region_uses *dead);

/* Formats their number, size and processes, and when they are freed, or "" if there are none. */
void dead_regions_describe(const struct fc_region_uses *dead, char text[DEAD_REGIONS_TEXT_SIZE]);

#endif
