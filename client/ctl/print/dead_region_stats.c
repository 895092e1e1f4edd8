#include "client/ctl/print/dead_region_stats.h"

#include "client/lib/api/stats.h"
#include "proto/shm/region_scan.h"

static void add(struct stats_snapshot *snapshot, struct fcache_stat *stat, enum fc_stats_id id) {
  stat->name = fc_stats_rows[id].name;
  stat->kind = stats_kind_of(&fc_stats_rows[id]);
  stats_snapshot_add(snapshot, stat);
}

void dead_region_stats_add(struct stats_snapshot *snapshot) {
  struct fc_region_uses uses = {0};
  char pids[128];

  if (!stats_group_find(&snapshot->daemon, STATS_NAME(region_inode)))
    return;
  fc_region_scan(&uses, "");
  fc_region_uses_keep_dead(&uses, stats_group_integer(&snapshot->daemon, STATS_NAME(region_inode)));
  fc_region_uses_pids(&uses, pids, sizeof pids);
  add(snapshot, &(struct fcache_stat){.integer = uses.n}, FC_STATS_ROW_dead_regions);
  add(snapshot, &(struct fcache_stat){.integer = fc_region_uses_bytes(&uses)},
      FC_STATS_ROW_dead_regions_bytes);
  add(snapshot, &(struct fcache_stat){.text = pids}, FC_STATS_ROW_dead_regions_pids);
}
