/* sender.h - a connection's replies on their way out.
 *
 * A reply is made only when the one before has left: a peer that does not read
 * holds one reply of memory, and last words behind it. Values are sent from where they
 * are stored, and their entries held until then (reclaim.h bounds what that costs). A
 * reply that takes more than SENDER_FLOOR beside them reserves that in the quota of
 * replies first, and returns it when it has left. A reply that was let in waits for
 * nothing but its peer, which the stall timeout bounds; so the pool of replies always
 * moves on.
 *
 * A peer makes progress whenever it takes bytes, out of our memory or out of the
 * kernel's. A slow reader is not stalled.
 *
 * Its states, of which the first that holds counts:
 *   failed   we could not send (no memory): the connection is to be closed
 *   peer_gone     the peer takes no replies any more, or has died. What it had sent is still to be
 *            handled, so there is room for any reply, and replies are dropped
 *   busy     a part of a reply is unsent: nothing else is to be made
 *   waiting  the next reply waits for the quota, or for room in its user's share of that
 *   free     none of these
 *
 * One thread, that of the loop. */
#ifndef FC_DAEMON_SENDER_H
#define FC_DAEMON_SENDER_H

#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/base/users.h"
#include "daemon/net/reply_budget.h"
#include "daemon/net/send_buffer.h"
#include "daemon/requests/reply_sink.h"

/* What each client may hold without a reservation: a reply with the largest value that is copied,
 * or an error; and last words. */
#define SENDER_FLOOR 10240u
#define SENDER_FINAL_ERROR_BYTES 2048u
#define SENDER_PROGRESS 65536u /* the kernel tells of what the peer took in pieces of that size */

struct unsent;

struct sender {
  struct reply_sink sink; /* what the dispatcher sees of it */
  uv_stream_t *stream;
  struct reply_budget *quota;
  struct send_buffers *buffers;
  struct send_buffer buffer; /* in the kernel; set up by sender_start */
  struct log *log;
  const char *peer_name;                /* for the log */
  void (*moved)(struct sender *sender); /* from busy or waiting: ask again what it is now */
  size_t unsent_bytes;                  /* handed to the loop, not yet taken by the kernel */
  size_t charge_bytes;                  /* reserved for the reply under way */
  struct reply_budget_waiter waiter;
  struct user *user;        /* whose replies share in the pool; borrowed; NULL: nobody's */
  struct user_wait share;   /* for room in that share */
  struct unsent *first;     /* parts of replies that the loop has, in their order */
  size_t begun_bytes;       /* of the replies of which a part is unsent, sent or not */
  uint64_t begun_ns;        /* the first of them was made */
  uint64_t progress_ns;     /* the peer last took some bytes */
  size_t seen_unsent_bytes; /* in our memory at the last look */
  size_t seen_unread_bytes; /* in the kernel's at the last look */
  bool failed, closed;
};

/* All but `sender` is borrowed, and outlives it. `moved` is called from the loop
 * or from within another connection's calls: it must do no work on the spot. */
void sender_init(struct sender *sender, uv_stream_t *stream, struct reply_budget *quota,
                 struct send_buffers *buffers, struct log *log, const char *peer_name,
                 void (*moved)(struct sender *sender));

/* The stream's socket is there. Once, before the first reply. */
void sender_start(struct sender *sender, int fd);

/* Of what was sent, does the kernel keep more than a small reply for the peer? */
bool sender_has_unread(const struct sender *sender);

/* Nobody is left to read: what is unsent is not waited for any more, nor is room. */
void sender_set_peer_gone(struct sender *sender);

/* The reply that it waits for room for is not to be sent. */
void sender_cancel_wait(struct sender *sender);

/* Gives back its reservation, its place in line and the entries that it holds: the stream must be
 * closed before the loop runs again. What is unsent goes then, before the close callback.
 * Idempotent. */
void sender_close(struct sender *sender);

static inline bool sender_is_busy(const struct sender *sender) {
  return sender->unsent_bytes > 0 && !sender->sink.peer_gone;
}
static inline bool sender_is_waiting(const struct sender *sender) {
  return sender->waiter.next != NULL || user_wait_is_queued(&sender->share);
}

/* Does what is unsent hold entries: any, or such as have left the store? */
enum sender_entries { SENDER_ANY, SENDER_UNLISTED };
bool sender_holds(const struct sender *sender, enum sender_entries which);

/* How fast the peer takes the replies of which a part is unsent, in bytes a second since they were
 * made. It counts as having taken SENDER_PROGRESS bytes more: so one that has just begun is fast.
 */
uint64_t sender_pace(const struct sender *sender, uint64_t now_ns);

/* Gives back the entries that it holds, now: the peer gets no more bytes, and the sender has
 * failed. No other call is made from within. */
void sender_abort(struct sender *sender);

/* Is a part of a reply unsent, and has the peer taken no byte for `timeout_ns`? */
bool sender_is_stalled(struct sender *sender, uint64_t now_ns, uint64_t timeout_ns);

#endif
