/* server.h - the daemon as a whole: its loop, listener, signals and parts, from
 * start to the last handle. One thread. */
#ifndef FC_DAEMON_SERVER_H
#define FC_DAEMON_SERVER_H

#include "daemon/options.h"

/* Serves until SIGTERM, SIGINT or a shutdown request; what was accepted by then
 * is answered, the trace is written, the socket removed. Returns the process's
 * exit status: 0 after a clean end; where it could not start (said on stderr) 1, or
 * SERVER_WRONG_USAGE for an option that only turns out wrong here: trying again will not help. */
#define SERVER_WRONG_USAGE 2
int server_run(const struct options *options);

#endif
