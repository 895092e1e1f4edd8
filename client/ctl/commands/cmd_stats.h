/* cmd_stats.h - reading the stats, for the commands that show them. */
#ifndef FC_CTL_STATS_H
#define FC_CTL_STATS_H

#include "client/ctl/ctl.h"
#include "client/ctl/print/stats_snapshot.h"

/* Adds one reading to `figures`, which was initialised and stays the caller's.
 * CTL_DONE, or the status of a failure that was told. `name_space` NULL: all. */
int stats_read(struct admin *admin, const char *name_space, struct figures *figures);

/* Has the daemon that namespace? Unlike a hello with its name, asking does not make it.
 * CTL_DONE, or the status of a failure that was told. */
int stats_has_namespace(struct admin *admin, const char *name_space, bool *has);

/* How every command says that it has not; the format takes the name. */
#define STATS_NO_NAMESPACE "the daemon has no namespace \"%s\""

#endif
