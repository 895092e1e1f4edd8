#include "daemon/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/os/socket_activation.h"
#include "daemon/server.h"

#define REFUSAL_MS 1000

/* The passed socket once more, because its owner closes the other one. -1: none. */
static int refused_fd = -1;

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A signal ends the process meanwhile, as it should: nothing is to be cleaned up. */
static void refuse_clients(int status, void *arg) {
  (void)arg;
  struct pollfd socket = {.fd = refused_fd, .events = POLLIN};
  if (status != SERVER_WRONG_USAGE || refused_fd < 0)
    return;
  int64_t left_ms = REFUSAL_MS, end_ms = now_ms() + left_ms;
  for (; left_ms > 0; left_ms = end_ms - now_ms()) {
    (void)poll(&socket, 1, (int)left_ms); /* after an error, accept4 fails too */
    int fd = accept4(refused_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
      return; /* poll would return at once again and again */
    if (fd >= 0)
      (void)close(fd); /* nothing was written */
  }
}

void refusal_prepare(const struct passed_fds *passed) {
  int fd = socket_activation_find(passed);
  if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
    return;
  refused_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  (void)on_exit(refuse_clients, NULL);
}

void refusal_cancel(void) {
  if (refused_fd >= 0)
    (void)close(refused_fd);
  refused_fd = -1;
}
