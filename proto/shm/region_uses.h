/* region_uses.h - finds the regions that processes map, from the lines of /proc/PID/maps.
 *
 * A region whose daemon has ended stays allocated while a process maps it. Only the daemon's
 * mapping is writable. So a region with readers alone has lost its daemon, or the caller could not
 * read the daemon's maps. The caller reads the files. */
#ifndef FC_PROTO_REGION_USES_H
#define FC_PROTO_REGION_USES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_REGION_MEMFD "fcached-region" /* the name of a region's memory file */
#define FC_REGION_USES_MAX 64u           /* regions; more are left out */
#define FC_REGION_USES_PIDS 4u           /* processes listed for each */
#define FC_REGION_USES_SCAN_MS 250u      /* time limit for the caller */

struct fc_region_use {
  uint64_t inode, bytes; /* bytes: the size of the mapping, not all allocated */
  bool has_daemon;
  unsigned n_pids; /* of all readers; `pids` has the first of them */
  long pids[FC_REGION_USES_PIDS];
};

/* Zero to start. */
struct fc_region_uses {
  struct fc_region_use list[FC_REGION_USES_MAX];
  unsigned n;
};

/* Adds a line of a process's maps. Any line that is not a region's is ignored. The lines of a
 * process must come together. */
void fc_region_uses_add(struct fc_region_uses *uses, long pid, const char *line);

/* Removes the regions with a daemon, and the one with the inode `live_inode` (0: none), whose
 * daemon is known to live. */
void fc_region_uses_keep_dead(struct fc_region_uses *uses, uint64_t live_inode);

/* Returns the sum of their sizes. */
uint64_t fc_region_uses_bytes(const struct fc_region_uses *uses);

/* Writes "12, 34, 56", with ", ..." if there are more or `text` is full. */
void fc_region_uses_pids(const struct fc_region_uses *uses, char *text, size_t size);

#endif
