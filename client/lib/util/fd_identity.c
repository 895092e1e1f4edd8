#include "client/lib/util/fd_identity.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

int own_fd_take(struct own_fd *own, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0)
    return -errno;
  *own = (struct own_fd){.fd = fd, .device = status.st_dev, .inode = status.st_ino};
  return 0;
}

bool own_fd_is_ours(const struct own_fd *own) {
  struct stat status;
  return own->fd >= 0 && fstat(own->fd, &status) == 0 && status.st_dev == own->device &&
         status.st_ino == own->inode;
}

bool own_fd_is_connected(const struct own_fd *own) {
  struct pollfd poll_fd = {.fd = own->fd, .events = POLLRDHUP};
  return own_fd_is_ours(own) && poll(&poll_fd, 1, 0) == 0;
}

void own_fd_close(struct own_fd *own) {
  if (own_fd_is_ours(own))
    (void)close(own->fd); /* nothing is lost: what mattered was answered */
  own->fd = -1;
}
