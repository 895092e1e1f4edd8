/* daemon_user.h - decides whether the user that runs a daemon is trusted.
 *
 * A user that can create a socket at a path of the client could serve it false values. So a client
 * accepts only daemons of its own user, of root, of the user in $FCACHE_DAEMON_USER, and in the
 * system's directory /run/fcached of the owner of that directory, which only root can set.
 *
 * The kernel reports the user of the process that called listen(2): the daemon, or the service
 * manager that made the socket for it. One thread. */
#ifndef FC_CLIENT_DAEMON_USER_H
#define FC_CLIENT_DAEMON_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon_user {
  bool is_named; /* $FCACHE_DAEMON_USER is set, and its user is known */
  uid_t named;
  bool is_unknown; /* it is set, and its user is unknown: it has no effect */
};

/* Reads $FCACHE_DAEMON_USER, a user's name or number. An empty value counts as not set. */
void daemon_user_read(struct daemon_user *user);

/* Returns whether to trust the daemon at the other end of `fd`, connected to the socket at `path`.
 * If not, writes to `reason` which user runs it and which variable to set. */
bool daemon_user_is_trusted(const struct daemon_user *user, int fd, const char *path, char *reason,
                            size_t size);

#endif
