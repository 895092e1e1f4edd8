/* tier_watch.h - the lines of fcachectl tier --watch: what the tier did between two readings. */
#ifndef FC_CTL_TIER_WATCH_H
#define FC_CTL_TIER_WATCH_H

#include <stdio.h>

#include "client/ctl/print/tier_reading.h"

void tier_watch_print_header(FILE *out);

/* Prints the line for the `seconds` between two readings. A counter that fell is that of another
 * daemon: its rate is "-". */
void tier_watch_print_line(FILE *out, const struct tier_reading *before,
                           const struct tier_reading *now, double seconds);

#endif
