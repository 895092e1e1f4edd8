#include "client/ctl/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_take(struct signals *signals) {
  struct sigaction plain = {.sa_handler = SIG_DFL}; /* ignored, children would leave no status */
  sigset_t taken;

  (void)sigemptyset(&taken); /* these cannot fail with valid numbers */
  (void)sigaddset(&taken, SIGCHLD);
  (void)sigaddset(&taken, SIGINT);
  (void)sigaddset(&taken, SIGQUIT);
  (void)sigaddset(&taken, SIGTERM);
  (void)sigaddset(&taken, SIGHUP);
  signals->fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals->fd < 0)
    return -errno;
  (void)sigprocmask(SIG_BLOCK, &taken, &signals->before);
  (void)sigaction(SIGCHLD, &plain, &signals->before_child);
  return 0;
}

void signals_give_back(struct signals *signals) {
  if (signals->fd < 0)
    return;
  (void)close(signals->fd);
  signals->fd = -1;
  (void)sigaction(SIGCHLD, &signals->before_child, NULL);
  (void)sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

int signals_next(struct signals *signals, bool *sent) {
  struct signalfd_siginfo info;

  if (read(signals->fd, &info, sizeof info) != (ssize_t)sizeof info)
    return 0;
  *sent = info.ssi_code <= 0; /* SI_USER, SI_TKILL, SI_QUEUE; the kernel's own are positive */
  return (int)info.ssi_signo;
}
