#include "client/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"

static int add(struct sockets *sockets, const char *dir, const char *name) {
  char *path = sockets->paths[sockets->n];
  int size = snprintf(path, SOCKET_PATH_MAX, "%s%s", dir, name);
  if (size <= 0 || (unsigned)size >= SOCKET_PATH_MAX)
    return FC_EINVAL;
  sockets->n++;
  return 0;
}

int sockets_find(struct sockets *sockets, const char *path) {
  sockets->n = 0;
  const char *asked = path != NULL ? path : getenv("FCACHE_SOCKET");
  if (path != NULL || (asked != NULL && asked[0] != '\0'))
    return add(sockets, asked, "");
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  if (runtime != NULL && runtime[0] == '/')
    (void)add(sockets, runtime, "/fcached.sock"); /* too long: nothing can listen there either */
  return add(sockets, "/run/fcached/fcached.sock", "");
}
