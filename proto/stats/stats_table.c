#include "proto/stats/stats_table.h"

#include <string.h>

#define ROW(name, unit, kind, scope, since, help)                                                  \
  {#name, FC_STATS_##unit, FC_STATS_##kind, FC_STATS_SCOPE_##scope, since, help},
const struct fc_stats_row fc_stats_rows[FC_STATS_N_ROWS] = {FC_STATS_ROWS(FC_STATS_NO_GROUP, ROW)};

const struct fc_stats_row *fc_stats_find(const char *name) {
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++)
    if (strcmp(fc_stats_rows[i].name, name) == 0)
      return &fc_stats_rows[i];
  return NULL;
}

const struct fc_stats_row *fc_stats_find_prefixed(const char *name, bool *since_start) {
  static const char prefix[] = FC_STATS_SINCE_PREFIX;
  size_t size = sizeof prefix - 1;
  const struct fc_stats_row *row = fc_stats_find(name);
  *since_start = false;
  if (row != NULL || strncmp(name, prefix, size) != 0)
    return row;
  row = fc_stats_find(name + size);
  *since_start = row != NULL && (row->places & FC_STATS_IN_SINCE) != 0;
  return *since_start ? row : NULL;
}
