/* private_daemon.h - a fcached of this process, in a private directory.
 *
 * It runs in a session of its own, so the terminal's signals do not reach it. It inherits no
 * descriptor, so it keeps no pipe open. The kernel sends it SIGTERM when this process dies. Its
 * stderr is printed only if it fails. */
#ifndef FC_CTL_PRIVATE_DAEMON_H
#define FC_CTL_PRIVATE_DAEMON_H

#include <sys/types.h>

#include "client/ctl/run/signals.h"
#include "client/ctl/run/temp_dir.h"

#define PRIVATE_SOCKET_SIZE 108u

struct private_daemon {
  pid_t pid;     /* 0: not running, or reaped */
  int status;    /* of waitpid, once reaped */
  int ready_fd;  /* receives READY=1; -1: none */
  int stderr_fd; /* a memory file; -1: none */
  char directory[TEMP_DIR_PATH_SIZE];
  char socket[PRIVATE_SOCKET_SIZE];
};

struct private_daemon_options {
  const char *max_bytes; /* for --max-bytes; NULL: the default */
  const char *trace;     /* absolute; NULL: off */
};

void private_daemon_init(struct private_daemon *daemon);

/* Starts the daemon and waits, 10 s at most, until it serves. Returns 0; or the number of a signal
 * that came first, by which this process should end; or a negative enum ctl_status after a reported
 * error. Call private_daemon_stop in each case. */
int private_daemon_start(struct private_daemon *daemon,
                         const struct private_daemon_options *options, struct signals *signals);

/* Stops the daemon by SIGTERM, or by SIGKILL after 10 s, and removes the directory. Reports an exit
 * that was not clean. Idempotent. */
void private_daemon_stop(struct private_daemon *daemon);

#endif
