/* stats_table.h - the statistics of the daemon: name, unit, kind, scope, first version and help of
 * each, from stats_rows.h. Constant. Any thread. */
#ifndef FC_PROTO_STATS_TABLE_H
#define FC_PROTO_STATS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/stats/stats_rows.h"

/* The prefix of a counter since the daemon's start, before the name of the cache's counter. */
#define FC_STATS_SINCE_PREFIX "daemon_"
#define FC_STATS_NAME_SIZE 64u /* with the prefix and a NUL */

/* The unit determines the type of the value in the reply, in brackets. */
enum fc_stats_unit {
  FC_STATS_NONE,    /* a number of things (u64) */
  FC_STATS_BYTES,   /* u64 */
  FC_STATS_SECONDS, /* float */
  FC_STATS_RATIO,   /* 0 to 1, and 0 without a denominator (float) */
  FC_STATS_MEAN,    /* a number of things (float) */
  FC_STATS_TEXT,    /* text */
};

enum fc_stats_kind {
  FC_STATS_COUNTER, /* only grows, over all daemons of the cache */
  FC_STATS_GAUGE,   /* may fall */
  FC_STATS_DERIVED, /* computed from counters that the table has as well */
  FC_STATS_INFO,    /* says which daemon, cache or file it is: nothing to compute with */
};

/* Where a statistic is, as a set of these bits. */
enum fc_stats_place {
  FC_STATS_IN_DAEMON = 1,
  FC_STATS_IN_NAMESPACE = 2,
  FC_STATS_IN_SINCE = 4, /* in the daemon's statistics once more, with FC_STATS_SINCE_PREFIX */
  FC_STATS_IN_TOOL = 8,  /* added to the daemon's statistics by fcachectl, from this machine */
};
enum fc_stats_scope {
  FC_STATS_SCOPE_DAEMON = FC_STATS_IN_DAEMON,
  FC_STATS_SCOPE_NAMESPACE = FC_STATS_IN_NAMESPACE,
  FC_STATS_SCOPE_BOTH = FC_STATS_IN_DAEMON | FC_STATS_IN_NAMESPACE,
  FC_STATS_SCOPE_DAEMON_SINCE = FC_STATS_IN_DAEMON | FC_STATS_IN_SINCE,
  FC_STATS_SCOPE_BOTH_SINCE = FC_STATS_IN_DAEMON | FC_STATS_IN_NAMESPACE | FC_STATS_IN_SINCE,
  FC_STATS_SCOPE_TOOL = FC_STATS_IN_TOOL,
};

/* Indices into fc_stats_rows: FC_STATS_ROW_cache_hits and so on. */
#define FC_STATS_NO_GROUP(title)
#define FC_STATS_ID(name, unit, kind, scope, since, help) FC_STATS_ROW_##name,
enum fc_stats_id { FC_STATS_ROWS(FC_STATS_NO_GROUP, FC_STATS_ID) FC_STATS_N_ROWS };

struct fc_stats_row {
  const char *name;
  enum fc_stats_unit unit;
  enum fc_stats_kind kind;
  unsigned places; /* bits of enum fc_stats_place */
  const char *since, *help;
};
extern const struct fc_stats_row fc_stats_rows[FC_STATS_N_ROWS];

/* Returns the row of a name without the prefix, or NULL. */
const struct fc_stats_row *fc_stats_find(const char *name);

/* Finds the row of a name of the daemon's statistics, which may have the prefix. Sets
 * *since_start if it has. Returns NULL if there is none: the daemon is newer. */
const struct fc_stats_row *fc_stats_find_prefixed(const char *name, bool *since_start);

#endif
