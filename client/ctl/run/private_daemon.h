/* private_daemon.h - a fcached of our own, in a private folder.
 *
 * It is in a session of its own (the terminal's signals are not for it), has no
 * descriptor of ours (nobody waits for a pipe's end because of it), and gets
 * SIGTERM from the kernel when this process dies, however that dies. What it says
 * is kept, and told only where it fails. */
#ifndef FC_CTL_PRIVATE_DAEMON_H
#define FC_CTL_PRIVATE_DAEMON_H

#include <sys/types.h>

#include "client/ctl/run/signals.h"
#include "client/ctl/run/temp_dir.h"

#define PRIVATE_SOCKET_SIZE 108u

struct private_daemon {
  pid_t pid;             /* 0: not running, or its end was seen */
  int status;            /* of waitpid, once its end was seen */
  int ready_fd, said_fd; /* where it says that it serves; what it wrote. -1: none */
  char folder[FOLDER_PATH_SIZE];
  char socket[PRIVATE_SOCKET_SIZE];
};

struct private_daemon_options {
  const char *max_bytes; /* as fcached takes it; NULL: its default */
  const char *trace;     /* absolute; NULL: off */
};

void private_daemon_init(struct private_daemon *daemon);

/* Starts it and waits until it serves: 10 s at most. 0; the signal (positive) that
 * came in before that, for this process to end by; or a negative exit status of
 * enum ctl_status, the failure having been told. Stop it in any case. */
int private_daemon_start(struct private_daemon *daemon,
                         const struct private_daemon_options *options, struct signals *signals);

/* Ends it (SIGTERM, after 10 s SIGKILL), removes the folder. Tells of an end that was
 * not clean. Idempotent. */
void private_daemon_stop(struct private_daemon *daemon);

#endif
