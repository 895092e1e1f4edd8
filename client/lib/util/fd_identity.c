#include "client/lib/util/fd_identity.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

int fd_identity_set(struct fd_identity *identity, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0)
    return -errno;
  *identity = (struct fd_identity){.fd = fd, .device = status.st_dev, .inode = status.st_ino};
  return 0;
}

bool fd_identity_matches(const struct fd_identity *identity) {
  struct stat status;
  return identity->fd >= 0 && fstat(identity->fd, &status) == 0 &&
         status.st_dev == identity->device && status.st_ino == identity->inode;
}

bool fd_identity_is_connected(const struct fd_identity *identity) {
  struct pollfd poll_fd = {.fd = identity->fd, .events = POLLRDHUP};
  return fd_identity_matches(identity) && poll(&poll_fd, 1, 0) == 0;
}

void fd_identity_close(struct fd_identity *identity) {
  if (fd_identity_matches(identity))
    (void)close(identity->fd); /* every request was answered or abandoned: nothing is lost */
  identity->fd = -1;
}
