#include "client/demo/temp_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int temp_folder_make(char *path, size_t size) {
  const char *parent = getenv("TMPDIR");
  if (!parent || parent[0] != '/')
    parent = "/tmp";
  int n = snprintf(path, size, "%s/fcache-demo.XXXXXX", parent);
  /* 64: the names of the files in it */
  if (n < 0 || (size_t)n + 64 > size || !mkdtemp(path)) {
    fprintf(stderr, "demo: cannot make a folder in %s: %s\n", parent, strerror(errno));
    return -1;
  }
  return 0;
}

void temp_folder_remove(const char *path) {
  DIR *folder = opendir(path);
  const struct dirent *entry;
  while (folder && (entry = readdir(folder)))
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      (void)unlinkat(dirfd(folder), entry->d_name, 0); /* rmdir tells where one stays */
  if (folder)
    (void)closedir(folder); /* only read from */
  if (rmdir(path) != 0)
    fprintf(stderr, "demo: cannot remove %s: %s\n", path, strerror(errno));
}
