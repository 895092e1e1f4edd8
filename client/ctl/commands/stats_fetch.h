/* stats_fetch.h - reads the stats of the daemon, for the commands that use them. */
#ifndef FC_CTL_STATS_FETCH_H
#define FC_CTL_STATS_FETCH_H

#include "client/ctl/command.h"
#include "client/ctl/print/stats_snapshot.h"

/* Adds the stats to an initialised snapshot, which stays the caller's. `name_space` NULL: all.
 * Returns an exit status and reports an error. */
int stats_fetch(struct admin *admin, const char *name_space, struct stats_snapshot *snapshot);

/* Sets *exists. Unlike a hello with its name, the request does not create the namespace. Returns an
 * exit status and reports an error. */
int stats_fetch_namespace(struct admin *admin, const char *name_space, bool *exists);

/* Reports that the namespace does not exist, and the one whose name is near. Returns CTL_FAILED. */
int stats_fetch_report_missing(struct admin *admin, const char *name_space);

/* The text for a namespace that does not exist; the format takes its name. */
#define STATS_NO_NAMESPACE "the daemon has no namespace \"%s\""

#endif
