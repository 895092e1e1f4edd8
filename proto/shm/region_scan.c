#include "proto/shm/region_scan.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void scan_process(struct fc_region_uses *uses, const char *root, long pid) {
  char path[PATH_MAX], *line = NULL;
  size_t capacity = 0;
  (void)snprintf(path, sizeof path, "%.4000s/proc/%ld/maps", root, pid); /* fits */
  FILE *maps = fopen(path, "re");
  if (maps == NULL) /* the process has exited, or is another user's */
    return;
  while (getline(&line, &capacity, maps) > 0)
    fc_region_uses_add(uses, pid, line);
  free(line);
  (void)fclose(maps); /* only read */
}

void fc_region_scan(struct fc_region_uses *uses, const char *root) {
  char path[PATH_MAX];
  uint64_t end_ms = now_ms() + FC_REGION_USES_SCAN_MS;
  (void)snprintf(path, sizeof path, "%.4000s/proc", root); /* fits */
  DIR *processes = opendir(path);
  if (processes == NULL)
    return;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL && now_ms() < end_ms;) {
    char *end;
    long pid = strtol(entry->d_name, &end, 10);
    if (*end == '\0' && pid > 0)
      scan_process(uses, root, pid);
  }
  (void)closedir(processes); /* only read */
}
