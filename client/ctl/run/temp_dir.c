#include "client/ctl/run/temp_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int create_in(const char *parent, char path[TEMP_DIR_PATH_SIZE]) {
  int size;

  if (!parent || parent[0] != '/')
    return -EINVAL;
  size = snprintf(path, TEMP_DIR_PATH_SIZE, "%s/fcached-run-XXXXXX", parent);
  if (size < 0 || (unsigned)size >= TEMP_DIR_PATH_SIZE)
    return -ENAMETOOLONG;
  return mkdtemp(path) ? 0 : -errno;
}

int temp_dir_create(char path[TEMP_DIR_PATH_SIZE]) {
  const char *parents[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
  int result = -ENOENT;

  for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
    result = create_in(parents[i], path);
    if (result == 0)
      return 0;
  }
  path[0] = '\0';
  return result;
}

void temp_dir_remove(char path[TEMP_DIR_PATH_SIZE]) {
  DIR *directory;

  if (path[0] == '\0')
    return;
  directory = opendir(path);
  if (directory) {
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
        (void)unlinkat(dirfd(directory), entry->d_name, 0); /* rmdir fails if a file remains */
    (void)closedir(directory);
  }
  (void)rmdir(path); /* a remaining directory is harmless */
  path[0] = '\0';
}
