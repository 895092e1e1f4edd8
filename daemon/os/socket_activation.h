/* socket_activation.h - the listening socket that the service manager passes. */
#ifndef FC_DAEMON_SOCKET_ACTIVATION_H
#define FC_DAEMON_SOCKET_ACTIVATION_H

#include "daemon/base/error_text.h"
#include "daemon/os/passed_fds.h"

/* Takes the listening socket from the passed descriptors. *fd becomes that socket (non-blocking,
 * the caller's), or -1 if no socket was passed. Leaves descriptors of other kinds, such as memory.
 * Returns 0; FC_EINVAL if sockets were passed of which not exactly one is a listening Unix stream
 * socket; FC_EREFUSED if it cannot be configured. */
int socket_activation_receive(struct passed_fds *passed, int *fd, struct error_text *error);

/* Returns the first listening Unix stream socket among the passed descriptors, which stays theirs,
 * or -1. */
int socket_activation_find(const struct passed_fds *passed);

#endif
