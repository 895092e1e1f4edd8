#include "tests/bench/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* LMDB with a million entries takes 200 MB; the trace of one burst may take as much. */
#define MEMORY_BYTES (UINT64_C(1) << 30)

/* Returns the directory in memory, or NULL: a container may have none, or one of 64 MB. */
static const char *memory_dir(void) {
  static const char path[] = "/dev/shm";
  struct statvfs room;
  if (statvfs(path, &room) != 0 || (uint64_t)room.f_bavail * room.f_frsize < MEMORY_BYTES ||
      access(path, W_OK) != 0)
    return NULL;
  return path;
}

int scratch_make(char path[SCRATCH_PATH_BYTES]) {
  const char *parent = memory_dir();
  if (parent == NULL) {
    parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] != '/' || strlen(parent) > 40)
      parent = "/tmp";
    fprintf(stderr, "bench: /dev/shm has not 1 GiB free: LMDB and traces are in %s\n", parent);
  }
  (void)snprintf(path, SCRATCH_PATH_BYTES, "%s/fcached-bench-XXXXXX", parent); /* 61 at most */
  if (mkdtemp(path) != NULL)
    return 0;
  fprintf(stderr, "bench: cannot make a temporary directory %s: %s\n", path, strerror(errno));
  return -1;
}

void scratch_remove(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL)
    return; /* gone already */
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      (void)unlinkat(dirfd(dir), entry->d_name, 0); /* then rmdir fails */
  }
  (void)closedir(dir); /* only read */
  if (rmdir(path) != 0)
    fprintf(stderr, "bench: cannot remove %s: %s\n", path, strerror(errno));
}
