/* listen.h - the socket that the daemon listens on.
 *
 * In this order: the one that the service manager handed over (LISTEN_PID,
 * LISTEN_FDS), the path that was asked for, $XDG_RUNTIME_DIR/fcached.sock,
 * /run/fcached/fcached.sock. For a path, PATH.lock (lock_file.h) is held for as
 * long as the daemon lives, and only its holder binds or unlinks PATH. */
#ifndef FC_DAEMON_LISTEN_H
#define FC_DAEMON_LISTEN_H

#include "daemon/base/error_text.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#define LISTEN_DEFAULT_PATH "/run/fcached/fcached.sock"

struct listener {
  int fd;           /* listening, non-blocking, close-on-exec; -1: none. Whoever takes it over
                       (uv_pipe_open) sets it to -1. */
  int lock_fd;      /* -1: none */
  bool handed_over; /* by the service manager: never unlinked */
  dev_t device;     /* of the socket file that we bound */
  ino_t inode;
  char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* for texts; "" if unknown */
};

struct listener_options {
  const char *path; /* NULL: the default places */
  bool has_group;
  gid_t group; /* the socket file's group; mode 0660 always */
  int backlog; /* 0: SOMAXCONN */
};

/* Nothing held yet. */
void listener_init(struct listener *listener);

/* Obtains the socket. 0; FC_EBUSY when another daemon serves there ("already running",
 * with the socket and its pid); FC_EINVAL for a path or a handed-over descriptor that
 * cannot be right, and for a path or a group that was asked for where a socket was
 * handed over that has another; FC_EREFUSED for what the system refused. With an error
 * nothing is held. Changes the umask for a moment: call before there are threads. */
int listener_open(struct listener *listener, const struct listener_options *options,
                  struct fault *fault);

/* Makes the socket file again where it, or the lock file, was removed or replaced while the daemon
 * lives. 0: all is as it was, or handed over. 1: listener->fd is a new socket, listening; what is
 * connected, and the former socket, are untouched. An error as from listener_open where another
 * daemon has the lock by now, something else is in the socket's place, or the system refuses; then
 * nothing has changed, and a later call may succeed. Changes the umask for a moment: no other
 * thread may create files meanwhile. */
int listener_restore(struct listener *listener, const struct listener_options *options,
                     struct fault *fault);

/* Closes; removes the socket file if it is still the one that we bound, also when
 * `fd` was taken over. Nobody else can serve there before listener_close. Idempotent. */
void listener_end(struct listener *listener);

/* The same, and lets the lock go. Idempotent. */
void listener_close(struct listener *listener);

#endif
