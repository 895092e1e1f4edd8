/* conn.h - one client's connection: bytes in, frames to the dispatcher; the replies
 * go out by sender.h. Everything is bounded:
 *
 * - A request is taken up only when the reply before it has left, and at most
 *   CONN_TURN_MAX of them in a turn of the loop; then the others get theirs. The
 *   connections of one user share a time in each turn (conns_turn_is_over). Long
 *   requests, and slices of what takes many turns, wait for a turn of their kind
 *   (enum slice_kind).
 * - A frame is received into the shared scratch buffer; only an unfinished one, or
 *   what has to wait, is kept. A frame over CONN_SMALL reserves memory for its bytes
 *   as they come (intake.h), and holds it until it is handled. Handling may wait for
 *   the quota of replies, never the reverse: so neither pool can block.
 * - A frame once begun must be whole before the stall timeout, also while it waits for
 *   memory, and a hello before the hello timeout; a whole frame that waits for us has
 *   no deadline. A client that said hello and is silent is left in peace.
 * - While others wait for memory, a peer that holds some and makes no progress for
 *   CONN_GRACE_NS is cut (conn_give_way).
 *
 * What was accepted is finished: a frame that stands whole in the socket when its
 * peer closes, dies or is told that we shut down is handled as any other, with its
 * reply sent if there is still somebody to take it. So a connection ends
 *
 * - at the end of the stream, when all before it is handled and answered;
 * - draining (the peer's process died, though a child that it forked may hold the
 *   socket open; or the daemon ends), when besides the socket holds nothing more;
 *   for the daemon's end the last word to a client is then FC_ESHUTDOWN, with id 0;
 * - after an error that ends it, when that is sent;
 * - at once, when the peer does not read, or we are out of memory.
 *
 * One thread, that of the loop. A conn frees itself when its handles have closed. */
#ifndef FC_DAEMON_CONN_H
#define FC_DAEMON_CONN_H

#include <uv.h>

#include "daemon/conns.h"
#include "daemon/peer.h"
#include "daemon/quota.h"
#include "daemon/sender.h"
#include "daemon/session.h"

#define CONN_TURN_MAX 16u
#define CONN_SEND_BUFFER (1 << 20) /* asked of the kernel; bytes */
#define CONN_SMALL 65536u          /* a frame up to this needs no reservation */
#define CONN_STEP 262144u          /* the first reservation of a larger one, at most; then twice */
#define CONN_GRACE_NS 100000000u   /* without progress, while others wait for memory */
#define CONN_PROGRESS 65536u       /* fewer bytes of a large frame in that time are none */

struct conn {
  uv_pipe_t pipe;
  uv_poll_t death; /* of the peer's process */
  unsigned open_handles;
  struct conns *conns;
  struct conn *next, *prev; /* in conns->all */
  struct turn turn;         /* among those of its user that wait for one */
  struct session session;
  struct sender sender;
  struct peer peer;

  uint8_t *in; /* what was read and not handled; NULL while empty */
  size_t in_size, in_capacity;
  struct intake_frame frame; /* the reservation for the large frame in `in` */
  size_t mark_bytes;         /* of that frame, received at ... */
  uint64_t mark_ns;          /* ... this time: it has made progress, or was let on */

  uint64_t accepted_ns;
  uint64_t frame_since_ns; /* an unfinished frame began; 0: none */

  bool charged; /* to its user, as a connection */
  bool watching_death;
  bool reading;    /* from the socket */
  bool paused;     /* `in` has whole frames, or the one in work */
  bool slices;     /* paused, until there is a turn for a slice (session.slice_kind) */
  bool eof;        /* the peer sends no more */
  bool orphaned;   /* the peer's process has died, whoever holds its socket */
  bool draining;   /* it is to end as soon as nothing accepted is left */
  bool farewell;   /* with FC_ESHUTDOWN */
  bool last_words; /* it takes no more requests, and ends when the replies are out */
  bool closing;
};

/* Takes the connection that `listener` has pending. FC_ENOMEM: it is pending still. */
int conn_accept(struct conns *conns, uv_stream_t *listener);

/* Goes on with what waited: for its turn, for room, for its reply to leave. */
void conn_resume(struct conn *conn);

/* Ends the connection now; idempotent. */
void conn_close(struct conn *conn);

/* Ends it when what the peer had sent is handled and answered; with `farewell`, tells it why. */
void conn_drain(struct conn *conn, bool farewell);

/* Cuts the peer if one of its deadlines has passed. */
void conn_check_deadlines(struct conn *conn, uint64_t now_ns);

/* Others wait for memory for frames, or for replies: cuts the peer if it holds some of that and has
 * made no progress for CONN_GRACE_NS. */
void conn_give_way(struct conn *conn, bool frames, bool replies, uint64_t now_ns);

#endif
