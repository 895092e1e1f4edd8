/* stats_text.h - a reading of the stats for people, within RENDER_COLUMNS. */
#ifndef FC_CTL_STATS_TEXT_H
#define FC_CTL_STATS_TEXT_H

#include <stdio.h>

#include "client/ctl/print/stats_snapshot.h"

/* A row for each thing there is to know of the daemon or of one namespace;
 * figures with names that this program does not know come last, as they are. */
void stats_text_group(FILE *out, const struct figure_group *group);

/* A header and a line per namespace. */
void stats_text_namespaces(FILE *out, const struct figures *figures);

/* Both: the daemon's rows, then the namespaces. */
void stats_text_all(FILE *out, const struct figures *figures);

/* For a view that goes on: a header (repeat it now and then), and a line of what
 * happened between two readings, `seconds` apart. */
void stats_text_watch_header(FILE *out);
void stats_text_watch_line(FILE *out, const struct figure_group *before,
                           const struct figure_group *now, double seconds);

#endif
