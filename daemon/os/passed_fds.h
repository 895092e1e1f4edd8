/* passed_fds.h - the descriptors that the service manager passes (sd_listen_fds(3)): the listening
 * socket, and what the descriptor store kept for this service. Each has a name. */
#ifndef FC_DAEMON_PASSED_FDS_H
#define FC_DAEMON_PASSED_FDS_H

#include "daemon/base/error_text.h"

#include <stdbool.h>

struct passed_fd {
  int fd;           /* close-on-exec; -1: taken by a new owner */
  const char *name; /* "" if it has none */
  bool is_socket;
};

struct passed_fds {
  unsigned n;
  struct passed_fd *list;
  char *names; /* owns the names of the list */
};

/* Reads $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES. The list is empty if they are not for this
 * process or malformed. A number in the list that is no open descriptor has fd -1. Call once,
 * before the process opens a descriptor of its own: the passed numbers are then nothing else.
 * Returns 0, FC_EINVAL if there are too many, or FC_ENOMEM. The list is empty after an error. */
int passed_fds_receive(struct passed_fds *passed, struct error_text *error);

/* Closes the descriptors that nobody took, and frees the list. Idempotent. */
void passed_fds_deinit(struct passed_fds *passed);

#endif
