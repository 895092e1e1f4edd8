#include "daemon/os/epoll_watch.h"

#include <errno.h>
#include <sys/epoll.h>

#include "proto/errors.h"

int epoll_watch_add(const uv_handle_t *handle) {
  uv_os_fd_t fd;
  if (uv_fileno(handle, &fd) < 0)
    return FC_EREFUSED;
  struct epoll_event none = {.data.fd = fd}; /* libuv reads it if a hang-up comes first */
  if (epoll_ctl(uv_backend_fd(handle->loop), EPOLL_CTL_ADD, fd, &none) == 0 || errno == EEXIST)
    return 0;
  return FC_EREFUSED;
}
