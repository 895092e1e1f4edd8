/* server.h - the daemon: starts its parts, runs the event loop, stops the parts in order. One
 * thread. */
#ifndef FC_DAEMON_SERVER_H
#define FC_DAEMON_SERVER_H

#include "daemon/config/config.h"
#include "daemon/os/passed_fds.h"

/* The exit status for an option that is only found wrong at start: a restart will not help. */
#define SERVER_WRONG_USAGE 2

/* `config` was loaded from the command line. The server changes it when it reloads the files; the
 * caller deinits it. Takes the socket and the memory out of `passed`, and closes the rest. Serves
 * until SIGTERM, SIGINT or a shutdown request. Then it answers the accepted requests, writes the
 * trace and removes the socket. Returns the process's exit status: 0 after a clean stop; 1 or
 * SERVER_WRONG_USAGE if it could not start, with the reason on stderr. */
int server_run(struct config *config, const struct command_line *command_line,
               struct passed_fds *passed);

#endif
