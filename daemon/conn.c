#include "daemon/conn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/watch.h"
#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/message.h"

static void process(struct conn *conn, const uint8_t *data, size_t size);
static void settle(struct conn *conn);

/* ---- the end ---- */

static void closed(uv_handle_t *handle) {
  struct conn *conn = handle->data;
  if (--conn->open_handles > 0)
    return;
  peer_deinit(&conn->peer);
  free(conn->in);
  free(conn);
}

/* The large frame is done, or given up. */
static void release_frame(struct conn *conn) {
  intake_release(&conn->conns->frames, &conn->frame);
}

static void release_input(struct conn *conn) {
  free(conn->in);
  conn->in = NULL;
  conn->in_size = conn->in_capacity = 0;
  release_frame(conn);
}

void conn_close(struct conn *conn) {
  if (conn->closing)
    return;
  conn->closing = true;
  release_frame(conn); /* `in` itself stays until `closed`: a frame in it may be in work */
  sender_close(&conn->sender);
  dispatch_leave(conn->conns->dispatch, &conn->session);
  conns_chores(conn->conns);
  conns_rings(conn->conns);  /* its ring may owe lines to the trace */
  conns_expiry(conn->conns); /* who waited for it may have got its leases */
  conns_remove(conn->conns, conn);
  if (conn->watching_death)
    uv_close((uv_handle_t *)&conn->death, closed);
  uv_close((uv_handle_t *)&conn->pipe, closed);
}

/* In the next turn: the caller may be walking through the connections. */
void conn_drain(struct conn *conn, bool farewell) {
  conn->draining = true;
  conn->farewell = conn->farewell || farewell;
  conns_ready(conn->conns, conn);
}

/* ---- receiving ---- */

static void alloc_input(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  struct conn *conn = handle->data;
  if (conn->in_size > 0)
    *buf = uv_buf_init((char *)conn->in + conn->in_size,
                       (unsigned)(conn->in_capacity - conn->in_size));
  else
    *buf = uv_buf_init((char *)conn->conns->scratch, sizeof conn->conns->scratch);
}

static void mark_progress(struct conn *conn, size_t size) {
  conn->mark_bytes = size;
  conn->mark_ns = uv_hrtime();
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct conn *conn = stream->data;
  if (n == 0 || conn->closing)
    return;
  if (n < 0) {
    conn->eof = true;
    settle(conn);
  } else if (conn->in_size > 0) {
    conn->in_size += (size_t)n;
    if (conn->in_size >= conn->mark_bytes + CONN_PROGRESS)
      mark_progress(conn, conn->in_size);
    process(conn, conn->in, conn->in_size);
  } else {
    process(conn, (const uint8_t *)buf->base, (size_t)n);
  }
}

static void say_no_watches(struct conns *conns, const char *what_then) {
  log_once(conns->log, &conns->said_no_watches, LOG_LEVEL_WARNING, "%s: %s", what_then, WATCH_FULL);
}

static void read_on(struct conn *conn, bool on) {
  if (conn->reading == on)
    return;
  conn->reading = on;
  mark_progress(conn, conn->in_size); /* from here on the peer can make some */
  if (!on) {
    (void)uv_read_stop((uv_stream_t *)&conn->pipe); /* documented never to fail */
  } else if (watch_take((uv_handle_t *)&conn->pipe) < 0) {
    say_no_watches(conn->conns, "a connection is closed");
    conn_close(conn);
  } else if (uv_read_start((uv_stream_t *)&conn->pipe, alloc_input, on_read) < 0) {
    conn_close(conn);
  }
}

