/* metrics_stats.h - the statistics of a daemon as Prometheus metrics: those of
 * proto/stats/stats_metric.h, and these:
 *
 *   fcached_up                   1, or 0 if no daemon replied: then it is the only one
 *   fcached_info                 1, with the labels version and cache_id
 *   fcached_namespaces_exported  namespaces that have metrics of their own (metrics_choice.h)
 *   fcached_other_namespaces     the others, whose sums are fcached_other_namespaces_...
 *
 * No label is a prompt hash, a client or another text that grows without a bound. */
#ifndef FC_CTL_METRICS_STATS_H
#define FC_CTL_METRICS_STATS_H

#include <stdio.h>

#include "client/ctl/print/stats_snapshot.h"

/* Print the metrics of the statistics, or that the daemon is down. The caller checks the stream. */
void metrics_print(FILE *out, const struct stats_snapshot *snapshot);
void metrics_print_down(FILE *out);

#endif
