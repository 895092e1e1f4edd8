#include "client/lib/util/log_stderr.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Writes without a signal where nobody reads any more: SIGPIPE is blocked for this thread, and the
 * one that we caused is taken back. One that the program had pending already stays. */
static void write_quietly(int fd, const char *data, size_t size) {
  sigset_t pipe_signal, before, pending;
  struct timespec now = {0};
  (void)sigemptyset(&pipe_signal); /* these cannot fail with valid numbers */
  (void)sigaddset(&pipe_signal, SIGPIPE);
  (void)sigpending(&pending);
  if (pthread_sigmask(SIG_BLOCK, &pipe_signal, &before) != 0)
    return;
  ssize_t n = write(fd, data, size); /* a line that does not get through has nobody to tell */
  if (n < 0 && errno == EPIPE && sigismember(&pending, SIGPIPE) == 0)
    (void)sigtimedwait(&pipe_signal, NULL, &now);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool takes_a_line(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0;
}

void fcache_log_stderr(const char *line) {
  say(NULL, NULL, line);
}

void say(fcache_log_fn *log, void *log_arg, const char *line) {
  if (log != NULL) {
    log(log_arg, line);
    return;
  }
  /* One write, so that the lines of several workers do not mix. */
  char text[FCACHE_ERROR_TEXT_SIZE + 256];
  int size = snprintf(text, sizeof text, "%.*s\n", (int)sizeof text - 2, line);
  if (size > 0 && takes_a_line(STDERR_FILENO))
    write_quietly(STDERR_FILENO, text, (size_t)size);
}