/* Keeps the bytes that were not handled (there are some), in a buffer of at least `capacity`. */
static int keep(struct conn *conn, const uint8_t *data, size_t size, size_t capacity) {
  assert(data != NULL);
  bool inside = conn->in != NULL && data >= conn->in && data < conn->in + conn->in_capacity;
  if (inside && conn->in_capacity >= capacity) {
    if (data != conn->in) /* a large frame that waits stays where it is */
      memmove(conn->in, data, size);
  } else {
    if (capacity < CONN_SMALL)
      capacity = CONN_SMALL;
    bool grows = data == conn->in;
    uint8_t *room = grows ? realloc(conn->in, capacity) : malloc(capacity);
    if (room == NULL)
      return FC_ENOMEM;
    if (!grows) {
      memcpy(room, data, size);
      free(conn->in);
    }
    conn->in = room;
    conn->in_capacity = capacity;
  }
  conn->in_size = size;
  return 0;
}

/* There are no more requests: others do not wait until the last replies were read. */
static void let_go(struct conn *conn) {
  dispatch_let_go(conn->conns->dispatch, &conn->session);
  sender_leave_line(&conn->sender); /* it was for an answer to a wait */
  conns_chores(conn->conns);
  conns_expiry(conn->conns);
}

/* No more requests: what they would need is given up. */
static void end_input(struct conn *conn) {
  conn->last_words = true;
  conn->paused = false;
  if (intake_is_waiting(&conn->frame))
    release_frame(conn);
  let_go(conn);
}

static void fail(struct conn *conn, int code, const char *text) {
  end_input(conn);
  release_input(conn); /* what others may wait for */
  dispatch_last_words(conn->conns->dispatch, &conn->sender.sink, code, text);
  settle(conn);
}

/* The peer has broken the protocol, or a deadline. */
static void drop(struct conn *conn, int code, const char *text) {
  dispatch_dropped(conn->conns->dispatch, &conn->session, text);
  fail(conn, code, text);
}

/* The beginning of a frame, of `body` bytes, is none that we take. */
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

/* Handles whole frames from the front. Returns the bytes used up; *need is the
 * size of the unfinished frame at the end, 0 where its header is not whole. */
static size_t handle_frames(struct conn *conn, const uint8_t *data, size_t size, size_t *need) {
  size_t used = 0;
  *need = 0;
  for (unsigned turn = 0; !conn->closing && !conn->sender.failed && !conn->last_words; turn++) {
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
    conn->paused = turn == CONN_TURN_MAX;
    if (conn->paused)
      break;
    switch (dispatch_frame(conn->conns->dispatch, &conn->session, &conn->sender.sink,
                           data + used + FC_FRAME_HEADER, body)) {
    case DISPATCH_AGAIN:
      conn->paused = true;
      return used;
    case DISPATCH_LATER:
      conn->paused = conn->slices = true;
      return used;
    case DISPATCH_SHUTDOWN:
      conn->conns->on_shutdown(conn->conns->arg);
      break;
    case DISPATCH_CLOSE:
      end_input(conn);
      break;
    case DISPATCH_DONE:
      break;
    }
    used += *need;
    *need = 0;
  }
  return used;
}

/* The capacity for an unfinished frame of `need` bytes (0: unknown), of which `left` are there. A
 * large one takes memory as it comes. */
static size_t capacity_for(const struct conn *conn, size_t left, size_t need) {
  size_t now = conn->in_capacity > CONN_SMALL ? conn->in_capacity : CONN_SMALL;
  if (need <= CONN_SMALL || left < now)
    return now;
  size_t step = now < CONN_STEP ? CONN_STEP : 2 * now;
  return step < need ? step : need;
}

/* Keeps what is left of an unfinished frame, with room for more of it; or without, while there is
 * no memory for it. 0 or FC_ENOMEM. */
static int keep_unfinished(struct conn *conn, const uint8_t *data, size_t left, size_t need) {
  size_t capacity = capacity_for(conn, left, need);
  bool grows = capacity > CONN_SMALL && capacity > conn->in_capacity;
  if (grows && !intake_reserve(&conn->conns->frames, &conn->frame, capacity))
    capacity = left;
  else if (grows)
    mark_progress(conn, left);
  return keep(conn, data, left, capacity);
}

