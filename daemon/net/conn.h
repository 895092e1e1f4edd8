/* conn.h - one client's connection: bytes in, frames to the dispatcher; the replies
 * go out by sender.h. Everything is bounded:
 *
 * - A request is taken up only when the reply before it has left, and at most
 *   CONN_TURN_MAX of them in a turn of the loop; then the others get theirs. The
 *   connections of one user share a time in each turn (conns_time_is_up). Long
 *   requests, and slices of what takes many turns, wait for a turn of their kind
 *   (enum slice_kind).
 * - Bytes are received into the shared scratch buffer; only an unfinished frame, or
 *   what has to wait, is kept. Up to CONN_FLOOR bytes each client may keep. More are
 *   reserved as they come (intake.h), and held until they are handled; while there is
 *   nothing to reserve, no more than the floor is read from the socket. The rest of a
 *   frame of up to CONN_SMALL bytes stays there until it is whole, and is then handled
 *   at once, or until there is memory. A larger frame is received where it is kept,
 *   and queues for memory. Handling may wait for the quota of
 *   replies, never the reverse: so neither pool can block.
 * - A frame once begun must be whole before the stall timeout, also while it waits for
 *   memory, and a hello before the hello timeout; a whole frame that waits for us has
 *   no deadline. A client that said hello and is silent is left in peace.
 * - While others wait for memory, a peer that holds some and makes no progress for
 *   CONN_GRACE_NS is cut (conn_check_pressure).
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
 * What the kernel keeps of replies is the daemon's memory until the peer has read it,
 * also behind a closed socket. So the socket of a connection that has ended stays, and
 * counts as a client, until its peer has read everything or is gone (`lingers`).
 *
 * One thread, that of the loop. A conn frees itself when its handles have closed. */
#ifndef FC_DAEMON_CONN_H
#define FC_DAEMON_CONN_H

#include <uv.h>

#include "daemon/net/conns.h"
#include "daemon/net/reply_budget.h"
#include "daemon/net/sender.h"
#include "daemon/os/peer.h"
#include "daemon/requests/session.h"

#define CONN_TURN_MAX 16u
#define CONN_FLOOR 4096u         /* input that each client may keep without a reservation */
#define CONN_SMALL 65536u        /* what is kept up to this is read on in the scratch buffer */
#define CONN_STEP 262144u        /* the first reservation of more, at most; then twice as much */
#define CONN_MALLOC_BYTES 16u    /* malloc's own, of a buffer of whole pages */
#define CONN_GRACE_NS 100000000u /* without progress, while others wait for memory */
#define CONN_PROGRESS SENDER_PROGRESS /* fewer bytes of a large frame in that time are none */

struct conn {
  uv_pipe_t pipe;
  uv_poll_t death; /* of the peer's process */
  unsigned open_handles;
  struct conns *conns;
  struct conn *next, *prev; /* in conns->all */
  struct round_robin_item turn;         /* among those of its user that wait for one */
  struct session session;
  struct sender sender;
  struct peer peer;

  uint8_t *in; /* what was read and not handled; NULL while empty */
  size_t in_size, in_capacity;
  size_t need;               /* of the unfinished frame in it; 0: not known */
  struct read_reservation frame; /* the reservation for `in`, if that is larger than the floor */
  size_t mark_bytes;         /* of what is in it, received at ... */
  uint64_t mark_ns;          /* ... this time: it has made progress, or was let on */

  uint64_t accepted_ns;
  uint64_t frame_since_ns; /* an unfinished frame began; 0: none */

  bool charged; /* to its user, as a connection */
  bool watching_death;
  bool reading;    /* from the socket */
  bool starved;    /* a small frame whose rest is not all there waits for memory */
  bool paused;     /* `in` has whole frames, or the one in work */
  bool slices;     /* paused, until there is a turn for a slice (session.slice_kind) */
  bool eof;        /* the peer sends no more */
  bool orphaned;   /* the peer's process has died, whoever holds its socket */
  bool draining;   /* it is to end as soon as nothing accepted is left */
  bool announce_shutdown;   /* with FC_ESHUTDOWN */
  bool input_ended; /* it takes no more requests, and ends when the replies are out */
  bool closing;
  bool lingers; /* closing, but for its socket: the peer has not read what was sent */
};

/* What a connection may take of the daemon's memory without a reservation. */
size_t conn_bytes_max(void);

/* What a frame with the largest value reserves, at most. */
size_t conn_frame_bytes(uint32_t max_value);

/* Connections beyond max_clients that there may be at a time, to be told that they are too many. */
#define CONN_REFUSED_MAX 64u

/* Takes the connection that `listener` has pending. FC_ENOMEM, or FC_EBUSY where there are
 * CONN_REFUSED_MAX too many already: it is pending still. */
int conn_accept(struct conns *conns, uv_stream_t *listener);

/* Goes on with what waited: for its turn, for room, for its reply to leave. */
void conn_resume(struct conn *conn);

/* Ends the connection now; idempotent. Its socket may linger. */
void conn_close(struct conn *conn);

/* The same, and nothing lingers. */
void conn_abort(struct conn *conn);

/* Ends it when what the peer had sent is handled and answered; with `announce_shutdown`, tells it why. */
void conn_drain(struct conn *conn, bool announce_shutdown);

/* Cuts the peer if one of its deadlines has passed. */
void conn_check_deadlines(struct conn *conn, uint64_t now_ns);

/* Others wait for memory for frames, or for replies: cuts the peer if it holds some of that and has
 * made no progress for CONN_GRACE_NS. */
void conn_check_pressure(struct conn *conn, bool frames, bool replies, uint64_t now_ns);

#endif
