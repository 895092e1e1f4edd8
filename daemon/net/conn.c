#include "daemon/net/conn.h"

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

#include "daemon/base/log.h"
#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"

#define PAGE_BYTES 4096u
#define KEEP_UNIT                                                                                  \
  16384u /* of small buffers beyond the floor; such are whole pages of their own                   \
          */
#define CONN_RESERVED_MAX (CONN_SMALL + PAGE_BYTES) /* for the most that is kept of the scratch */

static void process(struct conn *conn, const uint8_t *data, size_t size);
static void settle(struct conn *conn);
static void release_input(struct conn *conn);
static void starve(struct conn *conn, bool starved);

/* ---- the end ---- */

static void set_user(struct conn *conn, struct user *user) {
  conn->session.user = conn->session.leases.user = user;
  conn->sender.user = conn->frame.user = user;
}

static void leave_user(struct conn *conn) {
  struct user *user = conn->session.user;
  set_user(conn, NULL);
  user_leave(user);
}

static void closed(uv_handle_t *handle) {
  struct conn *conn = handle->data;
  if (--conn->open_handles > 0)
    return;
  struct conns *conns = conn->conns;
  peer_deinit(&conn->peer);
  release_input(conn);
  leave_user(conn);
  free(conn);
  conns_freed(conns);
}

static void release_input(struct conn *conn) {
  size_t held_bytes = conn->frame.held_bytes;
  intake_release(&conn->conns->frames, &conn->frame);
  if (conn->in_capacity > CONN_SMALL)
    intake_give_spare(&conn->conns->frames, conn->in, held_bytes);
  else
    free(conn->in);
  conn->in = NULL;
  conn->in_size = conn->in_capacity = conn->need = 0;
}

static void close_pipe(struct conn *conn) {
  conn->lingers = false;
  send_buffer_return(&conn->conns->send_buffers, &conn->sender.buffer);
  conns_remove(conn->conns, conn);
  if (conn->charged)
    user_release(conn->session.user, USER_CONNECTIONS, 1);
  conn->charged = false;
  uv_close((uv_handle_t *)&conn->pipe, closed);
}

/* The peer sees the end behind what it has not read. Nothing of this can fail for an open socket,
 * and with any other there is nothing to wait for. */
static bool linger(struct conn *conn) {
  if (conn->conns->draining || !sender_leaves_unread(&conn->sender) ||
      shutdown(conn->sender.buffer.fd, SHUT_RDWR) < 0)
    return false;
  conn->lingers = true;
  return true;
}

void conn_close(struct conn *conn) {
  if (conn->closing)
    return;
  conn->closing = true;
  /* `in` stays until `closed`, and its reservation with it: a frame in it may be in work. */
  intake_leave(&conn->conns->frames, &conn->frame);
  starve(conn, false);
  sender_close(&conn->sender);
  dispatch_leave(conn->conns->dispatch, &conn->session);
  conns_chores(conn->conns);
  conns_rings(conn->conns);  /* its ring may owe lines to the trace */
  conns_expiry(conn->conns); /* who waited for it may have got its leases */
  conns_unqueue(conn);
  (void)uv_read_stop((uv_stream_t *)&conn->pipe); /* documented never to fail */
  if (conn->watching_death)
    uv_close((uv_handle_t *)&conn->death, closed);
  if (!linger(conn))
    close_pipe(conn);
}

void conn_end(struct conn *conn) {
  conn_close(conn);
  if (conn->lingers)
    close_pipe(conn);
}

/* In the next turn: the caller may be walking through the connections. */
void conn_drain(struct conn *conn, bool farewell) {
  conn->draining = true;
  conn->farewell = conn->farewell || farewell;
  conns_ready(conn->conns, conn);
}

/* ---- receiving ---- */

/* Bytes that the peer has sent and that were not read; 0 where that is unknown. */
static size_t unread_bytes(const struct conn *conn) {
  uv_os_fd_t fd;
  int unread = 0;
  if (uv_fileno((const uv_handle_t *)&conn->pipe, &fd) < 0 || ioctl(fd, FIONREAD, &unread) < 0 ||
      unread < 0)
    return 0;
  return (size_t)unread;
}

/* A small frame whose rest is in the socket can be read and handled at once, without a reservation.
 * Where it has to wait, or less is read than there seemed to be (descriptors that come with it end
 * a read), the part for whole frames has room for it. */