/* Both halves are closed. (A peer that has closed its sending half alone may still read.) */
static bool has_hung_up(const struct conn *conn) {
  uv_os_fd_t fd;
  if (uv_fileno((const uv_handle_t *)&conn->pipe, &fd) < 0)
    return false;
  struct pollfd socket = {.fd = fd};
  return poll(&socket, 1, 0) == 1 && (socket.revents & (POLLHUP | POLLERR)) != 0;
}

/* Handles what there is of data[0..size), which is all that was read, and keeps the rest. */
static void process(struct conn *conn, const uint8_t *data, size_t size) {
  size_t need;
  conn->paused = conn->slices = false;
  if (!conn->session.greeted && has_hung_up(conn))
    sender_deafen(&conn->sender); /* what a welcome gives it would only be made and freed again */
  size_t used = handle_frames(conn, data, size, &need);
  conns_chores(conn->conns); /* a hello may have dropped a namespace */
  conns_rings(conn->conns);  /* or have been given a ring, or one was found full */
  conns_expiry(conn->conns); /* or a get a lease */
  if (conn->closing)
    return;
  size_t left = size - used;
  if (left == 0) {
    conn->frame_since_ns = 0;
    release_input(conn);
  } else if (!conn->last_words) {
    if (used > 0) { /* the large frame, if there was one, is done */
      release_frame(conn);
      conn->frame_since_ns = 0;
    }
    int rc = conn->paused ? keep(conn, data + used, left, left)
                          : keep_unfinished(conn, data + used, left, need);
    if (rc < 0) {
      fail(conn, FC_ENOMEM, fc_error_text(FC_ENOMEM));
      return;
    }
  } else {
    release_input(conn);
  }
  settle(conn);
}

/* ---- what comes next ---- */

static bool waits_for_room(const struct conn *conn) {
  return intake_is_waiting(&conn->frame) || sender_is_waiting(&conn->sender);
}

/* Every byte that the peer has sent by now is in the socket, or was read. */
static bool socket_is_empty(const struct conn *conn) {
  uv_os_fd_t fd;
  int unread = 0;
  return uv_fileno((const uv_handle_t *)&conn->pipe, &fd) < 0 || ioctl(fd, FIONREAD, &unread) < 0 ||
         unread == 0;
}

static void say_farewell(struct conn *conn) {
  end_input(conn);
  dispatch_last_words(conn->conns->dispatch, &conn->sender.sink, FC_ESHUTDOWN,
                      fc_error_text(FC_ESHUTDOWN));
}

/* Nothing of what was accepted is left: is it to end? */
static bool is_over(const struct conn *conn) {
  return conn->last_words || conn->eof || (conn->draining && socket_is_empty(conn));
}

/* Decides after each event, here alone, whether to read on, to try again or to end. */
static void settle(struct conn *conn) {
  if (conn->closing)
    return;
  bool open = !conn->paused && !conn->last_words && !conn->eof; /* to more of what was begun */
  bool read = open && !intake_is_waiting(&conn->frame);
  if (conn->sender.failed) {
    conn_close(conn);
    return;
  }
  if (conn->orphaned) /* its leases are not to wait for a reader that is not there */
    sender_deafen(&conn->sender);
  if (conn->eof && !conn->paused)
    let_go(conn);
  if (!open) /* what is whole and waits for us has no deadline */
    conn->frame_since_ns = 0;
  else if (conn->in_size > 0 && conn->frame_since_ns == 0)
    conn->frame_since_ns = uv_hrtime();
  read_on(conn, read);
  if (conn->closing)
    return;
  if (waits_for_room(conn))
    conns_pressure(conn->conns);
  if (sender_is_busy(&conn->sender) || waits_for_room(conn))
    return; /* what it waits for calls again */
  if (conn->paused) {
    if (conn->slices)
      conns_slice(conn->conns, conn, conn->session.slice_kind);
    else if (!conn->session.waits_for_trace) /* else the rings' timer calls again */
      conns_ready(conn->conns, conn);
    return;
  }
  if (!is_over(conn))
    return;
  if (conn->farewell && conn->session.greeted && !conn->eof && !conn->last_words)
    say_farewell(conn);
  if (sender_is_busy(&conn->sender))
    read_on(conn, false);
  else
    conn_close(conn);
}

