/* sender.h - sends the replies of one connection. Implements struct reply_sink over its socket.
 *
 * A connection has one unsent reply at most, plus a final error: the next request is executed when
 * the reply has left. So a peer that does not read holds the memory of one reply. Values are sent
 * from the region, and their entries are held until then (requests/reclaim.h bounds that). A reply
 * that copies more than SENDER_FLOOR bytes reserves them in the reply budget first, and releases
 * them when it has left. It then waits for its peer alone, which the stall timeout bounds, so
 * waiters for the budget make progress.
 *
 * The peer makes progress when it reads bytes: those in the daemon's memory or those in the
 * kernel's. A slow reader is not stalled.
 *
 * The states; the first one that applies counts:
 *   failed     out of memory: close the connection
 *   peer gone  the peer reads no more. Its requests are still executed, and replies are dropped
 *   busy       part of a reply is unsent: no reply may be made
 *   waiting    the next reply waits for the reply budget, or for its user's share of it
 *   free       a reply may be sent
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

/* Bytes that each client may hold without a reservation: the largest value that is copied, or an
 * error; and a final error. */
#define SENDER_FLOOR 10240u
#define SENDER_FINAL_ERROR_BYTES 2048u
#define SENDER_PROGRESS 65536u /* the kernel reports what the peer read in steps of this size */

struct unsent;

struct sender {
  struct reply_sink sink;
  uv_stream_t *stream;
  struct reply_budget *budget;
  struct send_buffers *buffers;
  struct send_buffer buffer; /* in the kernel; set up by sender_start */
  struct log *log;
  const char *peer_name;                    /* for the log */
  void (*on_change)(struct sender *sender); /* busy or waiting may have ended: check the state */
  size_t unsent_bytes;                      /* given to the loop, not yet taken by the kernel */
  size_t charge_bytes;                      /* reserved for the current reply */
  bool waiting;                             /* for `waiter` or `share` */
  struct reply_budget_waiter waiter;
  struct user *user;        /* borrowed; NULL: without a share */
  struct user_wait share;   /* for room in the user's share */
  struct unsent *first;     /* unsent parts of replies, in order */
  size_t begun_bytes;       /* of the replies with an unsent part, sent or not */
  uint64_t begun_ns;        /* the first of them was made */
  uint64_t progress_ns;     /* the peer last read something */
  size_t seen_unsent_bytes; /* in the daemon's memory, when last checked */
  size_t seen_unread_bytes; /* in the kernel's memory, when last checked */
  bool failed, closed;
};

/* Borrows everything but `sender`. `on_change` is called from the loop, or from within calls of
 * other connections: it must only schedule work. */
void sender_init(struct sender *sender, uv_stream_t *stream, struct reply_budget *budget,
                 struct send_buffers *buffers, struct log *log, const char *peer_name,
                 void (*on_change)(struct sender *sender));

/* Sets the stream's socket. Call it once, before the first reply. */
void sender_start(struct sender *sender, int fd);

/* Returns true if the kernel keeps more unread bytes than a small reply. */
bool sender_has_unread(const struct sender *sender);

/* The peer reads no more: unsent bytes and waits for room no longer matter. */
void sender_set_peer_gone(struct sender *sender);

/* Cancels the wait of a reply that will not be sent. Idempotent. */
void sender_cancel_wait(struct sender *sender);

/* Releases the reservation, the wait and all held entries. Close the stream before the loop runs
 * again. Unsent bytes are freed before the close callback. Idempotent. */
void sender_close(struct sender *sender);

static inline bool sender_is_busy(const struct sender *sender) {
  return sender->unsent_bytes > 0 && !sender->sink.peer_gone;
}
static inline bool sender_is_waiting(const struct sender *sender) {
  return sender->waiting;
}

/* Returns true if part of a reply is unsent and the peer has read nothing for `timeout_ns`. */
bool sender_is_stalled(struct sender *sender, uint64_t now_ns, uint64_t timeout_ns);

#endif
