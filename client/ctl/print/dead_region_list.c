#include "client/ctl/print/dead_region_list.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/shm/region_uses.h"

static uint64_t now_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Of one process; one that is gone, or another user's, has none to be seen. */
static void add_process(struct fc_region_uses *uses, long pid) {
  char path[64], *line = NULL;
  size_t capacity = 0;
  FILE *maps;

  snprintf(path, sizeof path, "/proc/%ld/maps", pid);
  maps = fopen(path, "re");
  if (!maps)
    return;
  while (getline(&line, &capacity, maps) > 0)
    fc_region_uses_add(uses, pid, line);
  free(line);
  (void)fclose(maps); /* only read */
}

static void add_processes(struct fc_region_uses *uses) {
  DIR *processes = opendir("/proc");
  uint64_t end_ms = now_ms() + FC_REGION_USES_SCAN_MS;

  if (!processes)
    return;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL && now_ms() < end_ms;) {
    char *end;
    long pid = strtol(entry->d_name, &end, 10);

    if (*end == '\0' && pid > 0)
      add_process(uses, pid);
  }
  (void)closedir(processes); /* only read */
}

void dead_regions_add(struct figures *figures) {
  struct fc_region_uses uses = {0};
  char pids[128];
  struct fcache_stat n = {.name = "dead_regions", .kind = FCACHE_STAT_COUNT};
  struct fcache_stat bytes = {.name = "dead_regions_bytes", .kind = FCACHE_STAT_BYTES};
  struct fcache_stat whose = {.name = "dead_regions_pids", .kind = FCACHE_STAT_TEXT};

  if (!figures_find(&figures->daemon, "region_inode"))
    return;
  add_processes(&uses);
  fc_region_uses_keep_dead(&uses, figures_integer(&figures->daemon, "region_inode"));
  fc_region_uses_pids(&uses, pids, sizeof pids);
  n.integer = uses.n;
  bytes.integer = fc_region_uses_bytes(&uses);
  whose.text = pids;
  figures_add(figures, &n);
  figures_add(figures, &bytes);
  figures_add(figures, &whose);
}
