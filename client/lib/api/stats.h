/* stats.h - the request for the daemon's statistics. */
#ifndef FC_CLIENT_STATS_H
#define FC_CLIENT_STATS_H

#include "client/lib/conn/connection.h"
#include "fcache.h"
#include "proto/stats/stats_table.h"

/* Returns the kind of a statistic in the public header. */
enum fcache_stat_kind stats_kind_of(const struct fc_stats_row *row);

/* Requests the statistics of one namespace, or of all if `name_space` is empty, and calls `fn` for
 * each value. Returns 0, or a code as request_call. */
int stats_request(struct connection *connection, struct fc_str name_space, fcache_stat_fn *fn,
                  void *arg);

#endif
