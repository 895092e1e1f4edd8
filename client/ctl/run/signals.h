/* signals.h - signals as events, for a process that waits on behalf of another. */
#ifndef FC_CTL_SIGNALS_H
#define FC_CTL_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct signals {
  int fd;                                     /* readable when a signal has come; -1: none */
  sigset_t before;                            /* the mask to give back */
  struct sigaction before_child, before_pipe; /* SIGCHLD's and SIGPIPE's dispositions, likewise */
};

/* From now on SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are
 * taken with signals_next. One that was ignored before (nohup) stays so, SIGCHLD
 * apart. SIGPIPE is ignored: what is still to be done does not depend on a reader
 * of our output. 0 or a negative errno. */
int signals_take(struct signals *signals);

/* Gives them back, also in a child before it executes a program. Idempotent. */
void signals_give_back(struct signals *signals);

/* The next signal that has come, or 0. *sent: a process sent it, to us; else the
 * terminal did, to all of its foreground group. */
int signals_next(struct signals *signals, bool *sent);

#endif