static bool can_finish(const struct conn *conn) {
  return conn->need > 0 && conn->need <= CONN_SMALL && conn->in_capacity <= CONN_SMALL &&
         intake_has_room_whole(&conn->conns->frames, CONN_RESERVED_MAX) &&
         conn->in_size + unread_bytes(conn) >= conn->need;
}

/* What is kept, and read on in the scratch buffer, may grow to so many bytes now. */
static size_t reading_limit(const struct conn *conn) {
  if (intake_has_room(&conn->conns->frames, CONN_RESERVED_MAX))
    return sizeof conn->conns->scratch;
  size_t limit = conn->in_capacity > CONN_FLOOR ? conn->in_capacity : CONN_FLOOR;
  return conn->need > limit && can_finish(conn) ? conn->need : limit;
}

static void alloc_input(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  struct conn *conn = handle->data;
  if (conn->in_capacity > CONN_SMALL) {
    *buf = uv_buf_init((char *)conn->in + conn->in_size,
                       (unsigned)(conn->in_capacity - conn->in_size));
    return;
  }
  size_t limit = reading_limit(conn);
  if (conn->in_size > 0)
    memcpy(conn->conns->scratch, conn->in, conn->in_size);
  *buf =
      uv_buf_init((char *)conn->conns->scratch + conn->in_size, (unsigned)(limit - conn->in_size));
}

static void mark_progress(struct conn *conn, size_t size) {
  conn->mark_bytes = size;
  conn->mark_ns = uv_hrtime();
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct conn *conn = stream->data;
  (void)buf;
  if (n == 0 || conn->closing)
    return;
  if (n == UV_ENOBUFS) { /* the room that there was is gone: it has to reserve some */
    process(conn, conn->in, conn->in_size);
    return;
  }
  if (n < 0) {
    conn->eof = true;
    settle(conn);
    return;
  }
  size_t size = conn->in_size + (size_t)n;
  if (size >= conn->mark_bytes + CONN_PROGRESS)
    mark_progress(conn, size);
  if (conn->in_capacity > CONN_SMALL)
    conn->in_size = size;
  process(conn, conn->in_capacity > CONN_SMALL ? conn->in : conn->conns->scratch, size);
}

static void say_no_watches(struct conns *conns, const char *what_then) {
  log_once(conns->log, &conns->said_no_watches, LOG_LEVEL_WARNING, "%s: %s", what_then,
           EPOLL_WATCH_FULL);
}

static void read_on(struct conn *conn, bool on) {
  if (conn->reading == on)
    return;
  conn->reading = on;
  mark_progress(conn, conn->in_size); /* from here on the peer can make some */
  if (!on) {
    (void)uv_read_stop((uv_stream_t *)&conn->pipe); /* documented never to fail */
  } else if (epoll_watch_add((uv_handle_t *)&conn->pipe) < 0) {
    say_no_watches(conn->conns, "a connection is closed");
    conn_close(conn);
  } else if (uv_read_start((uv_stream_t *)&conn->pipe, alloc_input, on_read) < 0) {
    conn_close(conn);
  }
}

static size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/* What a buffer of that capacity reserves. */
static size_t charge_of(size_t capacity) {
  return capacity <= CONN_FLOOR ? 0 : round_up(capacity + CONN_MALLOC_BYTES, PAGE_BYTES);
}

size_t conn_bytes_max(void) {
  return sizeof(struct conn) + CONN_FLOOR + SENDER_FLOOR + SENDER_LAST_WORDS +
         (size_t)4 * CONN_MALLOC_BYTES;
}

size_t conn_frame_bytes(uint32_t max_value) {
  return charge_of((size_t)max_value + FC_FRAME_SLACK + FC_FRAME_HEADER);
}

/* Of a buffer for no more than `bytes`, as long as they are read on in the scratch buffer. */
static size_t capacity_to_keep(size_t bytes) {
  return bytes <= CONN_FLOOR ? CONN_FLOOR : round_up(bytes, KEEP_UNIT);
}

/* A buffer of that capacity, which is reserved, with the bytes that are to be kept. 0 or FC_ENOMEM.
 */
