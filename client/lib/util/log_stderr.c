/* Log lines on stderr, which must neither block the program (a full pipe) nor end it (SIGPIPE). */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fcache.h"

/* Writes once. Blocks SIGPIPE for this thread, and consumes the SIGPIPE that the write caused. A
 * SIGPIPE that was pending before stays pending. */
static void write_without_sigpipe(int fd, const char *data, size_t size) {
  sigset_t pipe_signal, before, pending;
  struct timespec now = {0};
  (void)sigemptyset(&pipe_signal); /* these cannot fail with valid numbers */
  (void)sigaddset(&pipe_signal, SIGPIPE);
  (void)sigpending(&pending);
  if (pthread_sigmask(SIG_BLOCK, &pipe_signal, &before) != 0)
    return;
  ssize_t n = write(fd, data, size); /* a line that cannot be written is lost */
  if (n < 0 && errno == EPIPE && sigismember(&pending, SIGPIPE) == 0)
    (void)sigtimedwait(&pipe_signal, NULL, &now);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool is_writable(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0;
}

void fcache_log_stderr(const char *line) {
  /* One write, so that the lines of several workers do not mix. */
  char text[FCACHE_ERROR_TEXT_SIZE + 256];
  int size = snprintf(text, sizeof text, "%.*s\n", (int)sizeof text - 2, line);
  if (size > 0 && is_writable(STDERR_FILENO))
    write_without_sigpipe(STDERR_FILENO, text, (size_t)size);
}
