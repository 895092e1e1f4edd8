/* stats_snapshot.h - one reading of a daemon's stats. Owns its strings.
 *
 * The daemon may be older or newer than this program: a missing item reads as 0, and an unknown
 * item is kept like the others. */
#ifndef FC_CTL_STATS_SNAPSHOT_H
#define FC_CTL_STATS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fcache.h"
#include "proto/stats/stats_table.h"

#define STATS_VALUE_SIZE 1024u /* of a value in the text, with its NUL */

/* The name of a statistic. One that stats_rows.h lacks does not compile. */
#define STATS_NAME(id) (fc_stats_rows[FC_STATS_ROW_##id].name)

struct stats_item {
  char *name;
  enum fcache_stat_kind kind;
  uint64_t integer; /* COUNT, BYTES */
  double real;      /* SECONDS, RATIO */
  char *text;       /* TEXT, else NULL */
};

struct stats_group {
  char *name_space; /* NULL: the whole daemon */
  struct stats_item *items;
  size_t n, capacity;
};

struct stats_snapshot {
  struct stats_group daemon;
  struct stats_group *namespaces;
  size_t n, capacity;
  bool failed; /* out of memory: items are missing */
};

void stats_snapshot_init(struct stats_snapshot *snapshot);
void stats_snapshot_deinit(struct stats_snapshot *snapshot); /* idempotent */

/* Adds a copy of one item to its group. `arg` is the struct stats_snapshot. The items of a
 * namespace are adjacent. An fcache_stat_fn. */
void stats_snapshot_add(void *arg, const struct fcache_stat *stat);

/* Return NULL if there is none. */
const struct stats_group *stats_snapshot_namespace(const struct stats_snapshot *snapshot,
                                                   const char *name_space);
const struct stats_item *stats_group_find(const struct stats_group *group, const char *name);

/* Return 0 if there is no such item, or one of another kind. */
uint64_t stats_group_integer(const struct stats_group *group, const char *name);
double stats_group_real(const struct stats_group *group, const char *name);

/* Returns "" if there is none. Valid as long as `group`. */
const char *stats_group_text(const struct stats_group *group, const char *name);

#endif
