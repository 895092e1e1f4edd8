/* sender.h - a connection's replies on their way out.
 *
 * A reply is made only when the one before has left: a peer that does not read
 * holds one reply of memory. One over SENDER_SMALL reserves its size in the quota
 * of replies first, and returns it when it has left. A reply that was let in
 * waits for nothing but its peer, which the stall timeout bounds; so the pool of
 * replies always moves on.
 *
 * A peer makes progress whenever it takes bytes, out of our memory or out of the
 * kernel's. A slow reader is not stalled.
 *
 * Its states, of which the first that holds counts:
 *   failed   we could not send (no memory): the connection is to be closed
 *   deaf     the peer takes no replies any more, or has died. What it had sent is still to be
 *            handled, so there is room for any reply, and replies are dropped
 *   busy     a part of a reply is unsent: nothing else is to be made
 *   waiting  the next reply waits for the quota, or for room in its user's share of that
 *   free     none of these
 *
 * One thread, that of the loop. */
#ifndef FC_DAEMON_SENDER_H
#define FC_DAEMON_SENDER_H

#include <uv.h>

#include "daemon/log.h"
#include "daemon/quota.h"
#include "daemon/sink.h"
#include "daemon/users.h"

#define SENDER_SMALL 65536u /* a reply up to this needs no reservation */

struct sender {
  struct sink sink; /* what the dispatcher sees of it */
  uv_stream_t *stream;
  struct quota *quota;
  struct log *log;
  const char *peer_name;                /* for the log */
  void (*moved)(struct sender *sender); /* from busy or waiting: ask again what it is now */
  size_t unsent_bytes;                  /* handed to the loop, not yet taken by the kernel */
  size_t charge_bytes;                  /* reserved for the reply under way */
  struct quota_waiter waiter;
  struct user *user;          /* whose replies share in the pool; borrowed; NULL: nobody's */
  struct user_wait share;     /* for room in that share */
  uint64_t progress_ns;       /* the peer last took some bytes */
  size_t seen_unsent_bytes;   /* in our memory at the last look */
  unsigned seen_unread_bytes; /* in the kernel's at the last look */
  bool failed, closed;
};

/* All but `sender` is borrowed, and outlives it. `moved` is called from the loop
 * or from within another connection's calls: it must do no work on the spot. */
void sender_init(struct sender *sender, uv_stream_t *stream, struct quota *quota, struct log *log,
                 const char *peer_name, void (*moved)(struct sender *sender));

/* Nobody is left to read: what is unsent is not waited for any more, nor is room. */
void sender_deafen(struct sender *sender);

/* The reply that it waits for room for is not to be sent. */
void sender_leave_line(struct sender *sender);

/* Gives back its reservation and its place in line. What is unsent goes when the
 * stream is closed, before its close callback. Idempotent. */
void sender_close(struct sender *sender);

static inline bool sender_is_busy(const struct sender *sender) {
  return sender->unsent_bytes > 0 && !sender->sink.deaf;
}
static inline bool sender_is_waiting(const struct sender *sender) {
  return sender->waiter.next != NULL || user_is_waiting(&sender->share);
}

/* Is a part of a reply unsent, and has the peer taken no byte for `timeout_ns`? */
bool sender_is_stalled(struct sender *sender, uint64_t now_ns, uint64_t timeout_ns);

#endif
