/* socket_activation.h - the listening socket that the service manager passes (sd_listen_fds(3)). */
#ifndef FC_DAEMON_SOCKET_ACTIVATION_H
#define FC_DAEMON_SOCKET_ACTIVATION_H

#include "daemon/base/error_text.h"

/* Reads $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES. *fd becomes the passed socket (non-blocking,
 * close-on-exec, the caller's), or -1 if none was passed to this process. Closes the other passed
 * descriptors. Returns 0; FC_EINVAL if not exactly one of them is a listening Unix stream socket;
 * FC_EREFUSED if it cannot be configured. */
int socket_activation_receive(int *fd, struct error_text *error);

#endif
