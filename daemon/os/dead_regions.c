#include "daemon/os/dead_regions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/parse.h"
#include "proto/shm/region_layout.h"
#include "proto/shm/region_scan.h"

/* Returns the inode that the name of a segment's memory file has (region_uses.h), or 0. */
static uint64_t region_of(int fd) {
  static const char begin[] = "/memfd:" FC_REGION_SEGMENT_MEMFD;
  char path[64], name[128];
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* fits */
  ssize_t size = readlink(path, name, sizeof name - 1);
  if (size < 0)
    return 0;
  name[size] = '\0';
  return strncmp(name, begin, sizeof begin - 1) == 0 ? strtoull(name + sizeof begin - 1, NULL, 10)
                                                     : 0;
}

static bool is_received(const struct fd_store *store, uint64_t region) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (store->received[i].fd >= 0 && region_of(store->received[i].fd) == region)
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
