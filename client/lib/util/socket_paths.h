/* socket_paths.h - the socket paths at which a client looks for the daemon, in order. */
#ifndef FC_CLIENT_SOCKET_PATHS_H
#define FC_CLIENT_SOCKET_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#define SOCKET_PATHS_MAX 2u
#define SOCKET_PATH_MAX 108u /* bytes of an address, its NUL included */

/* The socket of the system's daemon. */
#define SOCKET_PATHS_SYSTEM_PARENT "/run"
#define SOCKET_PATHS_SYSTEM_DIR SOCKET_PATHS_SYSTEM_PARENT "/fcached"
#define SOCKET_PATHS_NAME "fcached.sock"

struct socket_paths {
  char paths[SOCKET_PATHS_MAX][SOCKET_PATH_MAX];
  size_t n;
  bool is_explicit;      /* one path, from the option or $FCACHE_SOCKET */
  bool from_environment; /* from $FCACHE_SOCKET */
  char error[192];       /* why socket_paths_find failed, else "" */
};

/* Lists `path` alone if it is not NULL, else $FCACHE_SOCKET alone if it is set and not empty, else
 * $XDG_RUNTIME_DIR/fcached.sock (if that is absolute) and /run/fcached/fcached.sock. Makes a
 * relative path absolute if the result fits an address, so that chdir does not change its meaning.
 * Returns 0, or FC_EINVAL with `error` if the explicit path is empty or too long. */
int socket_paths_find(struct socket_paths *list, const char *path);

/* Lists the paths that socket_paths_find lists without an explicit one. */
void socket_paths_default(struct socket_paths *list);

#endif
