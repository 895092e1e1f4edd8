#include "client/ctl/run/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* What may be meant for the command that we wait for. */
static const int passed_on[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

static bool is_ignored(int signal) {
  struct sigaction now;

  return sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int signals_take(struct signals *signals) {
  struct sigaction plain = {.sa_handler = SIG_DFL};   /* ignored, children would leave no status */
  struct sigaction ignored = {.sa_handler = SIG_IGN}; /* then a write says EPIPE */
  sigset_t taken;

  (void)sigemptyset(&taken); /* these cannot fail with valid numbers */
  (void)sigaddset(&taken, SIGCHLD);
  for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
    if (!is_ignored(passed_on[i])) /* blocked, an ignored one would come all the same */
      (void)sigaddset(&taken, passed_on[i]);
  signals->fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals->fd < 0)
    return -errno;
  (void)sigprocmask(SIG_BLOCK, &taken, &signals->before);
  (void)sigaction(SIGCHLD, &plain, &signals->before_child);
  (void)sigaction(SIGPIPE, &ignored, &signals->before_pipe);
  return 0;
}

void signals_give_back(struct signals *signals) {
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
  *sent = info.ssi_code <= 0; /* SI_USER, SI_TKILL, SI_QUEUE; the kernel's own are positive */
  return (int)info.ssi_signo;
}
