#include "daemon/os/sd_notify.h"

#include "daemon/base/parse.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t watchdog_interval_ms(void) {
  uint64_t usec, pid;
  if (!parse_whole_number(getenv("WATCHDOG_USEC"), &usec) || usec == 0)
    return 0;
  const char *for_pid = getenv("WATCHDOG_PID");
  if (for_pid != NULL && (!parse_whole_number(for_pid, &pid) || pid != (uint64_t)getpid()))
    return 0;
  uint64_t ms = usec / 2000;
  return ms == 0 ? 1 : ms;
}

void sd_notify_init(struct sd_notify *notify) {
  *notify = (struct sd_notify){.fd = -1};
  const char *path = getenv("NOTIFY_SOCKET");
  if (path == NULL || (path[0] != '/' && path[0] != '@') || path[1] == '\0')
    return;
  size_t size = strlen(path);
  if (size >= sizeof notify->address.sun_path)
    return;
  notify->address.sun_family = AF_UNIX;
  memcpy(notify->address.sun_path, path, size); /* the rest is zero */
  /* The size of a path includes its NUL. An abstract name starts with a NUL and has none at the
   * end. */
  bool abstract = path[0] == '@';
  if (abstract)
    notify->address.sun_path[0] = '\0';
  notify->address_size =
      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (abstract ? 0 : 1));
  notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (notify->fd >= 0)
    notify->watchdog_ms = watchdog_interval_ms();
}

void sd_notify_deinit(struct sd_notify *notify) {
  if (notify->fd >= 0)
    (void)close(notify->fd); /* a datagram socket has nothing to flush */
  notify->fd = -1;
  notify->watchdog_ms = 0;
}

bool sd_notify_send(struct sd_notify *notify, const char *state) {
  if (notify->fd < 0)
    return false;
  size_t size = strlen(state);
  return sendto(notify->fd, state, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                (const struct sockaddr *)&notify->address, notify->address_size) == (ssize_t)size;
}
