/* wait.h - waits for deferred replies: to gets that wait for a value that another client computes.
 *
 * Detects a daemon that is gone or stopped within one deadline after its latest message: after a
 * quarter of that time it sends a ping, whose reply must come within the rest. Any message counts.
 * Messages that have arrived are read before a deadline is checked, so a process that was itself
 * stopped still finds its reply. Times are of clock_now_ns. One thread. */
#ifndef FC_CLIENT_WAIT_H
#define FC_CLIENT_WAIT_H

#include "client/lib/conn/request.h"

/* fcache_options.waiting, which may cancel a wait. */
struct wait_callback {
  fcache_waiting_fn *fn; /* NULL: none */
  void *arg;
  int cancel_code; /* the latest result of `fn` that cancelled a wait */
};

struct wait {
  struct connection *connection;
  struct wait_callback *callback;
  uint64_t callback_ns; /* time of the next call of the callback */
  bool cancelled;       /* by the callback: all leases and waits have been given up */
  uint64_t message_ns;  /* time of the daemon's latest message, or of the ping */
  uint64_t end_ns;      /* time by which the replies must have come, pings or not */
  bool pinged;          /* since the daemon's latest message */
};

/* Starts a wait that the daemon ends after `bound_ns`, as the requests said. The replies must come
 * within one deadline more. */
void wait_begin(struct wait *wait, struct connection *connection, struct wait_callback *callback,
                uint64_t bound_ns);

/* Receives the next reply to one of the `n` sent requests `ids`, whose index becomes *which.
 * Returns as request_receive; FC_EUNAVAILABLE with *which = n if the daemon is silent, or in a
 * child if the callback forked. After `cancelled` the replies still come soon, but have no effect:
 * a lease that one grants has been given up. */
int wait_next(struct wait *wait, const uint32_t *ids, uint32_t n, uint32_t *which,
              struct fc_reply *reply);

/* After wait_next failed because the daemon was lost: waits until it is back, CONNECTION_REOPEN_NS
 * at most, and not after `until_ns` and a deadline. That may be longer than a deadline, because the
 * other client goes on computing. Calls the callback as wait_next, and sets wait->cancelled.
 * Returns whether the connection is up. */
bool wait_reopen(struct wait *wait, uint64_t until_ns);

#endif
