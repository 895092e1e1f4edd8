#include "daemon/os/dead_regions.h"

#include <stdio.h>

#include "daemon/base/parse.h"
#include "proto/shm/region_scan.h"

void dead_regions_find(const char *root, struct fc_region_uses *dead) {
  *dead = (struct fc_region_uses){0};
  fc_region_scan(dead, root);
  fc_region_uses_keep_dead(dead, 0);
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
