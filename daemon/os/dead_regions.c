#include "daemon/os/dead_regions.h"

#include <stdio.h>

#include "daemon/base/parse.h"
#include "proto/shm/region_scan.h"

static bool is_received(const struct fd_store *store, uint64_t inode) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (store->received[i].inode == inode)
      return true;
  return false;
}

void dead_regions_find(const char *root, const struct fd_store *store,
                       struct fc_region_uses *dead) {
  unsigned kept = 0;
  *dead = (struct fc_region_uses){0};
  fc_region_scan(dead, root);
  fc_region_uses_keep_dead(dead, 0);
  for (unsigned i = 0; i < dead->n; i++)
    if (!is_received(store, dead->list[i].inode))
      dead->list[kept++] = dead->list[i];
  dead->n = kept;
}

void dead_regions_describe(const struct fc_region_uses *dead, char text[DEAD_REGIONS_TEXT_SIZE]) {
  char size[FORMAT_SIZE_MAX], pids[128];
  text[0] = '\0';
  if (dead->n == 0)
    return;
  fc_region_uses_pids(dead, pids, sizeof pids);
  (void)snprintf(text, DEAD_REGIONS_TEXT_SIZE,
                 "%u region%s (up to %s) of daemons that exited or belong to another user %s still "
                 "mapped by process %s: freed at that process's next call or exit",
                 dead->n, dead->n == 1 ? "" : "s", format_size(fc_region_uses_bytes(dead), size),
                 dead->n == 1 ? "is" : "are", pids);
}
