/* metrics_latency.h - how long requests take, as the Prometheus histogram fcached_latency_seconds
 * with the labels path and operation, the rows of fcachectl latency. Its counters begin anew with
 * each daemon. */
#ifndef FC_CTL_METRICS_LATENCY_H
#define FC_CTL_METRICS_LATENCY_H

#include <stdbool.h>
#include <stdio.h>

#include "proto/wire/message.h"

/* Zero to start, but for `out`. */
struct metrics_latency {
  FILE *out; /* the caller checks it */
  bool has_head;
};

/* Prints the histogram of one kind, and before the first one the lines about the metric. An
 * admin_latency_fn: `arg` is the struct metrics_latency. */
void metrics_latency_print(void *arg, const struct fc_latency_entry *kind);

#endif
