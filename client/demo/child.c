#include "client/demo/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_LIMIT_S 120
#define CHILD_GRACE_S 5 /* from SIGTERM to SIGKILL */

void child_die_with(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
    _exit(1); /* the parent has died before it could be watched */
}

static _Noreturn void become(char *const argv[], const char *output, const sigset_t *mask) {
  int file = output ? open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : STDOUT_FILENO;
  if (file >= 0 && dup2(file, STDOUT_FILENO) >= 0 && sigprocmask(SIG_SETMASK, mask, NULL) == 0)
    execv(argv[0], argv);
  fprintf(stderr, "demo: cannot run %s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

/* Waits for the child with the signals blocked that would end this process. */
static int attend(pid_t pid, const sigset_t *watched) {
  struct timespec patience = {.tv_sec = CHILD_LIMIT_S};
  bool interrupted = false, stopped = false;
  int status = 0;
  for (;;) {
    pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid)
      break;
    if (ended < 0 && errno != EINTR)
      return -1;
    int signal = sigtimedwait(watched, NULL, &patience);
    if (signal == SIGCHLD || (signal < 0 && errno == EINTR))
      continue;
    interrupted |= signal > 0;
    if (signal < 0) /* too long: ask it to end, then end it */
      fprintf(stderr, "demo: a command takes too long; stopping it\n");
    (void)kill(pid, stopped && signal < 0 ? SIGKILL : SIGTERM); /* ours and not reaped */
    stopped = true;
    patience.tv_sec = CHILD_GRACE_S;
  }
  if (interrupted)
    return CHILD_INTERRUPTED;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int child_run(char *const argv[], const char *output) {
  sigset_t watched, before;
  pid_t parent = getpid();
  sigemptyset(&watched);
  sigaddset(&watched, SIGINT);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGHUP);
  sigaddset(&watched, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &watched, &before) != 0)
    return -1;
  (void)fflush(stdout); /* what was printed before stands before what the child prints */
  pid_t pid = fork();
  if (pid == 0) {
    child_die_with(parent);
    become(argv, output, &before);
  }
  int r = -1;
  if (pid < 0)
    fprintf(stderr, "demo: cannot fork: %s\n", strerror(errno));
  else
    r = attend(pid, &watched);
  (void)sigprocmask(SIG_SETMASK, &before, NULL); /* cannot fail: the mask is a former one */
  return r;
}
