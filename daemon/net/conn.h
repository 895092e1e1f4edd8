/* conn.h - one client's connection: receives frames, dispatches them, and ends.
 *
 * Everything is bounded:
 * - A request is executed when the reply before it has left. A connection executes at most
 *   CONN_TURN_MAX in a turn of the loop. The connections of one user share a time in each turn
 *   (conns_time_is_up). Long requests wait for a slice of their kind (enum slice_kind).
 * - Input is kept as input_buffer.h describes. A request may wait for the reply budget; a reply
 *   never waits for input. So neither pool can block the other.
 * - A frame must be whole before the stall timeout, also while it waits for memory. A hello must
 *   come before the hello timeout. A whole frame that waits for the daemon has no deadline, nor has
 *   a silent client after its handshake.
 * - While others wait for memory, a peer that holds some and makes no progress for CONN_GRACE_NS is
 *   dropped (conn_check_pressure).
 *
 * Accepted work is finished: a frame that is whole in the socket when its peer closes or dies, or
 * when the daemon stops, is executed, and its reply is sent if the peer reads. A connection ends
 * - at the end of the stream, when all frames before it are executed and answered;
 * - draining (the peer's process has died, though a child may hold the socket open; or the daemon
 *   stops), when the socket is empty too. If the daemon stops, the client gets FC_ESHUTDOWN;
 * - after an error that ends it has been sent;
 * - at once, if the peer does not read, or if out of memory.
 *
 * If the trace is behind at the end of a connection whose ring has unread records, the end waits
 * until they are read, so that no line is lost, for CONN_TRACE_WAIT_NS at most. The client's leases
 * are released before, and its socket is shut down. conn_close and conn_abort do not wait.
 *
 * Replies in the kernel are the daemon's memory until the peer has read them, also behind a closed
 * socket. So the socket of an ended connection stays open, and counts as a client, until its peer
 * has read everything or is gone (`lingers`).
 *
 * The states; each implies those before it:
 *   open          requests are received and executed
 *   input_ended   no more requests; the replies, and perhaps a final error, are being sent, or the
 *                 ring waits for the trace
 *   closing       everything is released, except the socket if the connection lingers
 *   freed         in the close callback of its last handle
 * `paused` (a frame waits for the daemon) and `draining` qualify `open`.
 *
 * One thread, that of the loop. */
#ifndef FC_DAEMON_CONN_H
#define FC_DAEMON_CONN_H

#include <uv.h>

#include "daemon/net/conns.h"
#include "daemon/net/input_buffer.h"
#include "daemon/net/sender.h"
#include "daemon/os/peer.h"
#include "daemon/requests/session.h"

#define CONN_TURN_MAX 16u
#define CONN_GRACE_NS 100000000u       /* without progress, while others wait for memory */
#define CONN_TRACE_WAIT_NS 2000000000u /* of an end, for the trace */

/* Connections above max_clients, open only to send them an error. */
#define CONN_REFUSED_MAX 64u

struct conn {
  uv_pipe_t pipe;
  uv_poll_t death; /* of the peer's process */
  unsigned open_handles;
  struct conns *conns;
  struct conn *next, *prev;     /* in conns->all */
  struct round_robin_item turn; /* in a queue of its user */
  struct session session;
  struct input_buffer input;
  struct sender sender;
  struct peer peer;
  uint64_t accepted_ns;
  uint64_t arrived_ns;     /* the whole frames in `input` had come; 0: it has none */
  uint64_t frame_since_ns; /* start of the unfinished frame; 0: none */
  uint64_t trace_until_ns; /* uv_hrtime: it ends then, behind the trace or not; 0: not waiting */

  bool charged;           /* to its user, as a connection */
  bool watching_death;    /* `death` is open */
  bool reading;           /* from the socket */
  bool paused;            /* input has a whole frame that waits for the daemon */
  bool needs_slice;       /* paused until there is a slice of session.slice_kind */
  bool eof;               /* the peer sends no more */
  bool peer_died;         /* its process, even if others hold the socket open */
  bool draining;          /* close it when all accepted work is done */
  bool announce_shutdown; /* draining: send FC_ESHUTDOWN at the end */
  bool input_ended;
  bool closing;
  bool lingers; /* closing, but the socket is open: the peer has not read all replies */
};

/* Returns the memory that a connection may take without a reservation. */
size_t conn_bytes_max(void);

/* Accepts the pending connection of `listener`. Returns 0; FC_EBUSY if CONN_REFUSED_MAX connections
 * above max_clients are open; or FC_ENOMEM. After an error it is still pending. */
int conn_accept(struct conns *conns, uv_stream_t *listener);

/* For conn_accept: initializes a zeroed connection whose pipe is initialized, and adds it to
 * `conns`. Then starts reading, or sends a final error instead. */
void conn_init(struct conn *conn, struct conns *conns);
void conn_start(struct conn *conn);
void conn_refuse(struct conn *conn, int code, const char *text);

/* Sets the session's user, whose shares apply to the connection. */
void conn_set_user(struct conn *conn, struct user *user);

/* Continues a connection that waited for a turn, for memory or for its reply to leave. */
void conn_resume(struct conn *conn);

/* Ends the connection now. Its socket may linger. Idempotent. */
void conn_close(struct conn *conn);

/* Ends the connection and closes its socket. Idempotent. */
void conn_abort(struct conn *conn);

/* Ends the connection when all that the peer has sent is executed and answered. Sends FC_ESHUTDOWN
 * first if `announce_shutdown`. */
void conn_drain(struct conn *conn, bool announce_shutdown);

/* Drops the connection if a deadline of its peer has passed. */
void conn_check_deadlines(struct conn *conn, uint64_t now_ns);

/* Called while others wait for memory for frames or replies: drops the connection if it holds some
 * of that memory and has made no progress for CONN_GRACE_NS. */
void conn_check_pressure(struct conn *conn, bool frames, bool replies, uint64_t now_ns);

#endif
