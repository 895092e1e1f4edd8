/* socket_paths.h - where the daemon may listen, in the order in which it is looked for. */
#ifndef FC_CLIENT_SOCKETS_H
#define FC_CLIENT_SOCKETS_H

#include <stddef.h>

#define SOCKETS_MAX 2u
#define SOCKET_PATH_MAX 108u /* what an address takes, its NUL included */

/* Of the system's daemon. */
#define SOCKETS_SYSTEM_ABOVE "/run"
#define SOCKETS_SYSTEM_DIR SOCKETS_SYSTEM_ABOVE "/fcached"
#define SOCKETS_NAME "fcached.sock"

struct sockets {
  char paths[SOCKETS_MAX][SOCKET_PATH_MAX];
  size_t n;
  char fault[192]; /* what was wrong with a path that was asked for; else "" */
};

/* `path` alone if not NULL; else $FCACHE_SOCKET alone if set and not empty; else
 * $XDG_RUNTIME_DIR/fcached.sock (where set), then /run/fcached/fcached.sock. A relative path is
 * made absolute (where that fits an address), so that it means the same after chdir. 0, or
 * FC_EINVAL, with `fault` set, where a path that was asked for is empty or too long. */
int sockets_find(struct sockets *sockets, const char *path);

#endif
