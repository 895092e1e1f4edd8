#include "daemon/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/entry.h"
#include "daemon/log.h"
#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/message.h"

/* What the kernel did not take at once: pieces of its own memory, copied, and of entries, held.
 * One allocation: the pieces, their owners, the copied bytes. */
struct unsent {
  uv_write_t request;
  struct conn *conn;
  size_t size;
  size_t n;
  struct entry **owners; /* NULL: the piece is copied */
  uv_buf_t pieces[];
};

static void process(struct conn *conn, const uint8_t *data, size_t size);

/* ---- the end ---- */

static void closed(uv_handle_t *handle) {
  struct conn *conn = handle->data;
  if (--conn->open_handles > 0)
    return;
  peer_deinit(&conn->peer);
  free(conn->in);
  free(conn);
}

static void release_in_charge(struct conn *conn) {
  quota_release(&conn->conns->quota, conn->in_charge_bytes);
  conn->in_charge_bytes = 0;
}

static void release_input(struct conn *conn) {
  free(conn->in);
  conn->in = NULL;
  conn->in_size = conn->in_capacity = 0;
  release_in_charge(conn);
}

static void release_output(struct conn *conn) {
  quota_release(&conn->conns->quota, conn->out_charge_bytes);
  conn->out_charge_bytes = 0;
}

void conn_close(struct conn *conn) {
  if (conn->closing)
    return;
  conn->closing = true;
  quota_forget(&conn->conns->quota, &conn->waiter);
  dispatch_leave(conn->conns->dispatch, &conn->session);
  conns_chores(conn->conns);
  conns_remove(conn->conns, conn);
  if (conn->watching_death)
    uv_close((uv_handle_t *)&conn->death, closed);
  uv_close((uv_handle_t *)&conn->pipe, closed);
  release_in_charge(conn); /* `in` itself stays until `closed`: a frame in it may be in work */
  release_output(conn);
}

static bool settled(const struct conn *conn) {
  return conn->unsent_bytes == 0 && !conn->paused;
}

void conn_drain(struct conn *conn) {
  if (conn->closing || conn->draining)
    return;
  conn->draining = true;
  conn->read_seen = true; /* one whole turn must pass first */
  conns_ready(conn->conns, conn);
}

/* ---- sending ---- */

static void pump(struct conn *conn) {
  if (conn->closing || conn->unsent_bytes > 0)
    return;
  if (conn->last_words || conn->broken || (conn->eof && conn->in_size == 0)) {
    conn_close(conn);
    return;
  }
  if (conn->paused || conn->draining)
    conns_ready(conn->conns, conn);
}

static void unsent_free(struct unsent *unsent) {
  for (size_t i = 0; i < unsent->n; i++)
    if (unsent->owners[i] != NULL)
      entry_release(unsent->owners[i]);
  free(unsent);
}

static void written(uv_write_t *request, int status) {
  struct unsent *unsent = request->data;
  struct conn *conn = unsent->conn;
  conn->unsent_bytes -= unsent->size;
  unsent_free(unsent);
  if (conn->closing)
    return;
  if (status < 0) {
    conn_close(conn);
    return;
  }
  if (conn->unsent_bytes == 0)
    release_output(conn);
  pump(conn);
}

/* What is left of the pieces from byte `sent` on; NULL where out of memory. */
static struct unsent *unsent_new(const struct iovec *pieces, struct entry *const *owners, size_t n,
                                 size_t sent) {
  size_t copied = 0;
  for (size_t i = 0; i < n; i++)
    copied += owners != NULL && owners[i] != NULL ? 0 : pieces[i].iov_len;
  struct unsent *unsent =
      malloc(sizeof *unsent + n * (sizeof(uv_buf_t) + sizeof(struct entry *)) + copied);
  if (unsent == NULL)
    return NULL;
  unsent->n = n;
  unsent->size = 0;
  unsent->owners = (struct entry **)(unsent->pieces + n);
  char *room = (char *)(unsent->owners + n);
  for (size_t i = 0; i < n; i++) {
    size_t skip = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
    char *from = (char *)pieces[i].iov_base + skip;
    size_t left = pieces[i].iov_len - skip;
    sent -= skip;
    unsent->size += left;
    unsent->owners[i] = owners != NULL && left > 0 ? owners[i] : NULL;
    if (unsent->owners[i] != NULL) {
      entry_hold(unsent->owners[i]);
    } else {
      memcpy(room, from, left);
      from = room;
      room += left;
    }
    unsent->pieces[i] = uv_buf_init(from, (unsigned)left);
  }
  return unsent;
}

