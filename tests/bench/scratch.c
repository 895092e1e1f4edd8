#include "tests/bench/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int scratch_make(char path[SCRATCH_PATH_BYTES]) {
  const char *parent = getenv("TMPDIR");
  if (parent == NULL || parent[0] != '/' || strlen(parent) > 40)
    parent = "/tmp";
  (void)snprintf(path, SCRATCH_PATH_BYTES, "%s/fcached-bench-XXXXXX", parent); /* 61 at most */
  if (mkdtemp(path) != NULL)
    return 0;
  fprintf(stderr, "bench: cannot make a temporary folder %s: %s\n", path, strerror(errno));
  return -1;
}

void scratch_remove(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL)
    return; /* gone already */
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      (void)unlinkat(dirfd(dir), entry->d_name, 0); /* what stays makes the rmdir fail */
  }
  (void)closedir(dir); /* only read */
  if (rmdir(path) != 0)
    fprintf(stderr, "bench: cannot remove %s: %s\n", path, strerror(errno));
}
