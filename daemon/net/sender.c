#include "daemon/net/sender.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/os/epoll_watch.h"
#include "daemon/region/entry.h"

#define SMALL_REPLY_BYTES 1024u /* as the kernel counts: an error is one */

/* What the kernel did not take at once: pieces of its own memory, copied, and of entries, held.
 * One allocation: the pieces, their owners, the copied bytes. */
struct unsent {
  uv_write_t request;
  struct sender *sender;
  struct unsent *next; /* of the same sender */
  size_t size;
  size_t n;
  struct entry **owners; /* NULL: the piece is copied */
  uv_buf_t pieces[];
};

static struct sender *sender_of(struct sink *sink) {
  return (struct sender *)((char *)sink - offsetof(struct sender, sink));
}

static void release_charge(struct sender *sender) {
  size_t bytes = sender->charge_bytes;
  sender->charge_bytes = 0;
  quota_release(sender->quota, bytes);
  user_release(sender->user, USER_REPLY_BYTES, bytes);
}

/* Reserves room for a reply, in the user's share and in the pool; or waits for either. */
static bool charge(struct sender *sender, size_t bytes) {
  if (!user_may_take(sender->user, USER_REPLY_BYTES, bytes)) {
    quota_forget(sender->quota, &sender->waiter);
    user_wait_for(sender->user, USER_REPLY_BYTES, &sender->share);
    return false;
  }
  user_stop_waiting(&sender->share);
  if (!quota_charge(sender->quota, bytes, &sender->waiter))
    return false;
  user_charge(sender->user, USER_REPLY_BYTES, bytes);
  sender->charge_bytes = bytes;
  return true;
}

/* The peer has gone, which is its right; any other error is a failure of ours. */
static void fail(struct sender *sender, int error) {
  if (error == UV_EPIPE || error == UV_ECONNRESET)
    sender->sink.deaf = true;
  else
    sender->failed = true;
  sender->moved(sender); /* the reply may have been another connection's doing */
}

/* ---- what the kernel does not take at once ---- */

static void release_entries(struct unsent *unsent) {
  for (size_t i = 0; i < unsent->n; i++) {
    if (unsent->owners[i] != NULL)
      entry_release(unsent->owners[i]);
    unsent->owners[i] = NULL;
  }
}

static void unsent_free(struct unsent *unsent) {
  struct unsent **link = &unsent->sender->first;
  while (*link != NULL && *link != unsent)
    link = &(*link)->next;
  if (*link != NULL)
    *link = unsent->next;
  release_entries(unsent);
  free(unsent);
}

static void add_unsent(struct sender *sender, struct unsent *unsent) {
  struct unsent **end = &sender->first;
  while (*end != NULL) /* seldom more than one: see sender_is_busy */
    end = &(*end)->next;
  *end = unsent;
  unsent->next = NULL;
}

static void written(uv_write_t *request, int status) {
  struct unsent *unsent = request->data;
  struct sender *sender = unsent->sender;
  sender->unsent_bytes -= unsent->size;
  unsent_free(unsent);
  if (sender->closed) {
    if (sender->unsent_bytes == 0)
      release_charge(sender);
    return;
  }
  if (status < 0)
    fail(sender, status);
  if (sender->unsent_bytes > 0)
    return;
  release_charge(sender);
  sender->moved(sender);
}

