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
  int ready_fd;  /* receives READY=1, or -1 */
  int stderr_fd; /* a memory file, or -1 */
  char directory[TEMP_DIR_PATH_SIZE];
  char socket[PRIVATE_SOCKET_SIZE];
};

struct private_daemon_options {
  const char *max_bytes; /* for --max-bytes, or NULL */
  const char *trace;     /* absolute, or NULL */
};

void private_daemon_init(struct private_daemon *daemon);

/* Starts the daemon and waits, 10 s at most, until it serves. Returns 0, a negative
 * enum ctl_status after a reported error, or the number of a signal that came first: this process
 * should end by it. Call private_daemon_stop in each case. */
int private_daemon_start(struct private_daemon *daemon,
                         const struct private_daemon_options *options, struct signals *signals);

/* Stops the daemon by SIGTERM, or by SIGKILL after 10 s, and removes the directory. Reports an exit
 * that was not clean. Idempotent. */
void private_daemon_stop(struct private_daemon *daemon);

#endif
