#include "daemon/net/conn.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/log.h"
#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"

static void process(struct conn *conn, const uint8_t *data, size_t size);
static void settle(struct conn *conn);

size_t conn_bytes_max(void) {
  return sizeof(struct conn) + INPUT_FLOOR + SENDER_FLOOR + SENDER_FINAL_ERROR_BYTES +
         (size_t)4 * INPUT_MALLOC_BYTES;
}

void conn_set_user(struct conn *conn, struct user *user) {
  conn->session.user = conn->session.leases.user = user;
  conn->sender.user = conn->input.reservation.user = user;
}

/* An empty buffer has nothing to wait for. */
static bool input_is_waiting(const struct conn *conn) {
  return conn->input.size > 0 && input_buffer_is_waiting(&conn->input);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle) {
  struct conn *conn = handle->data;
  struct conns *conns = conn->conns;
  struct user *user = conn->session.user;
  if (--conn->open_handles > 0)
    return;
  peer_deinit(&conn->peer);
  input_buffer_release(&conn->input);
  assert(conn->closing && conn->turn.queue == NULL && !conn->charged);
  assert(conn->sender.unsent_bytes == 0 && conn->sender.charge_bytes == 0);
  assert(conn->input.reservation.held_bytes == 0);
  conn_set_user(conn, NULL);
  user_unref(user);
  free(conn);
  conns_conn_freed(conns);
}

static void close_pipe(struct conn *conn) {
  conn->lingers = false;
  send_buffer_return(&conn->conns->send_buffers, &conn->sender.buffer);
  conns_remove(conn->conns, conn);
  if (conn->charged)
    user_uncharge(conn->session.user, USER_CONNECTIONS, 1);
  conn->charged = false;
  uv_close((uv_handle_t *)&conn->pipe, on_closed);
}

/* The peer sees the end of the stream behind the replies that it has not read. Returns false if
 * there is nothing to wait for; none of the calls fails for an open socket. */
static bool linger(struct conn *conn) {
  if (conn->conns->draining || !sender_has_unread(&conn->sender) ||
      shutdown(conn->sender.buffer.fd, SHUT_RDWR) < 0)
    return false;
  conn->lingers = true;
  return true;
}

void conn_close(struct conn *conn) {
  if (conn->closing)
    return;
  conn->closing = true;
  /* The bytes stay until on_closed: a frame in them may be in progress. */
  input_buffer_cancel_wait(&conn->input);
  sender_close(&conn->sender);
  dispatch_client_gone(conn->conns->dispatch, &conn->session);
  conns_schedule_background(conn->conns);
  conns_schedule_rings(conn->conns);  /* its ring may have pending lines */
  conns_schedule_expiry(conn->conns); /* other clients may have got its leases */
  conns_dequeue(conn);
  (void)uv_read_stop((uv_stream_t *)&conn->pipe); /* documented never to fail */
  conn->reading = false;
  if (conn->watching_death)
    uv_close((uv_handle_t *)&conn->death, on_closed);
  if (!linger(conn))
    close_pipe(conn);
}

void conn_abort(struct conn *conn) {
  conn_close(conn);
  if (conn->lingers)
    close_pipe(conn);
}

/* Ends it in its next turn, because the caller may be walking through the connections. */
void conn_drain(struct conn *conn, bool announce_shutdown) {
  conn->draining = true;
  conn->announce_shutdown = conn->announce_shutdown || announce_shutdown;
  conns_enqueue(conn->conns, conn);
}

/* Other clients do not wait for its leases until it has read its last replies. */
static void release_leases(struct conn *conn) {
  dispatch_release_leases(conn->conns->dispatch, &conn->session);
  sender_cancel_wait(&conn->sender); /* of a deferred reply */
  conns_schedule_background(conn->conns);
  conns_schedule_expiry(conn->conns);
}

/* Takes no more requests, and releases the waits and leases of the last ones. */
static void end_input(struct conn *conn) {
  conn->input_ended = true;
  conn->paused = false;
  input_buffer_cancel_wait(&conn->input);
  release_leases(conn);
}

