/* stats_metric.h - the name of a statistic as a Prometheus metric, by one rule:
 *
 *   fcached_, then namespace_ for a statistic of a namespace, then the name, in which _s becomes
 *   _seconds, and bytes goes to the end. A size has _bytes, a ratio _ratio and a counter _total at
 *   the end. So `drain_s` is fcached_drain_seconds_total.
 *
 * Statistics that are parts of one amount are one metric with a label: the evictions by cause, the
 * refusals by resource, the memory by part. Any thread. */
#ifndef FC_PROTO_STATS_METRIC_H
#define FC_PROTO_STATS_METRIC_H

#include "proto/stats/stats_table.h"

#define FC_STATS_METRIC_SIZE 96u /* of a metric's name with a NUL */

struct fc_stats_metric {
  char name[FC_STATS_METRIC_SIZE];
  const char *label;                    /* static; NULL: none */
  char label_value[FC_STATS_NAME_SIZE]; /* "" without a label */
};

/* Makes the name of a row's metric. Returns false if there is none: the row says which daemon,
 * cache or file it is, or is computed from counters that have metrics. */
bool fc_stats_metric(const struct fc_stats_row *row, bool of_namespace,
                     struct fc_stats_metric *metric);

#endif
