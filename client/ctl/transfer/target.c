#include "client/ctl/transfer/target.h"

#include <stdio.h>
#include <string.h>

#include "client/ctl/report.h"

static void note(void *arg, const struct fc_namespace_entry *entry) {
  struct target *target = arg;

  target->exists = true;
  target->entries = entry->entries;
  target->max_bytes = entry->max_bytes;
  target->has_manifest = entry->manifest.data != NULL && entry->manifest.size <= FC_MANIFEST_MAX;
  if (target->has_manifest) {
    memcpy(target->manifest, entry->manifest.data, entry->manifest.size);
    target->manifest_size = entry->manifest.size;
  }
}

static void add_evictions(void *arg, const struct fcache_stat *stat) {
  struct target *target = arg;

  if (stat->name_space && strncmp(stat->name, "evictions_", strlen("evictions_")) == 0)
    target->evictions += stat->integer;
}

int target_read(struct admin *admin, const char *name_space, struct target *target) {
  int status;

  *target = (struct target){0};
  status = report_result(admin, admin_namespaces(admin, name_space, 0, note, target));
  if (status == CTL_DONE && target->exists)
    status = report_result(admin, admin_stats(admin, name_space, add_evictions, target));
  return status;
}

struct fc_str target_manifest(const struct target *target) {
  return target->has_manifest ? (struct fc_str){target->manifest, target->manifest_size}
                              : (struct fc_str){0};
}