/* What is left of the pieces from byte `sent` on; NULL where out of memory. */
static struct unsent *unsent_new(struct sender *sender, const struct iovec *pieces,
                                 struct entry *const *owners, size_t n, size_t sent) {
  size_t copied = 0;
  for (size_t i = 0; i < n; i++)
    copied += owners != NULL && owners[i] != NULL ? 0 : pieces[i].iov_len;
  struct unsent *unsent =
      malloc(sizeof *unsent + n * (sizeof(uv_buf_t) + sizeof(struct entry *)) + copied);
  if (unsent == NULL)
    return NULL;
  unsent->sender = sender;
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
static void send_rest(struct sender *sender, const struct iovec *pieces,
                      struct entry *const *owners, size_t n, size_t sent) {
  struct unsent *unsent = unsent_new(sender, pieces, owners, n, sent);
  if (unsent == NULL) {
    log_line(sender->log, LOG_LEVEL_WARNING,
             "out of memory for a reply to client %s: its connection is closed", sender->peer_name);
    fail(sender, UV_ENOMEM);
    return;
  }
  unsent->request.data = unsent;
  add_unsent(sender, unsent);
  if (sender->unsent_bytes == 0) {
    sender->progress_ns = sender->begun_ns = uv_hrtime();
    sender->begun_bytes = sent;
  }
  sender->begun_bytes += unsent->size;
  sender->unsent_bytes += unsent->size;
  sender->seen_unsent_bytes = sender->unsent_bytes;
  sender->seen_unread_bytes = 0; /* known from the next look on */
  if (epoll_watch_add((uv_handle_t *)sender->stream) < 0 ||
      uv_write(&unsent->request, sender->stream, unsent->pieces, (unsigned)n, written) < 0) {
    sender->unsent_bytes -= unsent->size;
    unsent_free(unsent);
    fail(sender, UV_ENOMEM);
  }
}

/* ---- the sink ---- */

/* What the kernel takes at once: a number of bytes, or libuv's error. */
static int write_now(struct sender *sender, const struct iovec *pieces, size_t n, size_t total) {
  bool large = total > SEND_BUFFER_REPLY;
  if (large) /* without one it takes more turns */
    (void)send_buffer_enlarge(sender->buffers, &sender->buffer, true);
  int done = uv_try_write(sender->stream, (const uv_buf_t *)pieces, (unsigned)n);
  if (done == UV_EAGAIN && !large && send_buffer_enlarge(sender->buffers, &sender->buffer, false))
    done = uv_try_write(sender->stream, (const uv_buf_t *)pieces, (unsigned)n);
  return done == UV_EAGAIN ? 0 : done;
}

static void send_reply(struct sink *sink, const struct iovec *pieces, struct entry *const *owners,
                       size_t n) {
  struct sender *sender = sender_of(sink);
  /* The request may have stood in line for a large reply, and be answered by a small one at last,
   * because its entry is gone: its place must not hold up the others. */
  sender_leave_line(sender);
  if (sender->failed || sender->sink.deaf)
    return;
  /* uv_buf_t and struct iovec are the same on Unix: libuv asserts it too. */
  static_assert(sizeof(uv_buf_t) == sizeof(struct iovec), "uv_buf_t is struct iovec");
  size_t total = 0, sent = 0;
  for (size_t i = 0; i < n; i++)
    total += pieces[i].iov_len;
  if (sender->unsent_bytes == 0) {
    int done = write_now(sender, pieces, n, total);
    if (done < 0) {
      fail(sender, done);
      release_charge(sender);
      return;
    }
    sent = (size_t)done;
  }
  if (sent < total)
    send_rest(sender, pieces, owners, n, sent);
  else
    release_charge(sender);
}

#define FDS_MAX 2u

static bool send_with(struct sink *sink, const struct iovec *piece, const int *fds, size_t n_fds) {
  struct sender *sender = sender_of(sink);
  uv_os_fd_t socket;
  assert(n_fds <= FDS_MAX);
  if (sender->failed || sender->sink.deaf || sender->unsent_bytes > 0 ||
      uv_fileno((const uv_handle_t *)sender->stream, &socket) < 0)
    return false;
  union {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
  } control = {0};
  struct iovec one = *piece;
  struct msghdr message = {.msg_iov = &one,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
  memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
  ssize_t sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) /* whatever it is: without descriptors it may go, or fails as any reply does */
    return false;
  if ((size_t)sent < piece->iov_len)
    send_rest(sender, piece, NULL, 1, (size_t)sent);
  return true;
}

static bool has_room(struct sink *sink, size_t bytes) {
  struct sender *sender = sender_of(sink);
  if (sender->failed || sender_is_busy(sender))
    return false;
  if (bytes <= SENDER_FLOOR || sender->sink.deaf)
    return true;
  release_charge(sender); /* of a reply that was not made after all */
  return charge(sender, bytes);
}

static void wake(struct sink *sink) {
  struct sender *sender = sender_of(sink);
  sender->moved(sender);
}

/* ---- the rest ---- */

static void on_room(struct quota_waiter *waiter) {
  struct sender *sender = (struct sender *)((char *)waiter - offsetof(struct sender, waiter));
  sender->moved(sender);
}

static void on_share(struct user_wait *wait) {
  struct sender *sender = (struct sender *)((char *)wait - offsetof(struct sender, share));
  sender->moved(sender);
}

void sender_init(struct sender *sender, uv_stream_t *stream, struct quota *quota,
                 struct send_buffers *buffers, struct log *log, const char *peer_name,
                 void (*moved)(struct sender *sender)) {
  *sender = (struct sender){
      .sink = {.has_room = has_room, .send = send_reply, .send_with = send_with, .wake = wake},
      .stream = stream,
      .quota = quota,
      .buffers = buffers,
      .buffer.fd = -1,
      .log = log,
      .peer_name = peer_name,
      .moved = moved,
      .waiter.ready = on_room,
      .share.ready = on_share,
  };
}

void sender_start(struct sender *sender, int fd) {
  send_buffer_init(&sender->buffer, fd);
}

void sender_leave_line(struct sender *sender) {
  user_stop_waiting(&sender->share);
  quota_forget(sender->quota, &sender->waiter);
}

void sender_deafen(struct sender *sender) {
  sender->sink.deaf = true;
  sender_leave_line(sender);
}

static void release_all_entries(struct sender *sender) {
  for (struct unsent *unsent = sender->first; unsent != NULL; unsent = unsent->next)
    release_entries(unsent);
}

void sender_close(struct sender *sender) {
  sender->closed = true;
  release_all_entries(sender);
  sender_leave_line(sender);
  if (sender->unsent_bytes == 0) /* else when the loop has given its memory back */
    release_charge(sender);
}

bool sender_leaves_unread(const struct sender *sender) {
  return send_buffer_unread(sender->buffer.fd) > SMALL_REPLY_BYTES;
}

bool sender_holds(const struct sender *sender, enum sender_entries which) {
  for (const struct unsent *unsent = sender->first; unsent != NULL; unsent = unsent->next)
    for (size_t i = 0; i < unsent->n; i++)
      if (unsent->owners[i] != NULL && (which == SENDER_ANY || unsent->owners[i]->name_space == 0))
        return true;
  return false;
}

uint64_t sender_pace(const struct sender *sender, uint64_t now_ns) {
  size_t left =
      uv_stream_get_write_queue_size(sender->stream) + send_buffer_unread(sender->buffer.fd);
  size_t taken = sender->begun_bytes > left ? sender->begun_bytes - left : 0;
  uint64_t time_ns = now_ns > sender->begun_ns ? now_ns - sender->begun_ns : 1;
  return (taken + SENDER_PROGRESS) * UINT64_C(1000000000) / time_ns;
}

void sender_abandon(struct sender *sender) {
  uv_os_fd_t socket;
  /* What the loop has queued is written no more: the bytes will be others'. */
  if (uv_fileno((const uv_handle_t *)sender->stream, &socket) == 0)
    (void)shutdown(socket, SHUT_RDWR); /* fails where it is no longer connected: as good */
  release_all_entries(sender);
  sender->failed = true;
  sender->moved(sender);
}

/* Bytes move from our memory to the kernel's, and from there to the peer. Either falls only when
 * the peer has read. */
static void see_progress(struct sender *sender, uint64_t now_ns) {
  size_t unsent = uv_stream_get_write_queue_size(sender->stream);
  size_t unread = send_buffer_unread(sender->buffer.fd);
  if (unsent < sender->seen_unsent_bytes || unread < sender->seen_unread_bytes)
    sender->progress_ns = now_ns;
  sender->seen_unsent_bytes = unsent;
  sender->seen_unread_bytes = unread;
}

bool sender_is_stalled(struct sender *sender, uint64_t now_ns, uint64_t timeout_ns) {
  if (sender->unsent_bytes == 0)
    return false;
  see_progress(sender, now_ns);
  return now_ns > sender->progress_ns + timeout_ns;
}
