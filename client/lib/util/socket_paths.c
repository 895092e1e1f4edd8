#include "client/lib/util/socket_paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"

/* `dir` "": the name stands alone. */
static int add(struct sockets *sockets, const char *dir, const char *name) {
  int size = snprintf(sockets->paths[sockets->n], SOCKET_PATH_MAX, "%s%s%s", dir,
                      dir[0] != '\0' ? "/" : "", name);
  if (size <= 0 || (unsigned)size >= SOCKET_PATH_MAX)
    return FC_EINVAL;
  sockets->n++;
  return 0;
}

/* The one path that was asked for, by the option or variable `from`. */
static int add_asked(struct sockets *sockets, const char *from, const char *path) {
  char folder[PATH_MAX];
  if (path[0] == '\0') {
    (void)snprintf(sockets->fault, sizeof sockets->fault,
                   "%s is empty: give the path of the daemon's socket", from);
    return FC_EINVAL;
  }
  if (path[0] != '/' && getcwd(folder, sizeof folder) != NULL && add(sockets, folder, path) == 0)
    return 0;
  if (add(sockets, "", path) == 0)
    return 0;
  (void)snprintf(
      sockets->fault, sizeof sockets->fault,
      "%s, \"%.64s...\", has %zu bytes, and a socket's path at most %u: give a shorter one", from,
      path, strlen(path), SOCKET_PATH_MAX - 1u);
  return FC_EINVAL;
}

int sockets_find(struct sockets *sockets, const char *path) {
  sockets->n = 0;
  sockets->fault[0] = '\0';
  if (path != NULL)
    return add_asked(sockets, "the socket that was asked for", path);
  const char *named = getenv("FCACHE_SOCKET");
  if (named != NULL && named[0] != '\0')
    return add_asked(sockets, "$FCACHE_SOCKET", named);
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  if (runtime != NULL && runtime[0] == '/')
    (void)add(sockets, runtime, SOCKETS_NAME); /* too long: nothing can listen there either */
  return add(sockets, SOCKETS_SYSTEM_DIR, SOCKETS_NAME);
}
