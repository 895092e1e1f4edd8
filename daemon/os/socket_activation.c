#include "daemon/os/socket_activation.h"

#include "proto/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

static bool option_is(int fd, int option, int wanted) {
  int value;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

static bool is_listening_unix_stream(int fd) {
  return option_is(fd, SO_DOMAIN, AF_UNIX) && option_is(fd, SO_TYPE, SOCK_STREAM) &&
         option_is(fd, SO_ACCEPTCONN, 1);
}

int socket_activation_receive(struct passed_fds *passed, int *fd, struct error_text *error) {
  struct passed_fd *found = NULL, *last = NULL;
  unsigned sockets = 0, listening = 0;
  *fd = -1;
  for (unsigned i = 0; i < passed->n; i++) {
    struct passed_fd *one = &passed->list[i];
    if (one->fd < 0 || !one->is_socket)
      continue;
    sockets++;
    last = one;
    if (is_listening_unix_stream(one->fd)) {
      listening++;
      found = one;
    }
  }
  if (sockets == 0)
    return 0;
  if (listening != 1)
    return error_text_set(error, FC_EINVAL,
                          "the service manager passed %u sockets (the last is \"%s\"), of which %u "
                          "are listening Unix stream sockets: give fcached exactly one "
                          "ListenStream=PATH",
                          sockets, last->name, listening);
  int flags = fcntl(found->fd, F_GETFL);
  if (flags < 0 || fcntl(found->fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return error_text_set(error, FC_EREFUSED, "cannot configure the passed socket: %s",
                          strerror(errno));
  *fd = found->fd;
  found->fd = -1;
  return 0;
}

int socket_activation_find(const struct passed_fds *passed) {
  for (unsigned i = 0; i < passed->n; i++)
    if (passed->list[i].fd >= 0 && passed->list[i].is_socket &&
        is_listening_unix_stream(passed->list[i].fd))
      return passed->list[i].fd;
  return -1;
}
