/* signals.h - signals as events, for a process that waits for a child. */
#ifndef FC_CTL_SIGNALS_H
#define FC_CTL_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct signals {
  int fd;                                     /* readable once a signal is pending, or -1 */
  sigset_t before;                            /* the former mask */
  struct sigaction before_child, before_pipe; /* the former SIGCHLD and SIGPIPE */
};

/* Blocks SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2: signals_next returns them.
 * A signal that was ignored (nohup) stays ignored, SIGCHLD apart. Ignores SIGPIPE, because the rest
 * of the work does not depend on a reader of the output. Returns 0 or a negative errno. */
int signals_block(struct signals *signals);

/* Restores the mask and the dispositions, also in a child before it executes a program.
 * Idempotent. */
void signals_restore(struct signals *signals);

/* Returns the next pending signal, or 0. *sent: a process sent it to this one; else the terminal
 * sent it to its whole foreground process group. */
int signals_next(struct signals *signals, bool *sent);

#endif
