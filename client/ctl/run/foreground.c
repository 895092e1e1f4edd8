#include "client/ctl/run/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/ctl/report.h"

/* Executes the command in the child. `failed_fd` is close-on-exec: only a failure writes to it. */
static void exec_command(char *const argv[], struct signals *signals, int failed_fd) {
  int error;

  signals_restore(signals);
  (void)execvp(argv[0], argv);
  error = errno;
  (void)!write(failed_fd, &error, sizeof error); /* the parent then sees an exit status of 127 */
  _exit(127);
}

/* Waits until the child ends. Returns its exit status. */
static int wait_command(pid_t pid, struct signals *signals) {
  struct pollfd poll_fd = {.fd = signals->fd, .events = POLLIN};
  int signal, status;
  bool sent;

  for (;;) {
    (void)poll(&poll_fd, 1, -1); /* any result: check the signals and the child */
    while ((signal = signals_next(signals, &sent)) != 0)
      if (signal != SIGCHLD && sent)
        (void)kill(pid, signal); /* not reaped yet, so the pid is still the child's */
    if (waitpid(pid, &status, WNOHANG) == pid)
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

/* Waits until the child has executed or exited. Returns the errno of a failed execution, or 0. */
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
    (void)report_error("run: cannot create a pipe: %s", strerror(errno));
    return 126;
  }
  pid = fork();
  if (pid == 0)
    exec_command(argv, signals, failed[1]);
  (void)close(failed[1]);
  error = pid < 0 ? errno : exec_error(failed[0]);
  (void)close(failed[0]);
  if (error)
    (void)report_error("run: %s: %s%s", argv[0], strerror(error),
                       error == ENOENT   ? ": give a program in PATH, or its path"
                       : error == EACCES ? ": make it executable, or name its interpreter"
                                         : "");
  if (pid < 0)
    return 126;
  status = wait_command(pid, signals);
  if (error)
    return error == ENOENT ? 127 : 126;
  *ran = true;
  return status;
}
