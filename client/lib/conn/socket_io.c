#include "client/lib/conn/socket_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/wire/frame.h"

#define FIRST_CAPACITY 65536u
#define PAGE_BYTES 4096u
#define HEAD_BYTES 128u /* of a frame, its header included: what stands before a value is less */
#define SEND_BUFFER (1 << 20)    /* asked of the kernel; bytes */
#define KEPT_CAPACITY (4u << 20) /* a larger buffer is given back after use */

uint64_t channel_clock_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void channel_init(struct channel *channel, uint64_t deadline_ns) {
  *channel = (struct channel){.socket.fd = -1, .deadline_ns = deadline_ns};
}

void channel_deinit(struct channel *channel) {
  channel_close(channel);
  free(channel->in);
  channel->in = NULL;
  channel->in_capacity = 0;
}

bool channel_is_ours(const struct channel *channel) {
  return own_fd_is_ours(&channel->socket);
}

struct own_fd channel_part(struct channel *channel) {
  struct own_fd socket = channel->socket;
  channel->socket.fd = -1;
  channel_close(channel);
  return socket;
}

void channel_close(struct channel *channel) {
  own_fd_close(&channel->socket);
  passed_close(&channel->passed);
  channel->in_size = channel->taken = 0;
}

static int set_up(struct channel *channel, int fd) {
  struct timeval bound = {.tv_sec = (time_t)(channel->deadline_ns / 1000000000u),
                          .tv_usec = (suseconds_t)(channel->deadline_ns % 1000000000u / 1000u)};
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound) < 0)
    return -errno;
  /* Fewer waits for a large put, as far as the system's bound allows; what is given is as good. */
  int send_bytes = SEND_BUFFER;
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
  return own_fd_take(&channel->socket, fd);
}

/* Never 0, 1 or 2: a program that runs without one of them would print into our connection. */
static int open_socket(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -errno;
  if (fd > STDERR_FILENO)
    return fd;
  int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  int error = errno;
  (void)close(fd); /* nothing was sent */
  return higher < 0 ? -error : higher;
}

/* Non-blocking, or bounded by SO_SNDTIMEO: a full queue must not hold us up longer. */
static int connect_once(int fd, const struct sockaddr_un *address, uint64_t until_ns) {
  uint64_t now_ns = channel_clock_ns();
  if (now_ns < until_ns) {
    uint64_t left_us = (until_ns - now_ns + 999u) / 1000u;
    struct timeval bound = {.tv_sec = (time_t)(left_us / 1000000u),
                            .tv_usec = (suseconds_t)(left_us % 1000000u)};
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound) < 0)
      return -errno;
  }
  return connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
}

int channel_connect(struct channel *channel, const char *path, uint64_t until_ns) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = open_socket();
  if (fd < 0)
    return fd;
  channel->in_size = channel->taken = 0;
  channel->cut = false;
  int rc = connect_once(fd, &address, 0);
  while ((rc == -EAGAIN || rc == -EINTR) && channel_clock_ns() < until_ns)
    rc = connect_once(fd, &address, until_ns);
  if (rc == -EINTR) /* a signal, when the time was over */
    rc = -EAGAIN;
  if (rc == 0)
    rc = set_up(channel, fd);
  if (rc < 0)
    (void)close(fd); /* it was opened above, and nothing was sent */
  return rc;
}

/* Waits until the socket is ready for `events`, at most until then; looks once at least. A signal
 * ends it too: CHANNEL_INTERRUPTED. */
