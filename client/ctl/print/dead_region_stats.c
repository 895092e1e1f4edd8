#include "client/ctl/print/dead_region_stats.h"

#include "proto/shm/region_scan.h"

void dead_region_stats_add(struct stats_snapshot *snapshot) {
  struct fc_region_uses uses = {0};
  char pids[128];

  if (!stats_group_find(&snapshot->daemon, "region_inode"))
    return;
  fc_region_scan(&uses, "");
  fc_region_uses_keep_dead(&uses, stats_group_integer(&snapshot->daemon, "region_inode"));
  fc_region_uses_pids(&uses, pids, sizeof pids);
  const struct fcache_stat stats[] = {
      {.name = "dead_regions", .kind = FCACHE_STAT_COUNT, .integer = uses.n},
      {.name = "dead_regions_bytes",
       .kind = FCACHE_STAT_BYTES,
       .integer = fc_region_uses_bytes(&uses)},
      {.name = "dead_regions_pids", .kind = FCACHE_STAT_TEXT, .text = pids},
  };
  for (size_t i = 0; i < sizeof stats / sizeof stats[0]; i++)
    stats_snapshot_add(snapshot, &stats[i]);
}
