/* metrics_read.h - reads the statistics and latencies of a daemon, and prints them as metrics. */
#ifndef FC_CTL_METRICS_READ_H
#define FC_CTL_METRICS_READ_H

#include <stdio.h>

#include "client/lib/admin/admin.h"

/* Prints all metrics. The caller checks the stream. A daemon that is too old for latency has none.
 * After an error nothing was printed. Returns 0, FC_ENOMEM, or a code as admin_stats, with the text
 * in admin_error(). */
int metrics_read(struct admin *admin, FILE *out);

#endif