/* Hands what the kernel did not take, from byte `sent` on, to the loop. */
static void send_rest(struct conn *conn, const struct iovec *pieces, struct entry *const *owners,
                      size_t n, size_t sent) {
  struct unsent *unsent = unsent_new(pieces, owners, n, sent);
  if (unsent == NULL) {
    log_line(conn->conns->log, LOG_LEVEL_WARNING,
             "out of memory for a reply to client %s: its connection is closed",
             conn->session.name_data);
    conn->broken = true;
    return;
  }
  unsent->conn = conn;
  unsent->request.data = unsent;
  if (conn->unsent_bytes == 0)
    conn->progress_ns = uv_hrtime();
  conn->unsent_bytes += unsent->size;
  conn->progress_left_bytes = conn->unsent_bytes;
  if (uv_write(&unsent->request, (uv_stream_t *)&conn->pipe, unsent->pieces, (unsigned)n, written) <
      0) {
    conn->unsent_bytes -= unsent->size;
    unsent_free(unsent);
    conn->broken = true;
  }
}

static void conn_send(struct sink *sink, const struct iovec *pieces, struct entry *const *owners,
                      size_t n) {
  struct conn *conn = (struct conn *)((char *)sink - offsetof(struct conn, sink));
  if (conn->broken)
    return;
  /* uv_buf_t and struct iovec are the same on Unix: libuv asserts it too. */
  static_assert(sizeof(uv_buf_t) == sizeof(struct iovec), "uv_buf_t is struct iovec");
  size_t total = 0, sent = 0;
  for (size_t i = 0; i < n; i++)
    total += pieces[i].iov_len;
  if (conn->unsent_bytes == 0) {
    int done = uv_try_write((uv_stream_t *)&conn->pipe, (const uv_buf_t *)pieces, (unsigned)n);
    if (done < 0 && done != UV_EAGAIN) {
      conn->broken = true;
      return;
    }
    sent = done > 0 ? (size_t)done : 0;
  }
  if (sent < total)
    send_rest(conn, pieces, owners, n, sent);
  else
    release_output(conn);
}

static bool conn_has_room(struct sink *sink, size_t bytes) {
  struct conn *conn = (struct conn *)((char *)sink - offsetof(struct conn, sink));
  if (conn->broken || conn->unsent_bytes > 0)
    return false;
  if (bytes <= CONN_SMALL)
    return true;
  if (!quota_charge(&conn->conns->quota, bytes, &conn->waiter))
    return false;
  conn->out_charge_bytes += bytes;
  return true;
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

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct conn *conn = stream->data;
  if (n == 0 || conn->closing)
    return;
  if (n < 0) {
    conn->eof = true;
    if (settled(conn))
      conn_close(conn);
    else
      (void)uv_read_stop(stream); /* documented never to fail */
    conn->reading = false;
    return;
  }
  conn->read_seen = true;
  if (conn->in_size > 0) {
    conn->in_size += (size_t)n;
    process(conn, conn->in, conn->in_size);
  } else {
    process(conn, (const uint8_t *)buf->base, (size_t)n);
  }
}

static void read_on(struct conn *conn, bool on) {
  if (conn->closing || conn->reading == on || (on && conn->eof))
    return;
  conn->reading = on;
  if (!on)
    (void)uv_read_stop((uv_stream_t *)&conn->pipe); /* documented never to fail */
  else if (uv_read_start((uv_stream_t *)&conn->pipe, alloc_input, on_read) < 0)
    conn_close(conn);
}

