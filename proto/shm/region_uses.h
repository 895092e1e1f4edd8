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

/* The names of a region's memory files: of the index, and of a segment, which goes on with
 * "INODE-NUMBER": the inode of the index and the segment's own number. */
#define FC_REGION_MEMFD "fcached-region"
#define FC_REGION_SEGMENT_MEMFD "fcached-segment-"

#define FC_REGION_USES_MAX 64u      /* regions; more are left out */
#define FC_REGION_USES_PIDS 4u      /* processes listed for each */
#define FC_REGION_USES_SCAN_MS 250u /* time limit for the caller */

struct fc_region_use {
  uint64_t inode;    /* of the index */
  uint64_t bytes;    /* of its files that are mapped, not all allocated */
  uint64_t segments; /* bit k: segment k is part of `bytes` */
  bool has_index, has_daemon;
  unsigned n_pids; /* of all readers; `pids` has the first of them */
  long last_pid;
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