static int wait_once(const struct channel *channel, short events, uint64_t until_ns) {
  struct pollfd poll_fd = {.fd = channel->socket.fd, .events = events};
  for (;;) {
    uint64_t now_ns = channel_clock_ns();
    uint64_t left_ns = now_ns < until_ns ? until_ns - now_ns : 0;
    uint64_t left_ms = (left_ns + 999999u) / 1000000u;
    int ready = poll(&poll_fd, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
    if (ready > 0)
      return 0;
    if (ready < 0)
      return errno == EINTR ? CHANNEL_INTERRUPTED : FC_EUNAVAILABLE;
    if (left_ns == 0)
      return FC_ETIMEDOUT;
  }
}

static int wait_for(const struct channel *channel, short events, uint64_t until_ns) {
  int rc;
  do
    rc = wait_once(channel, events, until_ns);
  while (rc == CHANNEL_INTERRUPTED);
  return rc;
}

static void advance(struct iovec **pieces, size_t *n, size_t sent) {
  while (*n > 0 && sent >= (*pieces)->iov_len) {
    sent -= (*pieces)->iov_len;
    (*pieces)++;
    (*n)--;
  }
  if (*n > 0) {
    (*pieces)->iov_base = (char *)(*pieces)->iov_base + sent;
    (*pieces)->iov_len -= sent;
  }
}

void channel_renew(struct channel *channel) {
  channel->end_ns = channel_clock_ns() + channel->deadline_ns;
  channel->started = channel->overtime = false;
}

void channel_limit(struct channel *channel, uint64_t end_ns) {
  if (channel->end_ns <= end_ns)
    return;
  channel->end_ns = end_ns;
  channel->started = true; /* the socket's own timeout would be too long */
}

int channel_send(struct channel *channel, struct iovec *pieces, size_t n) {
  channel_renew(channel);
  while (n > 0) {
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = n};
    /* Never blocking: SO_SNDTIMEO would bound each of the kernel's own pieces, not the whole.
     * One piece alone is the ordinary case, and 0.3 us cheaper without a msghdr. */
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    ssize_t sent = n == 1 ? send(channel->socket.fd, pieces->iov_base, pieces->iov_len, flags)
                          : sendmsg(channel->socket.fd, &message, flags);
    if (sent < 0 && errno != EINTR && errno != EAGAIN)
      return FC_EUNAVAILABLE;
    if (sent > 0)
      advance(&pieces, &n, (size_t)sent);
    if (n == 0)
      break;
    channel->started = channel->cut = true;
    int rc = wait_for(channel, POLLOUT, channel->end_ns);
    if (rc < 0)
      return rc;
  }
  channel->cut = false;
  return 0;
}

