#include "client/lib/util/socket_paths.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"

/* Adds `name` in `dir`, or `name` alone if `dir` is "". */
static int add(struct socket_paths *list, const char *dir, const char *name) {
  assert(list->n < SOCKET_PATHS_MAX);
  int size = snprintf(list->paths[list->n], SOCKET_PATH_MAX, "%s%s%s", dir,
                      dir[0] != '\0' ? "/" : "", name);
  if (size <= 0 || (unsigned)size >= SOCKET_PATH_MAX)
    return FC_EINVAL;
  list->n++;
  return 0;
}

/* Adds the explicit path, which came from the option or variable `source`. */
static int add_explicit(struct socket_paths *list, const char *source, const char *path) {
  char directory[PATH_MAX];
  if (path[0] == '\0') {
    (void)snprintf(list->error, sizeof list->error,
                   "%s is empty: give the path of the daemon's socket", source);
    return FC_EINVAL;
  }
  if (path[0] != '/' && getcwd(directory, sizeof directory) != NULL &&
      add(list, directory, path) == 0)
    return 0;
  if (add(list, "", path) == 0)
    return 0;
  (void)snprintf(list->error, sizeof list->error,
                 "%s \"%.64s...\" has %zu bytes: the path of a socket has at most %u", source, path,
                 strlen(path), SOCKET_PATH_MAX - 1u);
  return FC_EINVAL;
}

void socket_paths_default(struct socket_paths *list) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  list->n = 0;
  list->is_explicit = list->from_environment = false;
  list->error[0] = '\0';
  if (runtime != NULL && runtime[0] == '/')
    (void)add(list, runtime, SOCKET_PATHS_NAME); /* too long: no daemon can listen there either */
  (void)add(list, SOCKET_PATHS_SYSTEM_DIR, SOCKET_PATHS_NAME);
}

int socket_paths_find(struct socket_paths *list, const char *path) {
  const char *variable = getenv("FCACHE_SOCKET");
  socket_paths_default(list);
  list->from_environment = path == NULL && variable != NULL && variable[0] != '\0';
  list->is_explicit = path != NULL || list->from_environment;
  if (!list->is_explicit)
    return 0;
  list->n = 0;
  if (path != NULL)
    return add_explicit(list, "the socket option", path);
  return add_explicit(list, "$FCACHE_SOCKET", variable);
}