void conn_refuse(struct conn *conn, int code, const char *text) {
  end_input(conn);
  input_buffer_release(&conn->input);
  dispatch_send_final_error(conn->conns->dispatch, &conn->sender.sink, code, text);
  settle(conn);
}

/* Ends a connection whose peer has broken the protocol or a deadline. */
static void drop(struct conn *conn, int code, const char *text) {
  dispatch_count_dropped(conn->conns->dispatch, &conn->session, text);
  conn_refuse(conn, code, text);
}

/* ---- receiving ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  struct conn *conn = handle->data;
  uint8_t *at;
  size_t size;
  input_buffer_space(&conn->input, &at, &size);
  *buf = uv_buf_init((char *)at, (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct conn *conn = stream->data;
  (void)buf;
  if (n == 0 || conn->closing)
    return;
  if (n == UV_ENOBUFS) { /* no space: input_buffer_keep_unfinished reserves some */
    process(conn, conn->input.bytes, conn->input.size);
    return;
  }
  if (n < 0) {
    conn->eof = true;
    settle(conn);
    return;
  }
  const uint8_t *data = conn->conns->scratch;
  size_t size = (size_t)n;
  if (conn->input.size > 0)
    data = input_buffer_add(&conn->input, size, &size);
  process(conn, data, size);
}

static void set_reading(struct conn *conn, bool reading) {
  if (conn->reading == reading)
    return;
  conn->reading = reading;
  input_buffer_mark_progress(&conn->input, conn->input.size); /* the time starts now */
  if (!reading) {
    (void)uv_read_stop((uv_stream_t *)&conn->pipe); /* documented never to fail */
  } else if (epoll_watch_add((uv_handle_t *)&conn->pipe) < 0) {
    conns_warn_no_watches(conn->conns, "a connection is closed");
    conn_close(conn);
  } else if (uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read) < 0) {
    conn_close(conn);
  }
}

/* ---- frames ---- */

/* Drops a connection for the header of a frame, of `body` bytes. */
static void refuse_frame(struct conn *conn, int code, uint32_t body, uint32_t max_body) {
  char text[128];
  if (code == FC_EFRAME)
    (void)snprintf(text, sizeof text,
                   "a body of %u bytes is larger than the limit of %u: send less in one message",
                   body, max_body);
  else
    (void)snprintf(text, sizeof text,
                   "this is no frame: it must begin with \"FCA1\" and the length of a body");
  drop(conn, code, text);
}

/* Dispatches one frame. Returns false if it must be dispatched again. */
static bool handle_frame(struct conn *conn, const uint8_t *body, uint32_t size) {
  struct conns *conns = conn->conns;
  switch (dispatch_frame(conns->dispatch, &conn->session, &conn->sender.sink, body, size)) {
  case DISPATCH_RETRY:
    conn->paused = true;
    return false;
  case DISPATCH_NO_SLICE:
    conn->paused = conn->needs_slice = true;
    return false;
  case DISPATCH_SHUTDOWN:
    conns->on_shutdown(conns->arg);
    break;
  case DISPATCH_CLOSE:
    end_input(conn);
    break;
  case DISPATCH_DONE:
    break;
  }
  return true;
}

/* Handles whole frames from the front. Returns the number of bytes handled. *need becomes the size
 * of the unfinished frame behind them, or 0 if its header is not whole. `start_ns` is now, and
 * *end_ns becomes the time at the end. */
static size_t handle_frames(struct conn *conn, const uint8_t *data, size_t size, uint64_t start_ns,
                            uint64_t *end_ns, size_t *need) {
  size_t used = 0;
  *need = 0;
  *end_ns = start_ns;
  for (unsigned n = 0; !conn->closing && !conn->sender.failed && !conn->input_ended; n++) {
    uint32_t body = 0;
    uint32_t max_body = dispatch_max_body(conn->conns->dispatch, &conn->session);
    int rc = fc_frame_peek(data + used, size - used, max_body, &body);
    *need = body == 0 ? 0 : (size_t)body + FC_FRAME_HEADER;
    if (rc < 0) {
      refuse_frame(conn, rc, body, max_body);
      break;
    }
    if (rc == FC_FRAME_MORE)
      break;
    conn->paused = n == CONN_TURN_MAX || conns_time_is_up(conn->conns, conn, *end_ns - start_ns);
    if (conn->paused)
      break;
    conn->session.times.arrived_ns = conn->arrived_ns;
    bool handled = handle_frame(conn, data + used + FC_FRAME_HEADER, body);
    *end_ns = conn->conns->dispatch->ended_ns;
    if (!handled)
      break;
    used += *need;
    *need = 0;
  }
  assert(used <= size);
  return used;
}

