#include "client/ctl/commands/stats_fetch.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/report.h"
#include "proto/nearest.h"

#define NAMES_MAX 1024u /* among which a near one is searched */

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

struct names {
  const char *names[NAMES_MAX]; /* each is owned */
  size_t n;
};

static void add_name(void *arg, const struct fc_namespace_entry *entry) {
  struct names *names = arg;
  char *name =
      names->n < NAMES_MAX ? strndup(entry->name_space.data, entry->name_space.size) : NULL;

  if (name) /* without memory, the name is not suggested */
    names->names[names->n++] = name;
}

int stats_fetch_report_missing(struct admin *admin, const char *name_space) {
  struct names names = {.n = 0};
  int result = admin_namespaces(admin, NULL, NAMES_MAX, add_name, &names);
  const char *nearest = fc_nearest(name_space, names.names, names.n);

  if (nearest)
    (void)report_error(STATS_NO_NAMESPACE ": did you mean %s?", name_space, nearest);
  else if (result == 0 && names.n == 0)
    (void)report_error(STATS_NO_NAMESPACE ": it has none yet", name_space);
  else
    (void)report_error(STATS_NO_NAMESPACE ": see fcachectl namespaces", name_space);
  for (size_t i = 0; i < names.n; i++)
    free((char *)(uintptr_t)names.names[i]);
  return CTL_FAILED;
}
