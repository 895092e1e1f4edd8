/* daemon_user.h - whose daemon is at the other end of a connection. Who can make a socket where a
 * client looks could serve it values of its own choice, so a client talks to daemons of certain
 * users alone: its own, root, the one that $FCACHE_DAEMON_USER names, and, at the system's socket,
 * the one to whom root gave that socket's folder.
 *
 * The kernel tells the user of the process that called listen(2) on the socket: the daemon, or the
 * service manager that made the socket for it. */
#ifndef FC_CLIENT_DAEMON_USER_H
#define FC_CLIENT_DAEMON_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon_user {
  bool is_named; /* by $FCACHE_DAEMON_USER: */
  uid_t named;
  bool
      is_unknown; /* it names none that there is here, and so adds none to those that are trusted */
};

/* Reads $FCACHE_DAEMON_USER: a user's name, or a number; empty is as if it were not set. */
void daemon_user_read(struct daemon_user *user);

/* Is the daemon at the other end of `fd`, which is connected to the socket at `path`, one to talk
 * to? If not, `why` says whose it is, and what to set. */
bool daemon_user_is_trusted(const struct daemon_user *user, int fd, const char *path, char *why,
                            size_t size);

#endif
