/* stats_metric.h - a statistic as a Prometheus metric. Its name follows one rule:
 *
 *   fcached_, then namespace_ for a statistic of one namespace, then the name, in which _s becomes
 *   _seconds, and bytes goes to the end. A size has _bytes, a ratio _ratio and a counter _total at
 *   the end. So `drain_s` is fcached_drain_seconds_total.
 *
 * Statistics that are parts of one amount are one metric with a label: the evictions by cause, the
 * refusals by resource, the memory by part. Any thread. */
#ifndef FC_PROTO_STATS_METRIC_H
#define FC_PROTO_STATS_METRIC_H

#include "proto/stats/stats_table.h"

#define FC_STATS_METRIC_SIZE 96u /* of a metric's name with a NUL */

enum fc_stats_metric_of {
  FC_STATS_OF_DAEMON,
  FC_STATS_OF_NAMESPACE,
  /* The sum over several namespaces, fcached_other_namespaces_... A namespace may join them or
   * leave them, so these are gauges, without _total. */
  FC_STATS_OF_OTHERS,
};

struct fc_stats_metric {
  char name[FC_STATS_METRIC_SIZE];
  bool counter;                         /* else a gauge */
  const char *label;                    /* static; NULL: none */
  char label_value[FC_STATS_NAME_SIZE]; /* "" without a label */
  const char *help;                     /* static, one line */
};

/* Makes the metric of a row. Returns false if there is none: the row has no such place, says which
 * daemon, cache or file it is, is computed from counters that have metrics, or, for
 * FC_STATS_OF_OTHERS, is a maximum, which cannot be added up. */
bool fc_stats_metric(const struct fc_stats_row *row, enum fc_stats_metric_of of,
                     struct fc_stats_metric *metric);

#endif
