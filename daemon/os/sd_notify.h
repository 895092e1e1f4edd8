/* sd_notify.h - the notification protocol of sd_notify(3), without libsystemd. */
#ifndef FC_DAEMON_SD_NOTIFY_H
#define FC_DAEMON_SD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct sd_notify {
  int fd; /* -1: no service manager */
  struct sockaddr_un address;
  socklen_t address_size;
  uint64_t extended_ns; /* of the latest sd_notify_extend, CLOCK_MONOTONIC */
  uint64_t watchdog_ms; /* interval for SD_NOTIFY_WATCHDOG, half of WATCHDOG_USEC; 0: none */
};

#define SD_NOTIFY_READY "READY=1"
#define SD_NOTIFY_STOPPING "STOPPING=1"
#define SD_NOTIFY_WATCHDOG "WATCHDOG=1"

/* Reads $NOTIFY_SOCKET (a path, or '@' and an abstract name), $WATCHDOG_USEC and $WATCHDOG_PID. A
 * malformed variable counts as unset. */
void sd_notify_init(struct sd_notify *notify);
void sd_notify_deinit(struct sd_notify *notify); /* idempotent */

/* Sends `state`: one or more lines, such as SD_NOTIFY_READY "\nSTATUS=...". Never blocks: a message
 * that cannot be sent is dropped. Returns true if sent. */
bool sd_notify_send(struct sd_notify *notify, const char *state);

/* Tells the service manager that a long step of a start or a stop makes progress: the service's
 * timeout ends SD_NOTIFY_EXTEND_S from now at the earliest. Sends a message a second at most, so it
 * may be called often. */
#define SD_NOTIFY_EXTEND_S 30u
void sd_notify_extend(struct sd_notify *notify);

enum sd_notify_result {
  SD_NOTIFY_SENT,
  SD_NOTIFY_FULL,  /* the service manager has not read earlier messages: a later call may succeed */
  SD_NOTIFY_FAILED /* or there is no service manager */
};

/* Sends `state` with a descriptor (-1: none), which stays the caller's. Waits up to `timeout_ms`
 * while the service manager's queue is full. */
enum sd_notify_result sd_notify_send_fd(struct sd_notify *notify, const char *state, int fd,
                                        unsigned timeout_ms);

#endif