/* Returns true if both halves of the connection are closed. A peer that has closed its sending half
 * may still read. */
static bool has_hung_up(const struct conn *conn) {
  struct pollfd socket = {.fd = conn->input.fd};
  return poll(&socket, 1, 0) == 1 && (socket.revents & (POLLHUP | POLLERR)) != 0;
}

/* Keeps the bytes that were not handled, if there are some. Returns 0 or FC_ENOMEM. */
static int keep_rest(struct conn *conn, const uint8_t *rest, size_t left, bool progress,
                     size_t need) {
  if (left == 0 || conn->input_ended) {
    if (left == 0)
      conn->frame_since_ns = 0;
    if (conn->input.bytes != NULL)
      input_buffer_release(&conn->input);
    return 0;
  }
  if (progress) {
    conn->frame_since_ns = 0;
    if (left > INPUT_FLOOR)
      input_buffer_mark_progress(&conn->input, left);
  }
  return conn->paused ? input_buffer_keep_frames(&conn->input, rest, left)
                      : input_buffer_keep_unfinished(&conn->input, rest, left, need);
}

/* Handles the frames in data[0..size), which is all that was received, and keeps the rest. */
static void process(struct conn *conn, const uint8_t *data, size_t size) {
  struct conns *conns = conn->conns;
  size_t need;
  uint64_t end_ns, start_ns = uv_hrtime();
  conns_note_turn(conns, start_ns);
  if (conn->arrived_ns == 0)
    conn->arrived_ns = start_ns;
  conn->paused = conn->needs_slice = false;
  if (!conn->session.handshake_done && has_hung_up(conn))
    sender_set_peer_gone(&conn->sender); /* its namespace and ring would be freed at once */
  size_t used = handle_frames(conn, data, size, start_ns, &end_ns, &need);
  if (!conn->paused)
    conn->arrived_ns = 0; /* no whole frame is left */
  conns_charge_time(conns, conn, end_ns - start_ns);
  conns_schedule_background(conns); /* a hello may have deleted a namespace */
  conns_schedule_rings(conns);      /* a ring may have been made, or found full */
  conns_schedule_expiry(conns);     /* a lease may have been granted */
  conns_schedule_watchers(conns);   /* one may wait for events */
  if (conn->closing)
    return;
  if (keep_rest(conn, data + used, size - used, used > 0, need) < 0)
    conn_refuse(conn, FC_ENOMEM, fc_error_text(FC_ENOMEM));
  else
    settle(conn);
}

/* ---- the next step ---- */

static bool waits_for_room(const struct conn *conn) {
  return input_is_waiting(conn) || sender_is_waiting(&conn->sender);
}

/* Returns true if all accepted work is done and no more will come. */
static bool is_over(const struct conn *conn) {
  return conn->input_ended || conn->eof ||
         (conn->draining && input_buffer_unread(&conn->input) == 0);
}

/* Updates the deadline of the unfinished frame. A whole frame that waits for the daemon has none.
 */
static void update_frame_deadline(struct conn *conn, bool open) {
  if (!open)
    conn->frame_since_ns = 0;
  else if (conn->input.size > 0 && conn->frame_since_ns == 0)
    conn->frame_since_ns = uv_hrtime();
}

/* Queues a paused connection. One that waits for the trace is resumed by the rings' timer, one that
 * waits for the record of a clear by dispatch_clears_recorded, one that waits for the fleet by
 * dispatch_fill_resolved, and one that waits for events by the watchers' timer. */