void conn_resume(struct conn *conn) {
  if (conn->closing)
    return;
  if (conn->paused && !conn->sender.sink.deaf && has_hung_up(conn))
    sender_deafen(&conn->sender); /* what only reads is for nobody */
  dispatch_resume(conn->conns->dispatch, &conn->session);
  const char *fault = dispatch_fault(&conn->session);
  if (fault != NULL && !conn->last_words) {
    drop(conn, FC_EPROTOCOL, fault);
    return;
  }
  bool stuck = conn->paused && sender_is_busy(&conn->sender);
  if (conn->in_size > 0 && !conn->reading && !conn->last_words && !stuck)
    process(conn, conn->in, conn->in_size);
  else
    settle(conn);
}

static void on_room(struct intake_frame *frame) {
  struct conn *conn = (struct conn *)((char *)frame - offsetof(struct conn, frame));
  conns_ready(conn->conns, conn);
}

static void on_sender_moved(struct sender *sender) {
  struct conn *conn = (struct conn *)((char *)sender - offsetof(struct conn, sender));
  conns_ready(conn->conns, conn);
}

/* ---- deadlines, and the peer's death ---- */

void conn_check_deadlines(struct conn *conn, uint64_t now_ns) {
  const struct conns_limits *limits = &conn->conns->limits;
  if (sender_is_stalled(&conn->sender, now_ns, limits->stall_timeout_ns)) {
    dispatch_dropped(conn->conns->dispatch, &conn->session, "it does not read its replies");
    conn_close(conn);
    return;
  }
  if (sender_is_busy(&conn->sender) || conn->last_words || conn->paused)
    return;
  bool late_hello = !conn->session.greeted && now_ns > conn->accepted_ns + limits->hello_timeout_ns;
  bool late_frame =
      conn->frame_since_ns != 0 && now_ns > conn->frame_since_ns + limits->stall_timeout_ns;
  if (late_hello)
    drop(conn, FC_ETIMEDOUT, "no hello came in time: --hello-timeout says how long it may take");
  else if (late_frame)
    drop(conn, FC_ETIMEDOUT,
         "the rest of a frame did not come in time: --stall-timeout says how long it may take");
}

void conn_give_way(struct conn *conn, bool frames, bool replies, uint64_t now_ns) {
  bool holds_frame = frames && conn->frame.held_bytes > 0;
  bool holds_reply = replies && conn->sender.charge_bytes > 0;
  if (conn->closing || !(holds_frame || holds_reply))
    return;
  bool stalled = sender_is_stalled(&conn->sender, now_ns, CONN_GRACE_NS);
  if (holds_reply && stalled) {
    dispatch_dropped(conn->conns->dispatch, &conn->session,
                     "it did not read its replies while others waited for room");
    conn_close(conn);
    return;
  }
  bool waits = conn->reading && now_ns > conn->mark_ns + CONN_GRACE_NS;
  if (!holds_frame || !(waits || stalled))
    return;
  drop(conn, FC_ETIMEDOUT,
       "a large frame made no progress while others waited for room: send frames in one go");
}

static void on_death(uv_poll_t *poll, int status, int events) {
  (void)status; /* whatever it says, the process can no longer be watched */
  (void)events;
  struct conn *conn = poll->data;
  (void)uv_poll_stop(poll); /* documented never to fail */
  conn->orphaned = true;
  conn_drain(conn, false);
}

