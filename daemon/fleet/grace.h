/* grace.h - the time that a tier server gets to come back after its connection was lost, before the
 * breakers (breaker.h) open. Restarts, failovers behind a name, and resets by a network are often
 * shorter than a deadline. Nodes that waited for one share on, and nodes that did not compute
 * alone.
 *
 * A state machine over time stamps that the caller passes. One for each tier server. During the
 * grace the caller keeps the requests that it may send later, and connects at grace.retry_ns. The
 * grace ends
 *   - with a reply to a request: grace_served. A connection alone may be lost again at once
 *   - a deadline after the loss, without a connection: the caller opens the breakers
 *
 * A server earns its grace with each reply to a request. So the first connect has none, nor has a
 * server that loses each connection before it replies: it costs one deadline, once.
 *
 * Plain memory. Nothing to free. One thread. */
#ifndef FC_DAEMON_GRACE_H
#define FC_DAEMON_GRACE_H

#include <stdbool.h>
#include <stdint.h>

/* Between two attempts to connect. The time doubles, and the jitter takes away up to a half. */
#define GRACE_RETRY_FIRST_NS UINT64_C(5000000)
#define GRACE_RETRY_MAX_NS UINT64_C(50000000)

/* Other modules only read it. */
struct grace {
  bool is_earned;       /* the server has replied to a request since the latest loss */
  uint64_t until_ns;    /* 0: no grace */
  uint64_t retry_ns;    /* when to connect; 0: no grace */
  uint64_t interval_ns; /* to the attempt after that */
  uint64_t random;      /* for the jitter; not 0 */
};

/* Starts without grace. `seed`: another one for each server and node; any value. */
void grace_init(struct grace *grace, uint64_t seed);

/* The server replied to a request. */
void grace_served(struct grace *grace);

/* The connection was lost, or the server is not back yet. Returns whether the requests wait, until
 * `deadline_ns` after the first loss. If not, there is no grace, and the breakers open. */
bool grace_lost(struct grace *grace, uint64_t deadline_ns, uint64_t now_ns);

/* The server failed in a way that waiting does not heal. It must earn the next grace. */
void grace_end(struct grace *grace);

#endif
