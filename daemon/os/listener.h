/* listener.h - the socket that the daemon listens on.
 *
 * It is the first of: the socket that the service manager passes (socket_activation.h), the path of
 * --socket, $XDG_RUNTIME_DIR/fcached.sock, /run/fcached/fcached.sock. For a path, the daemon holds
 * PATH.lock (lock_file.h) as long as it lives: only the holder binds or unlinks PATH. */
#ifndef FC_DAEMON_LISTENER_H
#define FC_DAEMON_LISTENER_H

#include "daemon/base/error_text.h"
#include "daemon/os/passed_fds.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#define LISTEN_DEFAULT_PATH "/run/fcached/fcached.sock"

struct listener {
  int fd;           /* listening, non-blocking, close-on-exec; -1: none. A new owner
                       (uv_pipe_open) sets it to -1. */
  int lock_fd;      /* -1: none */
  bool handed_over; /* passed by the service manager: never unlinked */
  dev_t device;     /* of the bound socket file */
  ino_t inode;      /* 0: nothing is bound */
  char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* for texts, or "" */
};

struct listener_options {
  const char *path; /* NULL: the default places */
  bool has_group;
  gid_t group;               /* of the socket file, whose mode is 0660 */
  int backlog;               /* 0: SOMAXCONN */
  struct passed_fds *passed; /* NULL: none. listener_open takes the socket. */
};

/* Holds nothing yet. */
void listener_init(struct listener *listener);

/* Opens the socket. Returns 0, or an error after which nothing is held:
 * FC_EBUSY      another daemon serves there; the text names the socket and its pid
 * FC_EINVAL     a wrong path or a wrong passed descriptor, or a --socket or --socket-group that
 *               differs from the passed socket
 * FC_EREFUSED   a system call failed
 * Changes the umask for a moment: call while the process has one thread. */
int listener_open(struct listener *listener, const struct listener_options *options,
                  struct error_text *error);

/* Binds the socket again if its file or the lock file was removed or replaced. Returns:
 * 0   nothing to do, or the socket was passed by the service manager
 * 1   listener->fd is a new listening socket; connections and the former socket are unchanged
 * or an error of listener_open: another daemon holds the lock, another file has the socket's name,
 * or a system call failed. Then nothing changed, and a later call may succeed. Changes the umask
 * for a moment: no other thread may create files during the call. */
int listener_restore(struct listener *listener, const struct listener_options *options,
                     struct error_text *error);

/* Closes the socket and removes its file if that is still the bound one, also after `fd` was given
 * to a new owner. The lock stays: no other daemon serves there before listener_close. Idempotent.
 */
void listener_end(struct listener *listener);

/* Calls listener_end and releases the lock. Idempotent. */
void listener_close(struct listener *listener);

#endif