/* Keeps the bytes that were not handled, in a buffer with room for `need`. */
static int keep(struct conn *conn, const uint8_t *data, size_t size, size_t need) {
  if (need < CONN_SMALL)
    need = CONN_SMALL;
  if (need < size + 1)
    need = size + 1; /* room to read into: alloc_input must not return none */
  bool inside = conn->in != NULL && data >= conn->in && data < conn->in + conn->in_capacity;
  if (inside && conn->in_capacity >= need) {
    memmove(conn->in, data, size);
  } else {
    uint8_t *room = malloc(need);
    if (room == NULL)
      return FC_ENOMEM;
    if (data != NULL)
      memcpy(room, data, size);
    free(conn->in);
    conn->in = room;
    conn->in_capacity = need;
  }
  conn->in_size = size;
  return 0;
}

static void fail(struct conn *conn, int code) {
  conn->last_words = true;
  read_on(conn, false);
  dispatch_refuse(conn->conns->dispatch, &conn->sink, 0, code);
  pump(conn);
}

/* Handles whole frames from the front. Returns the bytes used up; *need is the
 * size of the unfinished frame at the end, 0 where its header is not whole. */
static size_t handle_frames(struct conn *conn, const uint8_t *data, size_t size, size_t *need) {
  size_t used = 0;
  *need = 0;
  for (unsigned turn = 0; !conn->closing && !conn->broken && !conn->last_words; turn++) {
    uint32_t body = 0;
    int rc = fc_frame_peek(data + used, size - used,
                           dispatch_max_body(conn->conns->dispatch, &conn->session), &body);
    *need = body == 0 ? 0 : (size_t)body + FC_FRAME_HEADER;
    if (rc < 0) {
      fail(conn, rc);
      break;
    }
    if (rc == FC_FRAME_MORE)
      break;
    conn->paused = turn == CONN_TURN_MAX;
    if (conn->paused)
      break;
    switch (dispatch_frame(conn->conns->dispatch, &conn->session, &conn->sink,
                           data + used + FC_FRAME_HEADER, body)) {
    case DISPATCH_AGAIN:
      conn->paused = true;
      return used;
    case DISPATCH_SHUTDOWN:
      conn->conns->on_shutdown(conn->conns->arg);
      break;
    case DISPATCH_CLOSE:
      conn->last_words = true;
      break;
    case DISPATCH_DONE:
      break;
    }
    used += *need;
    *need = 0;
  }
  return used;
}

/* An unfinished large frame reserves its size. False: it waits for room. */
static bool reserve_input(struct conn *conn, size_t need) {
  if (need <= CONN_SMALL || conn->in_charge_bytes > 0)
    return true;
  if (!quota_charge(&conn->conns->quota, need, &conn->waiter))
    return false;
  conn->in_charge_bytes = need;
  return true;
}

static void process(struct conn *conn, const uint8_t *data, size_t size) {
  size_t need;
  conn->paused = false;
  size_t used = handle_frames(conn, data, size, &need);
  if (conn->closing)
    return;
  if (conn->broken) {
    conn_close(conn);
    return;
  }
  if (conn->last_words) {
    read_on(conn, false);
    pump(conn);
    return;
  }
  size_t left = size - used;
  if (left == 0) {
    conn->frame_since_ns = 0;
    release_input(conn);
    if (conn->eof && conn->unsent_bytes == 0)
      conn_close(conn);
    else
      read_on(conn, true);
    return;
  }
  if (used > 0) /* the large frame, if there was one, is done */
    release_in_charge(conn);
  bool room = conn->paused || reserve_input(conn, need);
  if (keep(conn, data + used, left, conn->paused || !room ? 0 : need) < 0) {
    fail(conn, FC_ENOMEM);
    return;
  }
  if (conn->paused || !room) {
    conn->frame_since_ns = 0; /* it waits for us, not we for it */
    read_on(conn, false);
    if (conn->paused && conn->unsent_bytes == 0 && conn->waiter.next == NULL)
      conns_ready(conn->conns, conn);
    return;
  }
  if (conn->eof) { /* the rest of the frame will never come */
    conn_close(conn);
    return;
  }
  if (conn->frame_since_ns == 0 || used > 0)
    conn->frame_since_ns = uv_hrtime();
  read_on(conn, true);
}

