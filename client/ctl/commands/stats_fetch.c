#include "client/ctl/commands/stats_fetch.h"

#include "client/ctl/commands/name_set.h"
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

static void add_name(void *arg, const struct fc_namespace_entry *entry) {
  (void)name_set_add(arg, entry->name_space);
}

int stats_fetch_report_missing(struct admin *admin, const char *name_space) {
  static struct name_set names;
  int result = admin_namespaces(admin, NULL, NAME_SET_MAX, add_name, &names);
  const char *nearest = name_set_nearest(&names, name_space);

  if (nearest)
    (void)report_error(STATS_NO_NAMESPACE ": did you mean %s?", name_space, nearest);
  else if (result == 0 && names.n == 0)
    (void)report_error(STATS_NO_NAMESPACE ": it has none yet", name_space);
  else
    (void)report_error(STATS_NO_NAMESPACE ": see fcachectl namespaces", name_space);
  name_set_deinit(&names);
  return CTL_FAILED;
}
