#include "client/ctl/exporter/service_ready.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void service_ready(void) {
  static const char state[] = "READY=1";
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t size = path ? strlen(path) : 0;
  int fd;

  if (size < 2 || size >= sizeof address.sun_path || (*path != '/' && *path != '@'))
    return;
  memcpy(address.sun_path, path, size);
  if (*path == '@')
    address.sun_path[0] = '\0';
  fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  (void)sendto(fd, state, sizeof state - 1, MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
  (void)close(fd);
}
