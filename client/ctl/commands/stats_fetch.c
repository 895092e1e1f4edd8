#include "client/ctl/commands/stats_fetch.h"

#include "client/ctl/report.h"

int stats_fetch(struct admin *admin, const char *name_space, struct stats_snapshot *snapshot) {
  int status = report_result(admin, admin_stats(admin, name_space, stats_snapshot_add, snapshot));

  if (status == CTL_DONE && snapshot->failed)
    status = report_error("out of memory for the stats");
  return status;
}

int stats_fetch_namespace(struct admin *admin, const char *name_space, bool *exists) {
  struct stats_snapshot snapshot;
  int status;

  stats_snapshot_init(&snapshot);
  status = stats_fetch(admin, name_space, &snapshot);
  *exists = stats_snapshot_namespace(&snapshot, name_space) != NULL;
  stats_snapshot_deinit(&snapshot);
  return status;
}
