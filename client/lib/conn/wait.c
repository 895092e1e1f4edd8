#include "client/lib/conn/wait.h"

#include "client/lib/util/clock.h"
#include "proto/errors.h"

void wait_begin(struct wait *wait, struct connection *connection, struct wait_callback *callback,
                uint64_t bound_ns) {
  uint64_t now_ns = clock_now_ns(), deadline_ns = connection->io.deadline_ns;
  *wait = (struct wait){.connection = connection,
                        .callback = callback,
                        .callback_ns = now_ns + deadline_ns,
                        .message_ns = now_ns,
                        .end_ns = now_ns + bound_ns + deadline_ns};
}

/* Calls the callback. If it cancels the wait, gives up all leases and waits: the daemon then
 * replies within a deadline, and no reply is left for a later request. Returns 0, or an error if
 * the connection cannot be used any more. */
static int run_callback(struct wait *wait) {
  struct connection *connection = wait->connection;
  int code = wait->callback->fn(wait->callback->arg);
  uint64_t now_ns = clock_now_ns();
  wait->callback_ns = now_ns + connection->io.deadline_ns;
  wait->cancelled = code != 0;
  if (wait->cancelled) {
    wait->callback->cancel_code = code;
    wait->end_ns = wait->callback_ns;
  }
  if (connection_leave_parent(connection)) /* the callback forked */
    return FC_EUNAVAILABLE;
  return !wait->cancelled || connection_give_up_all(connection) ? 0 : FC_ETIMEDOUT;
}

/* Waits until the daemon sends something. Returns FC_ETIMEDOUT if it does not. */
static int wait_for_message(struct wait *wait) {
  struct connection *connection = wait->connection;
  uint64_t deadline_ns = connection->io.deadline_ns, ping_after_ns = deadline_ns / 4;
  for (;;) {
    uint64_t silence_ns = !wait->pinged ? ping_after_ns : deadline_ns - ping_after_ns;
    uint64_t until_ns = wait->message_ns + silence_ns;
    bool is_end = until_ns >= wait->end_ns;
    bool has_callback = wait->callback->fn != NULL && !wait->cancelled;
    until_ns = is_end ? wait->end_ns : until_ns;
    bool callback_first = has_callback && wait->callback_ns < until_ns;
    int rc =
        socket_io_wait_readable(&connection->io, callback_first ? wait->callback_ns : until_ns);
    if (rc == SOCKET_IO_INTERRUPTED || (rc == FC_ETIMEDOUT && callback_first)) {
      rc = has_callback ? run_callback(wait) : 0;
      if (rc < 0)
        return rc;
      continue;
    }
    if (rc != FC_ETIMEDOUT || is_end || wait->pinged)
      return rc;
    rc = request_ping(connection);
    if (rc < 0)
      return rc;
    wait->pinged = true;
    wait->message_ns = clock_now_ns(); /* not earlier: this process may have been stopped */
  }
}

/* The callback's turn while there is no connection: a cancelled wait has nothing to give up. */
static void run_callback_alone(struct wait *wait) {
  struct connection *connection = wait->connection;
  if (wait->callback->fn == NULL)
    return;
  int code = wait->callback->fn(wait->callback->arg);
  wait->callback_ns = clock_now_ns() + connection->io.deadline_ns;
  wait->cancelled = code != 0;
  if (wait->cancelled)
    wait->callback->cancel_code = code;
  (void)connection_leave_parent(connection); /* the callback forked: `lost` is false then */
}

bool wait_reopen(struct wait *wait, uint64_t until_ns) {
  struct connection *connection = wait->connection;
  uint64_t end_ns = clock_now_ns() + CONNECTION_REOPEN_NS;
  if (end_ns > until_ns + connection->io.deadline_ns)
    end_ns = until_ns + connection->io.deadline_ns;
  while (connection->lost && !wait->cancelled) {
    bool callback_first = wait->callback->fn != NULL && wait->callback_ns < end_ns;
    int rc = connection_reopen(connection, callback_first ? wait->callback_ns : end_ns);
    if (rc == SOCKET_IO_INTERRUPTED || (rc == FC_ETIMEDOUT && callback_first))
      run_callback_alone(wait);
    else if (rc == FC_ETIMEDOUT)
      (void)connection_reopen_end(connection, rc);
  }
  return connection->state == CONNECTION_UP;
}

int wait_next(struct wait *wait, const uint32_t *ids, uint32_t n, uint32_t *which,
              struct fc_reply *reply) {
  struct connection *connection = wait->connection;
  for (;;) {
    int rc = wait_for_message(wait);
    *which = n;
    if (connection->state != CONNECTION_UP) /* in a forked child */
      return FC_EUNAVAILABLE;
    if (rc < 0 && rc != FC_EUNAVAILABLE) /* a daemon that closed may have sent an error before */
      return connection_fail(connection, rc);
    rc = request_receive(connection, ids, n, which, reply);
    wait->message_ns = clock_now_ns();
    wait->pinged = false; /* any message shows that the daemon is alive */
    if (rc < 0 || *which < n)
      return rc;
    if (wait->message_ns >= wait->end_ns) /* alive, but without a reply */
      return connection_fail(connection, FC_ETIMEDOUT);
  }
}
