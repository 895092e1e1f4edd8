/* stats_watch.h - the lines of fcachectl stats --watch. */
#ifndef FC_CTL_STATS_WATCH_H
#define FC_CTL_STATS_WATCH_H

#include <stdio.h>

#include "client/ctl/print/stats_snapshot.h"

void stats_watch_print_header(FILE *out);

/* Prints the rates between two readings, `seconds` apart. A rate is "-" if a counter fell. */
void stats_watch_print_line(FILE *out, const struct stats_group *before,
                            const struct stats_group *now, double seconds);

#endif
