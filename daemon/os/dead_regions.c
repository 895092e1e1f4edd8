#include "daemon/os/dead_regions.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/base/parse_size.h"

static uint64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Of one process; one that is gone, or another user's, has none to be seen. */
static void add_process(struct fc_region_uses *uses, const char *root, long pid) {
  char path[PATH_MAX], *line = NULL;
  size_t capacity = 0;
  (void)snprintf(path, sizeof path, "%.4000s/proc/%ld/maps", root, pid); /* fits */
  FILE *maps = fopen(path, "re");
  if (maps == NULL)
    return;
  while (getline(&line, &capacity, maps) > 0)
    fc_region_uses_add(uses, pid, line);
  free(line);
  (void)fclose(maps); /* only read */
}

void dead_regions_find(const char *root, struct fc_region_uses *dead) {
  char path[PATH_MAX];
  uint64_t end_ms = now_ms() + FC_REGION_USES_SCAN_MS;
  *dead = (struct fc_region_uses){0};
  (void)snprintf(path, sizeof path, "%.4000s/proc", root); /* fits */
  DIR *processes = opendir(path);
  if (processes == NULL)
    return;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL && now_ms() < end_ms;) {
    char *end;
    long pid = strtol(entry->d_name, &end, 10);
    if (*end == '\0' && pid > 0)
      add_process(dead, root, pid);
  }
  (void)closedir(processes); /* only read */
  fc_region_uses_keep_dead(dead, 0);
}

void dead_regions_describe(const struct fc_region_uses *dead, char text[DEAD_REGIONS_TEXT_SIZE]) {
  char size[SIZE_TEXT_SIZE], pids[128];
  text[0] = '\0';
  if (dead->n == 0)
    return;
  fc_region_uses_pids(dead, pids, sizeof pids);
  (void)snprintf(
      text, DEAD_REGIONS_TEXT_SIZE,
      "shared memory of daemons that have ended, or are another user's: %u region%s of up to "
      "%s, mapped by process %s: each is freed at those processes' next call, or with "
      "them",
      dead->n, dead->n == 1 ? "" : "s", size_format(fc_region_uses_bytes(dead), size), pids);
}
