#include "daemon/net/sender.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/os/epoll_watch.h"
#include "proto/shm/region_layout.h"

#define SMALL_REPLY_BYTES 1024u /* as the kernel counts, such as an error */

static_assert(sizeof(uv_buf_t) == sizeof(struct iovec), "on Unix, uv_buf_t is struct iovec");

/* The part of a reply that the kernel did not take at once: copied pieces, and pieces of held
 * entries. One allocation has the pieces, their owners and the copied bytes. */
struct unsent {
  uv_write_t request;
  struct sender *sender;
  struct unsent *next; /* of the same sender */
  size_t size;
  size_t n;
  struct entry **owners; /* NULL: the piece is copied, or an earlier one holds its entry */
  uv_buf_t pieces[];
};

static struct sender *sender_of(struct reply_sink *sink) {
  return (struct sender *)((char *)sink - offsetof(struct sender, sink));
}

static const struct sender *const_sender_of(const struct reply_sink *sink) {
  return (const struct sender *)((const char *)sink - offsetof(struct sender, sink));
}

static void release_charge(struct sender *sender) {
  size_t bytes = sender->charge_bytes;
  if (bytes == 0)
    return;
  sender->charge_bytes = 0;
  reply_budget_release(sender->budget, bytes);
  user_uncharge(sender->user, USER_REPLY_BYTES, bytes);
}

/* Reserves room for a reply in the user's share and in the budget, or waits for one of them. */
static bool charge(struct sender *sender, size_t bytes) {
  assert(sender->charge_bytes == 0);
  sender->waiting = true;
  if (!user_can_charge(sender->user, USER_REPLY_BYTES, bytes)) {
    reply_budget_cancel_wait(sender->budget, &sender->waiter);
    user_wait_enqueue(sender->user, USER_REPLY_BYTES, &sender->share);
    return false;
  }
  user_wait_cancel(&sender->share);
  if (!reply_budget_charge(sender->budget, bytes, &sender->waiter))
    return false;
  user_charge(sender->user, USER_REPLY_BYTES, bytes);
  sender->waiting = false;
  sender->charge_bytes = bytes;
  return true;
}

/* A peer that closed its connection is no failure of the daemon. Any other error is. */
static void fail(struct sender *sender, int error) {
  if (error == UV_EPIPE || error == UV_ECONNRESET)
    sender->sink.peer_gone = true;
  else
    sender->failed = true;
  sender->on_change(sender); /* another connection may have caused the reply */
}

/* ---- unsent parts ---- */

static void release_entries(struct unsent *unsent) {
  for (size_t i = 0; i < unsent->n; i++) {
    if (unsent->owners[i] != NULL)
      reply_sink_release_entry(unsent->owners[i]);
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
  while (*end != NULL) /* one, or two with a final error */
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
  sender->on_change(sender);
}

/* Returns true if one of the first n pieces holds the entry. A reply may have a value many times,
 * and holds its entry once: see ENTRY_HOLDERS_MAX. The search is rare, because an entry that
 * nothing holds is not in an earlier piece. */
static bool is_held(const struct unsent *unsent, size_t n, const struct entry *entry) {
  for (size_t i = 0; i < n && reply_sink_entry_is_held(entry); i++)
    if (unsent->owners[i] == entry)
      return true;
  return false;
}

/* Returns the rest of the pieces from byte `sent` on, or NULL if out of memory. */
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
    struct entry *owner = owners != NULL && left > 0 ? owners[i] : NULL;
    unsent->owners[i] = owner != NULL && !is_held(unsent, i, owner) ? owner : NULL;
    if (unsent->owners[i] != NULL)
      reply_sink_hold_entry(unsent->owners[i]);
    if (owner == NULL) {
      memcpy(room, from, left);
      from = room;
      room += left;
    }
    unsent->pieces[i] = uv_buf_init(from, (unsigned)left);
  }
  return unsent;
}

/* Gives the rest, from byte `sent` on, to the loop. */
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
  sender->seen_unread_bytes = 0; /* known from the next check on */
  if (epoll_watch_add((uv_handle_t *)sender->stream) < 0 ||
      uv_write(&unsent->request, sender->stream, unsent->pieces, (unsigned)n, written) < 0) {
    sender->unsent_bytes -= unsent->size;
    unsent_free(unsent);
    fail(sender, UV_ENOMEM);
  }
}

/* ---- the sink ---- */

/* Returns the number of bytes that the kernel took at once, or libuv's error. */
static int write_now(struct sender *sender, const struct iovec *pieces, size_t n, size_t total) {
  bool large = total > SEND_BUFFER_REPLY;
  if (large) /* with a small buffer the reply takes more turns */
    (void)send_buffer_enlarge(sender->buffers, &sender->buffer, true);
  int done = uv_try_write(sender->stream, (const uv_buf_t *)pieces, (unsigned)n);
  if (done == UV_EAGAIN && !large && send_buffer_enlarge(sender->buffers, &sender->buffer, false))
    done = uv_try_write(sender->stream, (const uv_buf_t *)pieces, (unsigned)n);
  return done == UV_EAGAIN ? 0 : done;
}

