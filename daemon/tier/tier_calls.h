/* tier_calls.h - the commands that one connection has sent and that have no reply yet, in order.
 *
 * Each call has a number, which rises by one. A call outlives its op: after a cancel, its replies
 * still come and are dropped. Memory: a ring that grows up to TIER_CALLS_MAX. One thread. */
#ifndef FC_DAEMON_TIER_CALLS_H
#define FC_DAEMON_TIER_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/fleet/fleet_io.h"

#define TIER_CALLS_MAX 512u /* a power of two */

enum tier_call_kind {
  CALL_OP,   /* of the fleet */
  CALL_AUTH, /* these are of the handshake: */
  CALL_SELECT,
  CALL_NAME,
  CALL_ROLE,
  CALL_CHECK, /* after a lost connection: whether the server serves keys yet */
  CALL_SLOTS, /* also later, when the servers of a cluster have changed */
  CALL_PROBE, /* of a breaker */
};

struct tier_call {
  struct fleet_op *op; /* CALL_OP; NULL: cancelled */
  enum tier_call_kind kind;
  enum fleet_op_class class; /* CALL_OP, CALL_PROBE */
  uint32_t replies, replied; /* of all its commands, and those that have come */
  uint32_t flags;            /* TIER_OP_*, see tier_commands.h */
  bool granted;              /* by the first reply of a FLEET_OP_LEASE */
  bool unavailable;          /* one of its replies was an error of the server */
  uint64_t limit;            /* bytes of a reply */
  uint64_t permit;           /* of the breaker */
  uint64_t submitted_ns, deadline_ns, end_ns;
};

/* Zero at the start. */
struct tier_calls {
  struct tier_call *ring; /* owned */
  uint32_t capacity;
  uint32_t first, n; /* the number of the oldest call, and how many there are */
};

/* Frees the memory. Idempotent. */
void tier_calls_deinit(struct tier_calls *calls);

/* Makes room for one more call. Returns false if TIER_CALLS_MAX are waiting, or memory is out. */
bool tier_calls_reserve(struct tier_calls *calls);

/* Adds a zeroed call at the end, for which there is room. Returns it; valid until the next reserve.
 */
struct tier_call *tier_calls_add(struct tier_calls *calls);

/* Return the oldest call, the newest, and the call with a number. NULL if there is none. */
struct tier_call *tier_calls_first(struct tier_calls *calls);
struct tier_call *tier_calls_last(struct tier_calls *calls);
struct tier_call *tier_calls_find(const struct tier_calls *calls, uint32_t number);

/* Removes the oldest call. There is one. */
void tier_calls_pop(struct tier_calls *calls);

#endif
