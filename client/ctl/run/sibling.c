#include "client/ctl/run/sibling.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool sibling_find(const char *name, char path[SIBLING_SIZE]) {
  static const char *const directories[] = {"", "../libexec/fcached/"};
  char self[SIBLING_SIZE];
  ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
  char *slash;

  self[size > 0 ? size : 0] = '\0';
  slash = strrchr(self, '/');
  for (size_t i = 0; slash && i < sizeof directories / sizeof directories[0]; i++) {
    int length =
        snprintf(path, SIBLING_SIZE, "%.*s/%s%s", (int)(slash - self), self, directories[i], name);

    if (length < SIBLING_SIZE && access(path, X_OK) == 0)
      return true;
  }
  path[0] = '\0';
  return false;
}