static void queue_paused(struct conn *conn) {
  if (conn->needs_slice)
    conns_enqueue_slice(conn->conns, conn, conn->session.slice_kind);
  else if (!session_waits(&conn->session))
    conns_enqueue(conn->conns, conn);
}

/* Returns true while records in the ring of an ended connection wait for the trace. Its leases are
 * released and its peer sees the end of the stream. The rings' timer resumes it. */
static bool waits_for_trace(struct conn *conn) {
  struct conns *conns = conn->conns;
  struct session *session = &conn->session;
  session->waits_for_trace =
      session->ring != NULL && !rings_end(&conns->dispatch->rings, session->ring);
  if (!session->waits_for_trace)
    return false;
  uint64_t now_ns = uv_hrtime();
  if (conn->trace_until_ns == 0) {
    conn->trace_until_ns = now_ns + CONN_TRACE_WAIT_NS;
    end_input(conn);
    input_buffer_release(&conn->input);
    set_reading(conn, false);
    (void)shutdown(conn->sender.buffer.fd, SHUT_RDWR); /* fails if the peer has gone */
  }
  conns_schedule_rings(conns);
  return now_ns < conn->trace_until_ns;
}

static void finish(struct conn *conn) {
  if (conn->session.leases.due_first != NULL) { /* more deferred replies than a turn may send */
    conns_enqueue(conn->conns, conn);
    return;
  }
  if (conn->announce_shutdown && conn->session.handshake_done && !conn->eof && !conn->input_ended) {
    end_input(conn);
    dispatch_send_final_error(conn->conns->dispatch, &conn->sender.sink, FC_ESHUTDOWN,
                              fc_error_text(FC_ESHUTDOWN));
  }
  if (sender_is_busy(&conn->sender))
    set_reading(conn, false);
  else if (!waits_for_trace(conn))
    conn_close(conn);
}

/* Decides after each event whether to read, to wait, to run again or to end. */
static void settle(struct conn *conn) {
  if (conn->closing)
    return;
  if (conn->sender.failed) {
    conn_close(conn);
    return;
  }
  bool open = !conn->paused && !conn->input_ended && !conn->eof; /* to the rest of a frame */
  if (conn->peer_died) /* its leases must not wait for a reader */
    sender_set_peer_gone(&conn->sender);
  if (conn->eof && !conn->paused)
    release_leases(conn);
  update_frame_deadline(conn, open);
  set_reading(conn, open && !input_is_waiting(conn));
  if (conn->closing)
    return;
  assert(!conn->reading || open);
  if (waits_for_room(conn))
    conns_check_pressure(conn->conns);
  /* The sender and the budgets resume it. A request without a slice has had its call for room: it
   * keeps its place in the budget, and blocks the others until it has a slice. */
  if (sender_is_busy(&conn->sender) || (waits_for_room(conn) && !conn->needs_slice))
    return;
  if (conn->paused)
    queue_paused(conn);
  else if (is_over(conn))
    finish(conn);
}

/* Ends a connection that an administrator killed. Does not wait for a peer that reads nothing. */
static void end_killed(struct conn *conn) {
  if (sender_is_busy(&conn->sender))
    conn_close(conn);
  else if (conn->input_ended)
    settle(conn);
  else
    drop(conn, FC_EKILLED, fc_error_text(FC_EKILLED));
}

void conn_resume(struct conn *conn) {
  if (conn->closing)
    return;
  if (conn->session.killed) {
    end_killed(conn);
    return;
  }
  if (conn->paused && !conn->sender.sink.peer_gone && has_hung_up(conn))
    sender_set_peer_gone(&conn->sender); /* drops requests that only read */
  dispatch_send_deferred(conn->conns->dispatch, &conn->session);
  const char *error = dispatch_session_error(&conn->session);
  if (error != NULL && !conn->input_ended) {
    drop(conn, FC_EPROTOCOL, error);
    return;
  }
  bool stuck = conn->paused && sender_is_busy(&conn->sender);
  if (conn->input.size > 0 && !conn->reading && !conn->input_ended && !stuck)
    process(conn, conn->input.bytes, conn->input.size);
  else
    settle(conn);
}

