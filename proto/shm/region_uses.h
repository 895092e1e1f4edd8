/* region_uses.h - which processes map which regions, by the lines of /proc/PID/maps.
 *
 * A region whose daemon has ended stays allocated as long as a process maps it. The
 * daemon's own mapping is writable, and no other can be: so a region that is mapped
 * by readers alone has lost its daemon, or the daemon's maps could not be read. Only
 * lines are judged here; the caller reads the files. */
#ifndef FC_PROTO_REGION_USES_H
#define FC_PROTO_REGION_USES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_REGION_MEMFD "fcached-region" /* the name of a region's memory file */
#define FC_REGION_USES_MAX 64u           /* regions that are told apart; more are left out */
#define FC_REGION_USES_PIDS 4u           /* processes that are kept of each */
#define FC_REGION_USES_SCAN_MS 250u      /* how long a caller reads at most */

struct fc_region_use {
  uint64_t inode, bytes; /* bytes: what it may take; memory is given as entries come */
  bool has_daemon;
  unsigned n_pids; /* of the readers; FC_REGION_USES_PIDS of them are in `pids` */
  long pids[FC_REGION_USES_PIDS];
};

/* Zero to start. */
struct fc_region_uses {
  struct fc_region_use list[FC_REGION_USES_MAX];
  unsigned n;
};

/* Takes a line of the process's maps; one that is no region's, or makes no sense, changes
 * nothing. The lines of a process come together. */
void fc_region_uses_add(struct fc_region_uses *uses, long pid, const char *line);

/* Leaves those that have no daemon: not the one of that inode either, which is known to live (0:
 * there is none). */
void fc_region_uses_keep_dead(struct fc_region_uses *uses, uint64_t live_inode);

/* What they may take together. */
uint64_t fc_region_uses_bytes(const struct fc_region_uses *uses);

/* "12, 34, 56", with ", ..." where there are more, or no room for them. */
void fc_region_uses_pids(const struct fc_region_uses *uses, char *text, size_t size);

#endif
