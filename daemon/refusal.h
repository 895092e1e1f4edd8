/* refusal.h - refuses clients if the service manager started a daemon with a wrong configuration.
 *
 * The manager does not start it again by itself, but the next client does, and clients may connect
 * all the time. So a process that would end with SERVER_WRONG_USAGE first refuses clients for a
 * second: it accepts their connections and closes them. They go on without a cache at once, and the
 * manager starts one process a second at most. That is far below the limits beyond which it would
 * give up the socket, so the first start after the correction succeeds. */
#ifndef FC_DAEMON_REFUSAL_H
#define FC_DAEMON_REFUSAL_H

#include "daemon/os/passed_fds.h"

/* From now on, exit(SERVER_WRONG_USAGE), and that status of main, refuse clients first. There is no
 * effect if no listening socket was passed. `passed` stays the caller's. Call once. */
void refusal_prepare(const struct passed_fds *passed);

/* The daemon serves: exits are immediate again. */
void refusal_cancel(void);

#endif