/* ---- deadlines ---- */

void conn_check_deadlines(struct conn *conn, uint64_t now_ns) {
  const struct conns_limits *limits = &conn->conns->limits;
  if (conn->lingers && !sender_has_unread(&conn->sender)) /* or the peer has closed its end */
    close_pipe(conn);
  if (conn->closing)
    return;
  if (sender_is_stalled(&conn->sender, now_ns, limits->stall_timeout_ns)) {
    dispatch_count_dropped(conn->conns->dispatch, &conn->session, "it does not read its replies");
    conn_close(conn);
    return;
  }
  if (sender_is_busy(&conn->sender) || conn->input_ended || conn->paused)
    return;
  bool late_hello =
      !conn->session.handshake_done && now_ns > conn->accepted_ns + limits->hello_timeout_ns;
  bool late_frame =
      conn->frame_since_ns != 0 && now_ns > conn->frame_since_ns + limits->stall_timeout_ns;
  if (late_hello)
    drop(conn, FC_ETIMEDOUT, "no hello came in time: --hello-timeout says how long it may take");
  else if (late_frame)
    drop(conn, FC_ETIMEDOUT,
         "the rest of a frame did not come in time: --stall-timeout says how long it may take");
}

/* Returns true if the frame waits for bytes that the peer has not sent. A frame that waits for
 * memory waits for its peer only if the socket is empty. */
static bool waits_for_peer(const struct conn *conn) {
  return conn->reading || conn->input.starved ||
         (input_is_waiting(conn) && input_buffer_unread(&conn->input) == 0);
}

void conn_check_pressure(struct conn *conn, bool frames, bool replies, uint64_t now_ns) {
  if (conn->input.starved && input_buffer_can_continue(&conn->input)) {
    conns_enqueue(conn->conns, conn);
    return;
  }
  bool holds_frame = frames && conn->input.reservation.held_bytes > 0;
  bool holds_reply = replies && conn->sender.charge_bytes > 0;
  if (conn->closing || !(holds_frame || holds_reply))
    return;
  bool stalled = sender_is_stalled(&conn->sender, now_ns, CONN_GRACE_NS);
  if (holds_reply && stalled) {
    dispatch_count_dropped(conn->conns->dispatch, &conn->session,
                           "it did not read its replies while others waited for room");
    conn_close(conn);
    return;
  }
  bool late = now_ns > conn->input.mark_ns + CONN_GRACE_NS;
  if (!holds_frame || !(stalled || (late && waits_for_peer(conn))))
    return;
  drop(conn, FC_ETIMEDOUT,
       "a frame made no progress while others waited for memory: send frames in one go");
}

/* ---- the beginning ---- */

static void on_room(struct read_reservation *reservation) {
  struct conn *conn =
      (struct conn *)((char *)reservation - offsetof(struct conn, input.reservation));
  conns_enqueue(conn->conns, conn);
}

static void on_share(struct user_wait *wait) {
  struct conn *conn =
      (struct conn *)((char *)wait - offsetof(struct conn, input.reservation.share));
  conns_enqueue(conn->conns, conn);
}

static void on_sender_change(struct sender *sender) {
  struct conn *conn = (struct conn *)((char *)sender - offsetof(struct conn, sender));
  conns_enqueue(conn->conns, conn);
}

void conn_init(struct conn *conn, struct conns *conns) {
  conn->conns = conns;
  conn->pipe.data = conn;
  conn->open_handles = 1;
  conn->peer.pidfd = -1;
  conn->accepted_ns = uv_hrtime();
  conn->session.client_id = ++conns->dispatch->totals->next_client_id;
  conn->input = (struct input_buffer){
      .budget = &conns->frames,
      .scratch = conns->scratch,
      .fd = -1,
      .reservation = {.ready = on_room, .share.ready = on_share},
  };
  sender_init(&conn->sender, (uv_stream_t *)&conn->pipe, &conns->replies, &conns->send_buffers,
              conns->log, conn->session.name_data, on_sender_change);
  conns_add(conns, conn);
}

void conn_start(struct conn *conn) {
  settle(conn);
}
