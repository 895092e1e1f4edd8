/* sd_notify.h - tells the service manager how we are: sd_notify(3), by hand.
 * Never blocks; a message that cannot be sent is dropped. */
#ifndef FC_DAEMON_NOTIFY_H
#define FC_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
  int fd; /* -1: nobody to tell */
  struct sockaddr_un address;
  socklen_t address_size;
  uint64_t watchdog_ms; /* say NOTIFY_WATCHDOG this often (half of what is allowed); 0: need not */
};

#define NOTIFY_READY "READY=1"
#define NOTIFY_STOPPING "STOPPING=1"
#define NOTIFY_WATCHDOG "WATCHDOG=1"

/* From $NOTIFY_SOCKET (a path, or '@' and an abstract name), $WATCHDOG_USEC and
 * $WATCHDOG_PID. Anything odd in them: as if not set. */
void notify_init(struct notify *notify);
void notify_deinit(struct notify *notify); /* idempotent */

/* Sends `state`, one or more lines such as NOTIFY_READY "\nSTATUS=...". True if sent. */
bool notify_send(struct notify *notify, const char *state);

#endif
