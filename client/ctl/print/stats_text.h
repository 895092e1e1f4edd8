/* stats_text.h - prints the stats for people, within the terminal. */
#ifndef FC_CTL_STATS_TEXT_H
#define FC_CTL_STATS_TEXT_H

#include <stdio.h>

#include "client/ctl/print/stats_snapshot.h"

/* Prints the items of the daemon or of one namespace, several in a row where they belong together.
 * Items that this program does not know come last. Counters since the daemon's start come behind,
 * in a table of their own, if the cache has had another daemon. Returns 0 or FCACHE_ENOMEM. */
int stats_text_group(FILE *out, const struct stats_group *group);

/* Prints the daemon's items and a table of the namespaces. Returns 0 or FCACHE_ENOMEM. */
int stats_text_all(FILE *out, const struct stats_snapshot *snapshot);

#endif