bool channel_send_now(struct channel *channel, const void *data, size_t size) {
  if (channel->cut)
    return false;
  ssize_t sent = send(channel->socket.fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  channel->cut = sent > 0 && (size_t)sent < size;
  return sent >= 0 && (size_t)sent == size;
}

int channel_await(const struct channel *channel, uint64_t until_ns) {
  return channel->in_size > channel->taken ? 0 : wait_once(channel, POLLIN, until_ns);
}

static int make_room(struct channel *channel, size_t need) {
  if (need < FIRST_CAPACITY)
    need = FIRST_CAPACITY;
  if (channel->in_capacity >= need)
    return 0;
  /* On a page's boundary, as the kernel's own buffers are: it copies fastest between like
   * alignments (0.1 to 0.3 us of a hit's 11.5 at 3,100 bytes). */
  need = (need + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
  uint8_t *in = aligned_alloc(PAGE_BYTES, need);
  if (in == NULL)
    return FC_ENOMEM;
  if (channel->in_size > 0)
    memcpy(in, channel->in, channel->in_size);
  free(channel->in);
  channel->in = in;
  channel->in_capacity = need;
  return 0;
}

/* The bytes behind the last frame move to the front. */
static void drop_taken(struct channel *channel) {
  channel->in_size -= channel->taken;
  if (channel->in_size > 0)
    memmove(channel->in, channel->in + channel->taken, channel->in_size);
  channel->taken = 0;
  if (channel->in_size == 0 && channel->in_capacity > KEPT_CAPACITY) {
    free(channel->in);
    channel->in = NULL;
    channel->in_capacity = 0;
  }
}

/* One read of at most `room` bytes. Blocking, it is bounded by the socket's own timeout, which is
 * that of the whole exchange, and so only allowed while none of that has been used. */
static int read_some(struct channel *channel, bool wait, void *to, size_t room, size_t *got) {
  bool block = wait && !channel->started;
  *got = 0;
  /* Also where a peer never lets us wait: it sends, but no answer. One read past the deadline is
   * for a process that was stopped itself, and whose answer has come meanwhile. */
  if (wait && !block && channel_clock_ns() >= channel->end_ns) {
    if (channel->overtime)
      return FC_ETIMEDOUT;
    channel->overtime = true;
  }
  int flags = block ? 0 : MSG_DONTWAIT;
  ssize_t n = channel->takes_descriptors
                  ? passed_receive(&channel->passed, channel->socket.fd, to, room, flags)
                  : recv(channel->socket.fd, to, room, flags);
  channel->started = channel->started || wait;
  if (n > 0) {
    *got = (size_t)n;
    return 0;
  }
  if (n == 0 || (errno != EINTR && errno != EAGAIN))
    return FC_EUNAVAILABLE;
  if (!wait)
    return FC_ETIMEDOUT;
  return wait_for(channel, POLLIN, channel->end_ns);
}

/* More of the frame into the buffer, which gets room for `need` bytes in all. */
static int fill(struct channel *channel, bool wait, size_t need) {
  size_t got;
  int rc = make_room(channel, need);
  if (rc == 0)
    rc = read_some(channel, wait, channel->in + channel->in_size,
                   channel->in_capacity - channel->in_size, &got);
  if (rc == 0)
    channel->in_size += got;
  return rc;
}

/* Takes the body from `offset` on to its place; the buffer holds no more than this frame's
 * beginning, since it is far smaller than a large frame. */
static int receive_rest(struct channel *channel, size_t offset, uint32_t body_size, uint8_t *to) {
  size_t have = channel->in_size - FC_FRAME_HEADER - offset;
  size_t left = body_size - offset - have;
  memcpy(to, channel->in + FC_FRAME_HEADER + offset, have);
  to += have;
  while (left > 0) {
    size_t got;
    int rc = read_some(channel, true, to, left, &got);
    if (rc < 0)
      return rc;
    to += got;
    left -= got;
  }
  channel->in_size = channel->taken = FC_FRAME_HEADER + offset;
  return 0;
}

int channel_receive(struct channel *channel, uint32_t max_body, bool wait, const uint8_t **body,
                    uint32_t *body_size) {
  drop_taken(channel);
  for (;;) {
    int rc = fc_frame_peek(channel->in, channel->in_size, max_body, body_size);
    if (rc == FC_FRAME_DONE)
      break;
    if (rc == FC_FRAME_MORE)
      rc = fill(channel, wait, (size_t)*body_size + FC_FRAME_HEADER);
    if (rc < 0)
      return rc;
  }
  *body = channel->in + FC_FRAME_HEADER;
  channel->taken = (size_t)*body_size + FC_FRAME_HEADER;
  return 0;
}

int channel_receive_placed(struct channel *channel, uint32_t max_body, channel_place_fn *place,
                           void *arg, const uint8_t **body, uint32_t *body_size) {
  drop_taken(channel);
  for (;;) { /* until enough is there to tell what the frame is */
    int rc = fc_frame_peek(channel->in, channel->in_size, max_body, body_size);
    if (rc == FC_FRAME_DONE || (rc == FC_FRAME_MORE && channel->in_size >= HEAD_BYTES))
      break;
    if (rc == FC_FRAME_MORE)
      rc = fill(channel, true, HEAD_BYTES);
    if (rc < 0)
      return rc;
  }
  size_t offset = 0, have = channel->in_size - FC_FRAME_HEADER;
  void *to = NULL;
  if (place != NULL && *body_size > CHANNEL_LARGE_BYTES && have < *body_size)
    to = place(arg, channel->in + FC_FRAME_HEADER, have, *body_size, &offset);
  if (to == NULL)
    return channel_receive(channel, max_body, true, body, body_size);
  int rc = receive_rest(channel, offset, *body_size, to);
  *body = channel->in + FC_FRAME_HEADER;
  *body_size = (uint32_t)offset;
  return rc;
}
