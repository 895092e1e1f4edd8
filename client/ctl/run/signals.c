#include "client/ctl/run/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Signals that may be meant for the command. */
static const int forwarded[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

static bool is_ignored(int signal) {
  struct sigaction now;

  return sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int signals_block(struct signals *signals) {
  struct sigaction plain = {.sa_handler = SIG_DFL};   /* if ignored, children leave no status */
  struct sigaction ignored = {.sa_handler = SIG_IGN}; /* then a write fails with EPIPE */
  sigset_t blocked;

  (void)sigemptyset(&blocked); /* these fail only for invalid numbers */
  (void)sigaddset(&blocked, SIGCHLD);
  for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++)
    if (!is_ignored(forwarded[i])) /* if blocked, an ignored signal would be reported too */
      (void)sigaddset(&blocked, forwarded[i]);
  signals->fd = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals->fd < 0)
    return -errno;
  (void)sigprocmask(SIG_BLOCK, &blocked, &signals->before);
  (void)sigaction(SIGCHLD, &plain, &signals->before_child);
  (void)sigaction(SIGPIPE, &ignored, &signals->before_pipe);
  return 0;
}

void signals_restore(struct signals *signals) {
  if (signals->fd < 0)
    return;
  (void)close(signals->fd);
  signals->fd = -1;
  (void)sigaction(SIGCHLD, &signals->before_child, NULL);
  (void)sigaction(SIGPIPE, &signals->before_pipe, NULL);
  (void)sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

int signals_next(struct signals *signals, bool *sent) {
  struct signalfd_siginfo info;

  if (read(signals->fd, &info, sizeof info) != (ssize_t)sizeof info)
    return 0;
  *sent = info.ssi_code <= 0; /* SI_USER, SI_TKILL, SI_QUEUE; the kernel's codes are positive */
  return (int)info.ssi_signo;
}
