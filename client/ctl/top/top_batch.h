/* top_batch.h - fcachectl top without a terminal: a block of text, or a line of JSON, for each
 * reading. */
#ifndef FC_CTL_TOP_BATCH_H
#define FC_CTL_TOP_BATCH_H

#include <stdio.h>
#include <time.h>

#include "client/ctl/top/top_text.h"

/* Prints a block: the time, the lines of a screen with all rows, and an empty line. Returns false
 * if out of memory. */
bool top_batch_print_text(FILE *out, const struct top_view *view, time_t now);

/* Prints one line: {"time": ..., "by": ..., "interval_s": ..., "daemon": {...}, "rows": [...]}.
 * Each row has its counts and, after the first reading, their growth in that interval. Returns
 * false if out of memory. */
bool top_batch_print_json(FILE *out, const struct top_model *model, time_t now);

#endif