void conn_resume(struct conn *conn) {
  if (conn->closing)
    return;
  if (conn->in_size > 0 && conn->unsent_bytes == 0 && !conn->last_words &&
      (conn->paused || !conn->reading))
    process(conn, conn->in, conn->in_size);
  if (conn->closing || !conn->draining)
    return;
  if (settled(conn) && !conn->read_seen && conn->waiter.next == NULL) {
    conn_close(conn);
    return;
  }
  conn->read_seen = false;
  if (conn->unsent_bytes == 0 && conn->waiter.next == NULL)
    conns_ready(conn->conns, conn); /* else what it waits for calls again */
}

static void on_room(struct quota_waiter *waiter) {
  struct conn *conn = (struct conn *)((char *)waiter - offsetof(struct conn, waiter));
  conns_ready(conn->conns, conn);
}

/* ---- deadlines, and the peer's death ---- */

void conn_check_deadlines(struct conn *conn, uint64_t now_ns) {
  const struct conns_limits *limits = &conn->conns->limits;
  if (conn->unsent_bytes > 0) {
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&conn->pipe);
    if (left < conn->progress_left_bytes) {
      conn->progress_left_bytes = left;
      conn->progress_ns = now_ns;
    } else if (now_ns > conn->progress_ns + limits->stall_timeout_ns) {
      log_line(conn->conns->log, LOG_LEVEL_INFO,
               "client %s (pid %ld) does not read its replies: its connection is closed",
               conn->session.name_data, (long)conn->peer.pid);
      conn->conns->dispatch->dropped++;
      conn_close(conn);
    }
    return;
  }
  bool late_hello = !conn->session.greeted && now_ns > conn->accepted_ns + limits->hello_timeout_ns;
  bool late_frame =
      conn->frame_since_ns != 0 && now_ns > conn->frame_since_ns + limits->stall_timeout_ns;
  if ((late_hello || late_frame) && !conn->last_words) {
    conn->conns->dispatch->dropped++;
    fail(conn, FC_ETIMEDOUT);
  }
}

static void on_death(uv_poll_t *poll, int status, int events) {
  (void)status; /* whatever it says, the process can no longer be watched */
  (void)events;
  struct conn *conn = poll->data;
  (void)uv_poll_stop(poll); /* documented never to fail */
  conn_drain(conn);
}

static void watch_death(struct conn *conn) {
  if (conn->peer.pidfd < 0 || uv_poll_init(conn->conns->loop, &conn->death, conn->peer.pidfd) < 0)
    return; /* the socket's end alone then tells */
  conn->death.data = conn;
  conn->open_handles++;
  conn->watching_death = true;
  if (uv_poll_start(&conn->death, UV_READABLE, on_death) < 0)
    log_line(conn->conns->log, LOG_LEVEL_WARNING,
             "cannot watch process %ld: the end of its connection tells instead",
             (long)conn->peer.pid);
}

/* ---- the beginning ---- */

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
  conn->session.admin =
      peer_is_admin(&conn->peer, limits->own_uid, limits->has_admin_group, limits->admin_group);
  if (conn->conns->count > limits->max_clients) {
    conn->conns->dispatch->refused++;
    fail(conn, FC_EBUSY);
    return 0;
  }
  watch_death(conn);
  read_on(conn, true);
  return 0;
}

int conn_accept(struct conns *conns, uv_stream_t *listener) {
  struct conn *conn = calloc(1, sizeof *conn);
  if (conn == NULL)
    return FC_ENOMEM;
  conn->conns = conns;
  if (uv_pipe_init(conns->loop, &conn->pipe, 0) < 0) {
    free(conn);
    return FC_EREFUSED;
  }
  conn->pipe.data = conn;
  conn->open_handles = 1;
  conn->peer.pidfd = -1;
  conn->accepted_ns = uv_hrtime();
  conn->session.client_id = ++conns->next_client_id;
  conn->sink = (struct sink){.has_room = conn_has_room, .send = conn_send};
  conn->waiter.ready = on_room;
  conns_add(conns, conn);
  if (uv_accept(listener, (uv_stream_t *)&conn->pipe) < 0 || start(conn) < 0)
    conn_close(conn);
  return 0;
}