static int move_to_buffer(struct conn *conn, const uint8_t *data, size_t size, size_t capacity) {
  bool grows = data == conn->in && conn->in_capacity > CONN_SMALL;
  size_t charge = charge_of(capacity), bytes = charge > 0 ? charge - CONN_MALLOC_BYTES : capacity;
  uint8_t *room = grows ? realloc(conn->in, bytes) : malloc(bytes);
  if (room == NULL)
    return FC_ENOMEM;
  if (!grows) {
    memcpy(room, data, size);
    free(conn->in);
  }
  conn->in = room;
  conn->in_capacity = capacity;
  conn->in_size = size;
  return 0;
}

/* Keeps the bytes that were not handled (there are some) in a buffer of that capacity, for which
 * there is room: what alloc_input gave was no more than that. 0 or FC_ENOMEM. */
static int keep(struct conn *conn, const uint8_t *data, size_t size, size_t capacity) {
  struct intake *frames = &conn->conns->frames;
  assert(data != NULL);
  if (conn->frame.held_bytes == 0 && capacity > CONN_FLOOR)
    mark_progress(conn, size);
  bool reserved = intake_reserve_whole(frames, &conn->frame, charge_of(capacity));
  assert(reserved);
  if (!reserved) /* a fault of ours: rather than to hold what is not counted */
    return FC_ENOMEM;
  bool same = capacity == conn->in_capacity;
  if (!same) {
    int rc = move_to_buffer(conn, data, size, capacity);
    if (rc < 0)
      return rc;
  } else {
    if (data != conn->in) /* a large frame that waits stays where it is */
      memmove(conn->in, data, size);
    conn->in_size = size;
  }
  /* One that waits wants more; a large one may have a spare buffer, which is larger. */
  if (!intake_is_waiting(&conn->frame) && !(same && capacity > CONN_SMALL))
    intake_shrink(frames, &conn->frame, charge_of(capacity));
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
  intake_leave(&conn->conns->frames, &conn->frame);
  starve(conn, false);
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
 * size of the unfinished frame at the end, 0 where its header is not whole; `start_ns` is now. */
static size_t handle_frames(struct conn *conn, const uint8_t *data, size_t size, uint64_t start_ns,
                            size_t *need) {
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
    conn->paused = turn == CONN_TURN_MAX || conns_turn_is_over(conn->conns, conn, start_ns);
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

static void starve(struct conn *conn, bool starved) {
  conn->conns->starved += starved;
  conn->conns->starved -= conn->starved;
  conn->starved = starved;
}

/* The next capacity for an unfinished frame of `need` bytes (0: unknown), of which `left` are
 * there. A large one takes memory as it comes. */
static size_t next_capacity(const struct conn *conn, size_t need) {
  if (need <= CONN_FLOOR)
    return CONN_FLOOR;
  if (need <= CONN_SMALL)
    return CONN_SMALL;
  size_t step = conn->in_capacity < CONN_STEP ? CONN_STEP : 2 * conn->in_capacity;
  return step < need ? step : need;
}

/* Takes the spare buffer for a large frame, if it suits: its pages are there already. */
static bool take_spare(struct conn *conn, const uint8_t *data, size_t left, size_t capacity,
                       size_t need) {
  if (conn->in_capacity > CONN_SMALL || capacity <= CONN_SMALL)
    return false;
  uint8_t *spare = intake_take_spare(&conn->conns->frames, &conn->frame, charge_of(capacity),
                                     2 * charge_of(need));
  if (spare == NULL)
    return false;
  memcpy(spare, data, left);
  free(conn->in);
  conn->in = spare;
  conn->in_size = left;
  conn->in_capacity = conn->frame.held_bytes - CONN_MALLOC_BYTES;
  if (conn->in_capacity > need) /* of the next frame nothing is read into it */
    conn->in_capacity = need;
  return true;
}

/* Keeps what is left of an unfinished frame, with room for more of it; or without, while there is
 * no memory for it. 0 or FC_ENOMEM. */
static int keep_unfinished(struct conn *conn, const uint8_t *data, size_t left, size_t need) {
  struct intake *frames = &conn->conns->frames;
  size_t capacity = next_capacity(conn, need), now = conn->in_capacity;
  if (now <= CONN_SMALL) {
    now = capacity_to_keep(left);
    if (left < CONN_SMALL && intake_has_room(frames, CONN_RESERVED_MAX))
      return keep(conn, data, left, now);
    if (!intake_reserve_whole(frames, &conn->frame, charge_of(now)))
      return FC_ENOMEM; /* as in `keep` */
  }
  bool grows = capacity > now && left >= (now > CONN_SMALL ? now : 0);
  if (grows && need <= CONN_SMALL) {
    starve(conn, need > now && !can_finish(conn));
    return keep(conn, data, left, now);
  }
  if (grows && take_spare(conn, data, left, capacity, need)) {
    mark_progress(conn, left);
    return 0;
  }
  if (grows && intake_reserve(frames, &conn->frame, charge_of(capacity))) {
    mark_progress(conn, left);
    now = capacity;
  }
  return keep(conn, data, left, now);
}

/* Keeps whole frames that wait for us. A large one stays where it is. 0 or FC_ENOMEM. */
static int keep_paused(struct conn *conn, const uint8_t *data, size_t left) {
  bool is_large = conn->in_capacity > CONN_SMALL;
  return keep(conn, data, left, is_large ? conn->in_capacity : capacity_to_keep(left));
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
  uint64_t start_ns = uv_hrtime();
  conn->paused = conn->slices = false;
  if (!conn->session.greeted && has_hung_up(conn))
    sender_deafen(&conn->sender); /* what a welcome gives it would only be made and freed again */
  starve(conn, false);
  size_t used = handle_frames(conn, data, size, start_ns, &need);
  conns_spend(conn->conns, conn, start_ns);
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
    if (used > 0) {
      conn->frame_since_ns = 0;
      if (left > CONN_FLOOR)
        mark_progress(conn, left);
    }
    conn->need = conn->paused ? 0 : need;
    int rc = conn->paused ? keep_paused(conn, data + used, left)
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
  return conn->starved || intake_is_waiting(&conn->frame) || sender_is_waiting(&conn->sender);
}

/* Every byte that the peer has sent by now is in the socket, or was read. */
static bool socket_is_empty(const struct conn *conn) {
  return unread_bytes(conn) == 0;
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
  bool read = open && !conn->starved && !intake_is_waiting(&conn->frame);
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
  /* What it waits for calls again. Room did so already where its request has no turn now: it stands
   * in line still, and holds up the others until it has one. */
  if (sender_is_busy(&conn->sender) || (waits_for_room(conn) && !conn->slices))
    return;
  if (conn->paused) {
    if (conn->slices)
      conns_slice(conn->conns, conn, conn->session.slice_kind);
    else if (!conn->session.waits_for_trace) /* else the rings' timer calls again */
      conns_ready(conn->conns, conn);
    return;
  }
  if (!is_over(conn))
    return;
  if (conn->session.leases.due_first != NULL) { /* more than one turn's answers */
    conns_ready(conn->conns, conn);
    return;
  }
  if (conn->farewell && conn->session.greeted && !conn->eof && !conn->last_words)
    say_farewell(conn);
  if (sender_is_busy(&conn->sender))
    read_on(conn, false);
  else
    conn_close(conn);
}

/* By an administrator. A peer that does not read its replies is not waited for. */
static void kill_conn(struct conn *conn) {
  if (conn->last_words || sender_is_busy(&conn->sender))
    conn_close(conn);
  else
    drop(conn, FC_EKILLED, fc_error_text(FC_EKILLED));
}

void conn_resume(struct conn *conn) {
  if (conn->closing)
    return;
  if (conn->session.killed) {
    kill_conn(conn);
    return;
  }
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

static void on_share(struct user_wait *wait) {
  struct conn *conn = (struct conn *)((char *)wait - offsetof(struct conn, frame.share));
  conns_ready(conn->conns, conn);
}

static void on_sender_moved(struct sender *sender) {
  struct conn *conn = (struct conn *)((char *)sender - offsetof(struct conn, sender));
  conns_ready(conn->conns, conn);
}

/* ---- deadlines, and the peer's death ---- */

void conn_check_deadlines(struct conn *conn, uint64_t now_ns) {
  const struct conns_limits *limits = &conn->conns->limits;
  if (conn->lingers &&
      !sender_leaves_unread(&conn->sender)) /* as when the peer has closed its end */
    close_pipe(conn);
  if (conn->closing)
    return;
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

/* Nothing but what the peer has not sent yet holds up its frame. One that waits for memory has a
 * peer that waits, too, if there is more in the socket. */
static bool waits_for_peer(const struct conn *conn) {
  return conn->reading || conn->starved ||
         (intake_is_waiting(&conn->frame) && unread_bytes(conn) == 0);
}

void conn_give_way(struct conn *conn, bool frames, bool replies, uint64_t now_ns) {
  if (conn->starved &&
      (intake_has_room(&conn->conns->frames, CONN_RESERVED_MAX) || can_finish(conn))) {
    conns_ready(conn->conns, conn);
    return;
  }
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
  bool late = now_ns > conn->mark_ns + CONN_GRACE_NS;
  if (!holds_frame || !(stalled || (late && waits_for_peer(conn))))
    return;
  drop(conn, FC_ETIMEDOUT,
       "a frame made no progress while others waited for memory: send frames in one go");
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
  } else if (epoll_watch_add((uv_handle_t *)&conn->death) < 0) {
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

static bool join_user(struct conn *conn) {
  const struct peer_admins *admins = &conn->conns->limits.admins;
  struct user *user =
      users_join(conn->conns->users, conn->peer.uid, !peer_has_owner_uid(&conn->peer, admins));
  set_user(conn, user);
  return user != NULL;
}

/* Counts the connection, if there is room for it among all, and in its user's share; or else as one
 * that is reserved for administrators, if it may be one. False: no; `text` says why. */
static bool take_place(struct conn *conn, char *text, size_t size) {
  struct conns *conns = conn->conns;
  struct user *user = conn->session.user;
  bool full = conns->count - conns->reserved > conns->limits.max_clients;
  bool share = user_may_take(user, USER_CONNECTIONS, 1);
  char held[USER_TEXT_SIZE];
  if ((full || !share) && conn->session.admin && conns->reserved < CONNS_RESERVED) {
    conn->session.reserved = true;
    conns->reserved++;
  } else if (full) {
    (void)snprintf(text, size, "%s", fc_error_text(FC_EBUSY));
    return false;
  } else if (!share) {
    user_count_refused(user, USER_CONNECTIONS);
    (void)snprintf(text, size, "%s: close some of them, or raise --max-clients",
                   user_share_text(user, USER_CONNECTIONS, held)); /* fits */
    return false;
  }
  user_charge(user, USER_CONNECTIONS, 1);
  conn->charged = true;
  return true;
}

static int start(struct conn *conn) {
  uv_os_fd_t fd;
  int rc = uv_fileno((uv_handle_t *)&conn->pipe, &fd);
  if (rc < 0 || peer_init(&conn->peer, fd) < 0)
    return FC_EREFUSED;
  sender_start(&conn->sender, fd);
  const struct conns_limits *limits = &conn->conns->limits;
  check_descriptors(conn->conns);
  conn->session.pid = conn->peer.pid;
  conn->session.start_time = conn->peer.start_time;
  conn->session.uid = conn->peer.uid;
  conn->session.uid_unknown = !id_map_knows_uid(&limits->admins.ids, conn->peer.uid);
  conn->session.admin = peer_is_admin(&conn->peer, &limits->admins);
  peer_free_groups(&conn->peer); /* they may be 256 KiB */
  if (!join_user(conn))
    return FC_ENOMEM;
  char text[USER_TEXT_SIZE + 64];
  if (!take_place(conn, text, sizeof text)) {
    dispatch_refused(conn->conns->dispatch, &conn->session, text);
    fail(conn, FC_EBUSY, text);
    return 0;
  }
  if (epoll_watch_add((uv_handle_t *)&conn->pipe) < 0) {
    say_no_watches(conn->conns, "a client is refused");
    dispatch_refused(conn->conns->dispatch, &conn->session, EPOLL_WATCH_FULL);
    fail(conn, FC_EBUSY, EPOLL_WATCH_FULL);
    return 0;
  }
  watch_death(conn);
  settle(conn);
  return 0;
}

int conn_accept(struct conns *conns, uv_stream_t *listener) {
  if (conns->allocated >= conns->limits.max_clients + CONN_REFUSED_MAX)
    return FC_EBUSY;
  struct conn *conn = calloc(1, sizeof *conn);
  if (conn == NULL)
    return FC_ENOMEM;
  /* While a connection waited for memory, libuv did not watch the listener. */
  if (epoll_watch_add((uv_handle_t *)listener) < 0) {
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
  sender_init(&conn->sender, (uv_stream_t *)&conn->pipe, &conns->replies, &conns->send_buffers,
              conns->log, conn->session.name_data, on_sender_moved);
  conn->frame.ready = on_room;
  conn->frame.share.ready = on_share;
  conns_add(conns, conn);
  if (uv_accept(listener, (uv_stream_t *)&conn->pipe) < 0 || start(conn) < 0)
    conn_close(conn);
  return 0;
}