static void watch_death(struct conn *conn) {
  const char *unwatched =
      "a client's process is not watched, its exit is seen by its socket closing";
  if (conn->peer.pidfd < 0)
    return; /* the socket's end alone then tells */
  if (uv_poll_init(conn->conns->loop, &conn->death, conn->peer.pidfd) < 0) { /* it tries a place */
    say_no_watches(conn->conns, unwatched);
    return;
  }
  conn->death.data = conn;
  conn->open_handles++;
  conn->watching_death = true;
  if (uv_poll_start(&conn->death, UV_READABLE, on_death) < 0) {
    log_line(conn->conns->log, LOG_LEVEL_WARNING,
             "cannot watch process %ld: its exit is seen by its socket closing",
             (long)conn->peer.pid);
  } else if (watch_take((uv_handle_t *)&conn->death) < 0) {
    (void)uv_poll_stop(&conn->death); /* documented never to fail */
    say_no_watches(conn->conns, unwatched);
  } else {
    conn->conns->said_no_watches = false;
  }
}

/* ---- the beginning ---- */

/* Once the last descriptor is used, libuv closes whoever connects, and tells nobody: so that is
 * said when it comes to that. */
static void check_descriptors(struct conns *conns) {
  int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd >= 0) {
    (void)close(fd); /* another name for stderr */
    conns->said_no_descriptors = false;
  } else if (errno == EMFILE || errno == ENFILE) {
    log_once(conns->log, &conns->said_no_descriptors, LOG_LEVEL_WARNING,
             "no descriptors are left at %u clients: others are turned away until some leave; "
             "raise LimitNOFILE, or lower --max-clients",
             conns->count);
  }
}

static int start(struct conn *conn) {
  uv_os_fd_t fd;
  int rc = uv_fileno((uv_handle_t *)&conn->pipe, &fd);
  if (rc < 0 || peer_init(&conn->peer, fd) < 0)
    return FC_EREFUSED;
  /* Twice what it is by default, if the system's bound allows: half as many waits and switches for
   * a large reply. What is given is as good. */
  int send_bytes = CONN_SEND_BUFFER;
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
  const struct conns_limits *limits = &conn->conns->limits;
  check_descriptors(conn->conns);
  conn->session.pid = conn->peer.pid;
  conn->session.birth = conn->peer.birth;
  conn->session.uid = conn->peer.uid;
  conn->session.admin = peer_is_admin(&conn->peer, &limits->admins);
  if (conn->conns->count > limits->max_clients) {
    dispatch_refused(conn->conns->dispatch, &conn->session, fc_error_text(FC_EBUSY));
    fail(conn, FC_EBUSY, fc_error_text(FC_EBUSY));
    return 0;
  }
  if (watch_take((uv_handle_t *)&conn->pipe) < 0) {
    say_no_watches(conn->conns, "a client is refused");
    dispatch_refused(conn->conns->dispatch, &conn->session, WATCH_FULL);
    fail(conn, FC_EBUSY, WATCH_FULL);
    return 0;
  }
  watch_death(conn);
  settle(conn);
  return 0;
}

int conn_accept(struct conns *conns, uv_stream_t *listener) {
  struct conn *conn = calloc(1, sizeof *conn);
  if (conn == NULL)
    return FC_ENOMEM;
  /* While a connection waited for memory, libuv did not watch the listener. */
  if (watch_take((uv_handle_t *)listener) < 0) {
    free(conn);
    return FC_ENOMEM;
  }
  conn->conns = conns;
  if (uv_pipe_init(conns->loop, &conn->pipe, 0) < 0) { /* it only fills in the struct */
    free(conn);
    return FC_ENOMEM;
  }
  conn->pipe.data = conn;
  conn->open_handles = 1;
  conn->peer.pidfd = -1;
  conn->accepted_ns = uv_hrtime();
  conn->session.client_id = ++conns->next_client_id;
  sender_init(&conn->sender, (uv_stream_t *)&conn->pipe, &conns->replies, conns->log,
              conn->session.name_data, on_sender_moved);
  conn->frame.ready = on_room;
  conns_add(conns, conn);
  if (uv_accept(listener, (uv_stream_t *)&conn->pipe) < 0 || start(conn) < 0)
    conn_close(conn);
  return 0;
}
