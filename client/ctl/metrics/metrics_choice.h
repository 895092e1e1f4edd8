/* metrics_choice.h - chooses the namespaces that have metrics of their own: the busiest ones. So
 * the number of time series is bounded, whatever names the workers use. */
#ifndef FC_CTL_METRICS_CHOICE_H
#define FC_CTL_METRICS_CHOICE_H

#include "client/ctl/print/stats_snapshot.h"

#define METRICS_NAMESPACES_MAX 32u

struct metrics_choice {
  const struct stats_group *shown[METRICS_NAMESPACES_MAX]; /* borrowed from the snapshot */
  size_t n_shown, n_others;
};

/* Chooses the namespaces with the most lookups, and among equal ones those with more entries, then
 * the older ones. They are in this order. */
void metrics_choose(const struct stats_snapshot *snapshot, struct metrics_choice *choice);

/* Returns whether a namespace was chosen. */
bool metrics_is_shown(const struct metrics_choice *choice, const struct stats_group *group);

#endif
