/* The wait for a daemon that was lost: it restarts, or is gone. */
#include <poll.h>

#include "client/lib/conn/connection_internal.h"
#include "client/lib/util/clock.h"
#include "proto/errors.h"

/* Between two attempts to connect. Each takes some 20 us. */
#define PAUSE_MS 5

int connection_reopen_end(struct connection *connection, int rc) {
  connection->lost = false;
  if (connection->state == CONNECTION_OFF)
    backoff_fail(&connection->backoff, clock_now_ns());
  else /* it stays: a later call finds the welcome */
    (void)connection_set_error(connection, FC_EUNAVAILABLE,
                               "fcached at %s closed the connection, and has not answered since",
                               connection->path);
  connection_log_off(connection);
  return rc;
}

/* Returns whether the next daemon may accept a hello that was refused with `rc`. */
static bool may_be_accepted(int rc) {
  return rc == FC_EUNAVAILABLE || rc == FC_ESHUTDOWN;
}

/* After hello was sent: waits for the welcome. Returns 0, SOCKET_IO_INTERRUPTED, FC_ETIMEDOUT at
 * `until_ns`, or the reason why the connection was closed. */
static int await_welcome(struct connection *connection, uint64_t until_ns) {
  for (;;) {
    int rc = socket_io_wait_readable(&connection->io, until_ns);
    if (rc == SOCKET_IO_INTERRUPTED || rc == FC_ETIMEDOUT)
      return rc;
    rc = connection_receive_welcome(connection, false);
    if (rc != FC_ETIMEDOUT) /* else only a part of it has come */
      return rc;
  }
}

int connection_reopen(struct connection *connection, uint64_t until_ns) {
  while (connection->lost) {
    int rc = connection->state == CONNECTION_OFF ? connection_send_hello(connection, 0) : 0;
    if (rc == 0)
      rc = await_welcome(connection, until_ns);
    if (rc == 0 || rc == SOCKET_IO_INTERRUPTED || rc == FC_ETIMEDOUT)
      return rc;
    if (!may_be_accepted(rc))
      return connection_reopen_end(connection, rc);
    if (clock_now_ns() >= until_ns)
      return FC_ETIMEDOUT;
    if (poll(NULL, 0, PAUSE_MS) < 0)
      return SOCKET_IO_INTERRUPTED;
  }
  return connection->state == CONNECTION_UP ? 0 : FC_EUNAVAILABLE;
}

int connection_reopen_in_deadline(struct connection *connection) {
  uint64_t deadline_ns = connection->io.deadline_ns;
  uint64_t until_ns =
      clock_now_ns() + (deadline_ns < CONNECTION_REOPEN_NS ? deadline_ns : CONNECTION_REOPEN_NS);
  int rc;
  do
    rc = connection_reopen(connection, until_ns);
  while (rc == SOCKET_IO_INTERRUPTED);
  return rc == FC_ETIMEDOUT ? connection_reopen_end(connection, FC_EUNAVAILABLE) : rc;
}
