#include "daemon/os/sd_notify.h"

#include "daemon/base/parse.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
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

void sd_notify_extend(struct sd_notify *notify) {
  char text[64];
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  if (notify->extended_ns > 0 && now_ns - notify->extended_ns < 1000000000u)
    return;
  notify->extended_ns = now_ns;
  (void)snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%u", SD_NOTIFY_EXTEND_S * 1000000u);
  (void)sd_notify_send(notify, text); /* the next one may get through */
}

/* The kernel keeps the descriptor for the receiver: the caller may close its own at once. */
static void attach(struct msghdr *message, void *control, size_t size, int fd) {
  message->msg_control = control;
  message->msg_controllen = size;
  struct cmsghdr *part = CMSG_FIRSTHDR(message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(part), &fd, sizeof fd);
}

enum sd_notify_result sd_notify_send_fd(struct sd_notify *notify, const char *state, int fd,
                                        unsigned timeout_ms) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec piece = {.iov_base = (void *)(uintptr_t)state, .iov_len = strlen(state)};
  struct msghdr message = {.msg_name = &notify->address,
                           .msg_namelen = notify->address_size,
                           .msg_iov = &piece,
                           .msg_iovlen = 1};
  struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
  int flags = MSG_NOSIGNAL | (timeout_ms == 0 ? MSG_DONTWAIT : 0);
  if (notify->fd < 0)
    return SD_NOTIFY_FAILED;
  if (fd >= 0)
    attach(&message, control.bytes, sizeof control.bytes, fd);
  /* Without the bound, a service manager that does not read would block the daemon for ever. */
  if (timeout_ms > 0 && setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0)
    flags |= MSG_DONTWAIT;
  if (sendmsg(notify->fd, &message, flags) == (ssize_t)piece.iov_len)
    return SD_NOTIFY_SENT;
  /* ETOOMANYREFS: this user has too many descriptors in messages that nobody has read. */
  switch (errno) {
  case EAGAIN:
  case EINTR:
  case ENOBUFS:
  case ENOMEM:
  case ETOOMANYREFS:
    return SD_NOTIFY_FULL;
  default:
    return SD_NOTIFY_FAILED;
  }
}
