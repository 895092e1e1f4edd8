#include "client/ctl/run/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/ctl/ctl.h"

/* In the child. `failed_fd` is close-on-exec: only a failure is written to it. */
static void become(char *const argv[], struct signals *signals, int failed_fd) {
  int error;

  signals_give_back(signals);
  (void)execvp(argv[0], argv);
  error = errno;
  (void)!write(failed_fd, &error, sizeof error); /* no other way to say it */
  _exit(127);
}

/* Waits for the child's end. */
static int wait_command(pid_t pid, struct signals *signals) {
  struct pollfd poll_fd = {.fd = signals->fd, .events = POLLIN};
  int signal, status;
  bool sent;

  for (;;) {
    (void)poll(&poll_fd, 1, -1); /* whatever it says, we look */
    while ((signal = signals_next(signals, &sent)) != 0)
      if (signal != SIGCHLD && sent)
        (void)kill(pid, signal); /* not yet waited for: the pid is its own */
    if (waitpid(pid, &status, WNOHANG) == pid)
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

/* The errno of a failed execution, or 0. Ends when the child has executed or died. */
static int exec_error(int fd) {
  ssize_t size;
  int error;

  do
    size = read(fd, &error, sizeof error);
  while (size < 0 && errno == EINTR);
  return size == (ssize_t)sizeof error ? error : 0;
}

int foreground_run(char *const argv[], struct signals *signals, bool *ran) {
  int failed[2], error, status;
  pid_t pid;

  *ran = false;
  if (pipe2(failed, O_CLOEXEC) < 0) {
    (void)ctl_error("run: no pipe: %s", strerror(errno));
    return 126;
  }
  pid = fork();
  if (pid == 0)
    become(argv, signals, failed[1]);
  (void)close(failed[1]);
  error = pid < 0 ? errno : exec_error(failed[0]);
  (void)close(failed[0]);
  if (error)
    (void)ctl_error("run: %s: %s", argv[0], strerror(error));
  if (pid < 0)
    return 126;
  status = wait_command(pid, signals);
  if (error)
    return error == ENOENT ? 127 : 126;
  *ran = true;
  return status;
}
