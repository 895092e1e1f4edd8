#include "daemon/os/socket_activation.h"

#include "daemon/base/parse.h"
#include "proto/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define FDS_MAX 4096

static bool option_is(int fd, int option, int wanted) {
  int value;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

static bool is_listening_unix_stream(int fd) {
  return option_is(fd, SO_DOMAIN, AF_UNIX) && option_is(fd, SO_TYPE, SOCK_STREAM) &&
         option_is(fd, SO_ACCEPTCONN, 1);
}

static int set_flags(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return -1;
  return 0;
}

int socket_activation_receive(int *fd, struct error_text *error) {
  uint64_t n, pid;
  *fd = -1;
  if (!parse_whole_number(getenv("LISTEN_PID"), &pid) || pid != (uint64_t)getpid() ||
      !parse_whole_number(getenv("LISTEN_FDS"), &n) || n == 0)
    return 0;
  if (n > FDS_MAX)
    return error_text_set(error, FC_EINVAL, "LISTEN_FDS=%" PRIu64 " is too large: at most %d", n,
                          FDS_MAX);
  const char *names = getenv("LISTEN_FDNAMES");
  int last = FIRST_FD + (int)n - 1, found = -1, listening = 0;
  for (int passed = FIRST_FD; passed <= last; passed++) {
    if (is_listening_unix_stream(passed)) {
      found = found < 0 ? passed : found;
      listening++;
    }
  }
  if (listening != 1)
    return error_text_set(error, FC_EINVAL,
                          "the service manager passed %" PRIu64 " descriptors (%s), of which %d "
                          "are listening Unix stream sockets: give fcached exactly one "
                          "ListenStream=PATH",
                          n, names == NULL ? "unnamed" : names, listening);
  for (int passed = FIRST_FD; passed <= last; passed++) {
    if (passed != found)
      (void)close(passed); /* unused */
  }
  if (set_flags(found) < 0)
    return error_text_set(error, FC_EREFUSED, "cannot configure the passed socket: %s",
                          strerror(errno));
  *fd = found;
  return 0;
}
