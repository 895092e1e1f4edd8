#include "client/ctl/run/temp_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int make_in(const char *parent, char path[FOLDER_PATH_SIZE]) {
  int size;

  if (!parent || parent[0] != '/')
    return -EINVAL;
  size = snprintf(path, FOLDER_PATH_SIZE, "%s/fcached-run-XXXXXX", parent);
  if (size < 0 || (unsigned)size >= FOLDER_PATH_SIZE)
    return -ENAMETOOLONG;
  return mkdtemp(path) ? 0 : -errno;
}

int folder_make(char path[FOLDER_PATH_SIZE]) {
  const char *parents[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
  int result = -ENOENT;

  for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
    result = make_in(parents[i], path);
    if (result == 0)
      return 0;
  }
  path[0] = '\0';
  return result;
}

void folder_remove(char path[FOLDER_PATH_SIZE]) {
  DIR *folder;

  if (path[0] == '\0')
    return;
  folder = opendir(path);
  if (folder) {
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
        (void)unlinkat(dirfd(folder), entry->d_name, 0); /* what stays makes rmdir fail */
    (void)closedir(folder);
  }
  (void)rmdir(path); /* nothing better to do about it */
  path[0] = '\0';
}