static void send_reply(struct reply_sink *sink, const struct iovec *pieces,
                       struct entry *const *owners, size_t n) {
  struct sender *sender = sender_of(sink);
  /* The request may have waited for room for a large reply and now get a small one, because its
   * entry is gone. Its wait must not block the others. */
  sender_cancel_wait(sender);
  if (sender->failed || sender->sink.peer_gone)
    return;
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

static bool send_with(struct reply_sink *sink, const struct iovec *piece, const int *fds,
                      size_t n_fds) {
  struct sender *sender = sender_of(sink);
  uv_os_fd_t socket;
  assert(n_fds <= FC_REGION_PASSED_MAX);
  if (sender->failed || sender->sink.peer_gone || sender->unsent_bytes > 0 ||
      send_buffer_unread(sender->buffer.fd) > 0 ||
      uv_fileno((const uv_handle_t *)sender->stream, &socket) < 0)
    return false;
  union {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(FC_REGION_PASSED_MAX * sizeof(int))];
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
  if (sent < 0) { /* the caller sends the reply without descriptors, and handles its failure */
    if (errno == ETOOMANYREFS)
      log_line(sender->log, LOG_LEVEL_DEBUG,
               "client %s gets no region for now: clients have not received %s", sender->peer_name,
               "as many descriptors as RLIMIT_NOFILE allows: raise LimitNOFILE=");
    return false;
  }
  if ((size_t)sent < piece->iov_len)
    send_rest(sender, piece, NULL, 1, (size_t)sent);
  return true;
}

static bool can_send(struct reply_sink *sink, size_t bytes) {
  struct sender *sender = sender_of(sink);
  if (sender->failed || sender_is_busy(sender))
    return false;
  if (bytes <= SENDER_FLOOR || sender->sink.peer_gone)
    return true;
  release_charge(sender); /* of a reply that was not made in the end */
  return charge(sender, bytes);
}

static void resume(struct reply_sink *sink) {
  struct sender *sender = sender_of(sink);
  sender->on_change(sender);
}

/* ---- waits ---- */

static void on_room(struct reply_budget_waiter *waiter) {
  struct sender *sender = (struct sender *)((char *)waiter - offsetof(struct sender, waiter));
  sender->on_change(sender);
}

static void on_share(struct user_wait *wait) {
  struct sender *sender = (struct sender *)((char *)wait - offsetof(struct sender, share));
  sender->on_change(sender);
}

/* ---- for reclaim.c ---- */

static void release_all_entries(struct sender *sender) {
  for (struct unsent *unsent = sender->first; unsent != NULL; unsent = unsent->next)
    release_entries(unsent);
}

static bool holds_entries(const struct reply_sink *sink, bool unlisted_only) {
  const struct sender *sender = const_sender_of(sink);
  for (const struct unsent *unsent = sender->first; unsent != NULL; unsent = unsent->next)
    for (size_t i = 0; i < unsent->n; i++)
      if (unsent->owners[i] != NULL &&
          (!unlisted_only || reply_sink_entry_is_unlisted(unsent->owners[i])))
        return true;
  return false;
}

/* Counts SENDER_PROGRESS bytes as read in advance, so a reply that has just begun is fast. */
static uint64_t pace(const struct reply_sink *sink, uint64_t now_ns) {
  const struct sender *sender = const_sender_of(sink);
  size_t left =
      uv_stream_get_write_queue_size(sender->stream) + send_buffer_unread(sender->buffer.fd);
  size_t taken = sender->begun_bytes > left ? sender->begun_bytes - left : 0;
  uint64_t time_ns = now_ns > sender->begun_ns ? now_ns - sender->begun_ns : 1;
  return (taken + SENDER_PROGRESS) * UINT64_C(1000000000) / time_ns;
}

/* The socket is shut down first, so that the loop writes nothing from the entries. */
static void abort_replies(struct reply_sink *sink) {
  struct sender *sender = sender_of(sink);
  uv_os_fd_t socket;
  if (uv_fileno((const uv_handle_t *)sender->stream, &socket) == 0)
    (void)shutdown(socket, SHUT_RDWR); /* fails only if it is not connected any more */
  release_all_entries(sender);
  sender->failed = true;
  sender->on_change(sender);
}

/* ---- the life of a sender ---- */

void sender_init(struct sender *sender, uv_stream_t *stream, struct reply_budget *budget,
                 struct send_buffers *buffers, struct log *log, const char *peer_name,
                 void (*on_change)(struct sender *sender)) {
  *sender = (struct sender){
      .sink = {.can_send = can_send,
               .send = send_reply,
               .send_with = send_with,
               .resume = resume,
               .holds_entries = holds_entries,
               .pace = pace,
               .abort = abort_replies},
      .stream = stream,
      .budget = budget,
      .buffers = buffers,
      .buffer.fd = -1,
      .log = log,
      .peer_name = peer_name,
      .on_change = on_change,
      .waiter.ready = on_room,
      .share.ready = on_share,
  };
}

void sender_start(struct sender *sender, int fd) {
  send_buffer_init(&sender->buffer, fd);
}

void sender_cancel_wait(struct sender *sender) {
  if (!sender->waiting)
    return;
  sender->waiting = false;
  user_wait_cancel(&sender->share);
  reply_budget_cancel_wait(sender->budget, &sender->waiter);
}

void sender_set_peer_gone(struct sender *sender) {
  sender->sink.peer_gone = true;
  sender_cancel_wait(sender);
}

void sender_close(struct sender *sender) {
  sender->closed = true;
  release_all_entries(sender);
  sender_cancel_wait(sender);
  if (sender->unsent_bytes == 0) /* else `written` releases it */
    release_charge(sender);
}

bool sender_has_unread(const struct sender *sender) {
  return send_buffer_unread(sender->buffer.fd) > SMALL_REPLY_BYTES;
}

/* Bytes move from the daemon's memory to the kernel's, and from there to the peer. Each amount
 * falls only when the peer has read. */
static void check_progress(struct sender *sender, uint64_t now_ns) {
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
  check_progress(sender, now_ns);
  return now_ns > sender->progress_ns + timeout_ns;
}
