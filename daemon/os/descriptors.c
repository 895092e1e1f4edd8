#include "daemon/os/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

#define PER_CLIENT 2u /* a socket and a pidfd */
#define OWN 64u
#define LOOP 8 /* two pipes, the epoll descriptor, an eventfd, and two to spare */

int descriptors_fill_standard(void) {
  int fd;
  do { /* open() returns the lowest free number */
    fd = open("/dev/null", O_RDONLY);
    if (fd < 0)
      return FC_EREFUSED;
    if (fd == STDIN_FILENO) {
      (void)close(fd); /* nothing was read */
      fd = open("/dev/null", O_WRONLY);
    }
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    (void)close(fd);
  return fd < 0 ? FC_EREFUSED : 0;
}

void descriptors_raise_limit(const struct descriptors_need *need, struct log *log) {
  struct rlimit limit;
  rlim_t clients = (rlim_t)need->max_clients + need->reserved;
  rlim_t least = PER_CLIENT * clients + OWN + need->memory;
  rlim_t most = PER_CLIENT * clients + OWN + need->memory_max;
  if (most < need->passed * clients) /* the two are compared one by one */
    most = need->passed * clients;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= most)
    return;
  limit.rlim_cur = limit.rlim_max < most ? limit.rlim_max : most;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < least)
    log_line(log, LOG_LEVEL_WARNING,
             "RLIMIT_NOFILE %llu is too low for --max-clients %u: raise LimitNOFILE= or lower "
             "--max-clients",
             (unsigned long long)limit.rlim_cur, need->max_clients);
}

/* Returns true if the kernel lets this user watch as many descriptors as a loop does. */
static bool can_watch(void) {
  int fds[LOOP - 1], n = 0;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  bool failed = epoll < 0;
  for (; n < LOOP - 1 && !failed; n++) {
    struct epoll_event none = {0};
    fds[n] = eventfd(0, EFD_CLOEXEC);
    failed = fds[n] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fds[n], &none) < 0;
  }
  while (n > 0)
    (void)close(fds[--n]); /* -1 where the eventfd failed: harmless */
  (void)close(epoll);
  return !failed;
}

int descriptors_check(struct error_text *error) {
  int fds[LOOP], n = 0, code = 0;
  for (; n < LOOP && code == 0; n += code == 0) {
    fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC); /* an open file: counts in fs.file-max too */
    code = fds[n] < 0 ? errno : 0;
  }
  while (n > 0)
    (void)close(fds[--n]); /* nothing was read */
  if (code == 0 && can_watch())
    return 0;
  if (code == 0)
    return error_text_set(error, FC_EREFUSED, "no event loop: %s", EPOLL_WATCH_FULL);
  return error_text_set(
      error, FC_EREFUSED, "no event loop: it needs %d more descriptors: %s: raise %s", LOOP,
      strerror(code), code == ENFILE ? "the system's fs.file-max" : "LimitNOFILE= or ulimit -n");
}
