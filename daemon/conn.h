/* conn.h - one client's connection: bytes in, frames to the dispatcher, replies
 * out. Everything is bounded:
 *
 * - A reply is produced only when the one before has left: a peer that does not
 *   read holds one reply of memory, and after the stall timeout without
 *   progress it is cut.
 * - A frame is received into the shared scratch buffer; only an unfinished one
 *   is kept. One over FC_SMALL reserves its size in the quota first.
 * - At most CONN_TURN_MAX requests are handled in a turn of the loop, then the
 *   others get theirs.
 * - A frame once begun must be whole before the stall timeout, a hello before
 *   the hello timeout. A client that said hello and is silent is left in peace.
 *
 * The peer's process is watched by a pidfd beside the socket, since a child that
 * it forked may hold the socket open after its death: what it had sent is still
 * handled, then the connection ends.
 *
 * One thread, that of the loop. A conn frees itself when its handles have closed. */
#ifndef FC_DAEMON_CONN_H
#define FC_DAEMON_CONN_H

#include <uv.h>

#include "daemon/conns.h"
#include "daemon/peer.h"
#include "daemon/quota.h"
#include "daemon/session.h"
#include "daemon/sink.h"

#define CONN_TURN_MAX 64u
#define CONN_SEND_BUFFER (1 << 20) /* asked of the kernel; bytes */
#define CONN_SMALL 65536u          /* a frame or reply up to this needs no reservation */

struct conn {
  uv_pipe_t pipe;
  uv_poll_t death; /* of the peer's process */
  unsigned open_handles;
  struct conns *conns;
  struct conn *next, *prev; /* in conns->all */
  struct conn *next_ready;  /* in conns->ready */
  struct session session;
  struct sink sink;
  struct peer peer;

  uint8_t *in; /* what was read and not handled; NULL while empty */
  size_t in_size, in_capacity;
  size_t in_charge_bytes;  /* reserved for the frame in `in` */
  size_t out_charge_bytes; /* reserved for the reply under way */
  size_t unsent_bytes;     /* handed to the loop, not yet taken by the kernel */
  struct quota_waiter waiter;

  uint64_t accepted_ns;
  uint64_t frame_since_ns;    /* an unfinished frame began; 0: none */
  uint64_t progress_ns;       /* the peer last took some of the unsent bytes */
  size_t progress_left_bytes; /* unsent at that time */

  bool watching_death, reading, ready, paused, eof;
  bool draining;   /* ends when a whole turn brought nothing more */
  bool read_seen;  /* something was read in this turn */
  bool last_words; /* ends when the unsent bytes are out */
  bool broken;     /* sending failed: ends when the frame in work is done with */
  bool closing;
};

/* Takes a connection that `listener` has pending. FC_* error: nothing was made. */
int conn_accept(struct conns *conns, uv_stream_t *listener);

/* Handles what was left over, once what it waited for has come. */
void conn_resume(struct conn *conn);

/* Ends the connection now; idempotent. */
void conn_close(struct conn *conn);

/* Ends it when what the peer had sent is handled and answered. */
void conn_drain(struct conn *conn);

/* Cuts the peer if one of its deadlines has passed. */
void conn_check_deadlines(struct conn *conn, uint64_t now_ns);

#endif
