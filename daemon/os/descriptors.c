#include "daemon/os/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

#define PER_CLIENT 2u /* its socket and its pidfd */
#define OWN 64u
#define LOOP 8 /* two pipes, the epoll and an event descriptor, and two to spare */

int descriptors_fill_standard(void) {
  int fd;
  do { /* the lowest free number each time */
    fd = open("/dev/null", O_RDONLY);
    if (fd < 0)
      return FC_EREFUSED;
    if (fd == STDIN_FILENO) {
      (void)close(fd); /* nothing was read from it */
      fd = open("/dev/null", O_WRONLY);
    }
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    (void)close(fd);
  return fd < 0 ? FC_EREFUSED : 0;
}

void descriptors_raise_limit(unsigned max_clients, unsigned reserved, struct log *log) {
  struct rlimit limit;
  rlim_t want = PER_CLIENT * ((rlim_t)max_clients + reserved) + OWN;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
    return;
  limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < want)
    log_line(log, LOG_LEVEL_WARNING,
             "%llu descriptors are few for %u clients: past them clients are refused; raise "
             "LimitNOFILE or lower --max-clients",
             (unsigned long long)limit.rlim_cur, max_clients);
}

/* Does the kernel watch that many? Descriptors are there for it. */
static bool prove_watches(void) {
  int fds[LOOP - 1], n = 0;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  bool failed = epoll < 0;
  for (; n < LOOP - 1 && !failed; n++) {
    struct epoll_event none = {0};
    fds[n] = eventfd(0, EFD_CLOEXEC);
    failed = fds[n] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fds[n], &none) < 0;
  }
  while (n > 0)
    (void)close(fds[--n]); /* holds nothing; one that was not opened is -1 */
  (void)close(epoll);
  return !failed;
}

int descriptors_prove(struct fault *fault) {
  int fds[LOOP], n = 0, error = 0;
  for (; n < LOOP && error == 0; n += error == 0) {
    fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC); /* a file each: also the system's count */
    error = fds[n] < 0 ? errno : 0;
  }
  while (n > 0)
    (void)close(fds[--n]); /* nothing was read from them */
  if (error == 0 && prove_watches())
    return 0;
  if (error == 0)
    return fault_set(fault, FC_EREFUSED, "no event loop: %s", WATCH_FULL);
  return fault_set(fault, FC_EREFUSED,
                   "no event loop: it takes %d descriptors more than there are: %s: raise %s", LOOP,
                   strerror(error),
                   error == ENFILE ? "the system's fs.file-max" : "LimitNOFILE= or ulimit -n");
}
