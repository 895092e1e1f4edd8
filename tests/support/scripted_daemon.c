#include "scripted_daemon.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/limits.h"
#include "proto/wire/frame.h"

#define BODY_MAX (64u << 20)
#define WAIT_STEPS 60000 /* of a millisecond each: longer than any deadline under test */

struct start {
  struct peer *peer;
  unsigned nth;
};

static void *run_script(void *arg) {
  struct start start = *(struct start *)arg;
  struct peer *peer = start.peer;
  free(arg);
  int fd = peer->connections[start.nth].fd;
  peer->script(peer, fd, start.nth);
  (void)pthread_mutex_lock(&peer->lock);
  peer->connections[start.nth].open = false;
  (void)close(fd); /* under the lock: peer_stop shuts down by number */
  (void)pthread_mutex_unlock(&peer->lock);
  atomic_fetch_sub(&peer->busy, 1);
  return NULL;
}

static void *accept_all(void *arg) {
  struct peer *peer = arg;
  for (;;) {
    int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && errno == EINTR)
      continue;
    if (fd < 0)
      return NULL; /* peer_stop */
    (void)pthread_mutex_lock(&peer->lock);
    unsigned nth = atomic_load(&peer->accepted);
    struct start *start = malloc(sizeof *start);
    if (nth >= PEER_CONNECTIONS || start == NULL || atomic_load(&peer->stopping)) {
      (void)close(fd);
      free(start);
      (void)pthread_mutex_unlock(&peer->lock);
      continue;
    }
    *start = (struct start){peer, nth};
    peer->connections[nth].fd = fd;
    peer->connections[nth].open = true;
    atomic_store(&peer->accepted,
                 nth + 1); /* before the script runs: every client with a reply is counted */
    atomic_fetch_add(&peer->busy, 1);
    if (pthread_create(&peer->connections[nth].thread, NULL, run_script, start) != 0)
      abort();
    (void)pthread_mutex_unlock(&peer->lock);
  }
}

void peer_start(struct peer *peer, peer_script *script, void *arg) {
  memset(peer, 0, sizeof *peer);
  const char *base = getenv("TMPDIR");
  if (base == NULL || base[0] != '/' || strlen(base) > 60) /* it must fit in a socket's address */
    base = "/tmp";
  (void)snprintf(peer->dir, sizeof peer->dir, "%s/fcpeer.XXXXXX", base);
  ck_assert_ptr_nonnull(mkdtemp(peer->dir));
  (void)snprintf(peer->path, sizeof peer->path, "%.90s/peer.sock", peer->dir);
  peer->script = script;
  peer->arg = arg;
  peer->welcome = (struct fc_welcome){.version = FC_PROTOCOL_VERSION,
                                      .server = fc_str_of("peer 1"),
                                      .boot_id = PEER_BOOT_ID,
                                      .clear_generation = 7,
                                      .max_value = 16u << 20,
                                      .max_frame = 17u << 20};
  ck_assert_int_eq(pthread_mutex_init(&peer->lock, NULL), 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", peer->path);
  peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(peer->listener, 0);
  ck_assert_int_eq(bind(peer->listener, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(peer->listener, 64), 0);
  ck_assert_int_eq(pthread_create(&peer->thread, NULL, accept_all, peer), 0);
}

void peer_stop(struct peer *peer) {
  atomic_store(&peer->stopping, true);
  atomic_store(&peer->released, true);
  (void)shutdown(peer->listener, SHUT_RDWR); /* wakes accept */
  (void)pthread_join(peer->thread, NULL);
  (void)close(peer->listener);
  (void)pthread_mutex_lock(&peer->lock);
  unsigned n = atomic_load(&peer->accepted);
  for (unsigned i = 0; i < n; i++)
    if (peer->connections[i].open)
      (void)shutdown(peer->connections[i].fd, SHUT_RDWR); /* wakes its script */
  (void)pthread_mutex_unlock(&peer->lock);
  for (unsigned i = 0; i < n; i++)
    (void)pthread_join(peer->connections[i].thread, NULL);
  (void)pthread_mutex_destroy(&peer->lock);
  (void)unlink(peer->path);
  (void)rmdir(peer->dir);
}

static bool read_all(int fd, uint8_t *to, size_t size) {
  while (size > 0) {
    ssize_t n = recv(fd, to, size, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    to += n;
    size -= (size_t)n;
  }
  return true;
}

bool peer_read(struct peer *peer, int fd, uint8_t **body, struct fc_request *request) {
  uint8_t header[FC_FRAME_HEADER];
  uint32_t size = 0;
  *body = NULL;
  atomic_fetch_sub(&peer->busy, 1);
  bool came = read_all(fd, header, sizeof header);
  atomic_fetch_add(&peer->busy, 1);
  if (!came || fc_frame_peek(header, sizeof header, BODY_MAX, &size) != FC_FRAME_MORE)
    return false;
  *body = malloc(size);
  if (*body == NULL || !read_all(fd, *body, size) || fc_decode_request(*body, size, request) != 0) {
    free(*body);
    *body = NULL;
    return false;
  }
  atomic_fetch_add(&peer->seen, 1);
  return true;
}

bool peer_write(int fd, const void *data, size_t size) {
  const uint8_t *at = data;
  while (size > 0) {
    ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

void peer_send(int fd, struct fc_buf *buf) {
  (void)peer_write(fd, buf->data, buf->size); /* where the other side closed, the test knows why */
  fc_buf_free(buf);
}

/* Sends the first byte with the descriptors. */
static bool send_passed(int fd, const void *data, const int *fds, unsigned n) {
  union {
    char bytes[CMSG_SPACE(PEER_PASSED_MAX * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec piece = {(void *)(uintptr_t)data, 1};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE(n * sizeof(int))};
  memset(&control, 0, sizeof control);
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(n * sizeof(int));
  memcpy(CMSG_DATA(head), fds, n * sizeof(int));
  return sendmsg(fd, &message, MSG_NOSIGNAL) == 1;
}

static bool send_all_with(int fd, const struct fc_buf *buf, const int *fds, unsigned n) {
  size_t first = n == 0 ? 0 : 1;
  return (n == 0 || send_passed(fd, buf->data, fds, n)) &&
         peer_write(fd, buf->data + first, buf->size - first);
}

void peer_send_with(int fd, struct fc_buf *buf, const int *fds, unsigned n) {
  (void)send_all_with(fd, buf, fds, n); /* as in peer_send */
  fc_buf_free(buf);
}

bool peer_greet_with(struct peer *peer, int fd, const int *fds, unsigned n) {
  uint8_t *body;
  struct fc_request request;
  struct fc_buf buf = {0};
  if (!peer_read(peer, fd, &body, &request))
    return false;
  free(body);
  if (request.type != FC_HELLO || fc_encode_welcome(&buf, request.id, &peer->welcome) != 0)
    return false;
  atomic_store(&peer->layout, request.hello.region_layout);
  bool sent = send_all_with(fd, &buf, fds, n);
  fc_buf_free(&buf);
  return sent;
}

bool peer_greet(struct peer *peer, int fd) {
  return peer_greet_with(peer, fd, NULL, 0);
}

void peer_wait_closed(int fd) {
  uint8_t byte;
  while (recv(fd, &byte, 1, 0) > 0)
    continue;
}

void peer_wait_released(struct peer *peer) {
  for (int i = 0; i < WAIT_STEPS && !atomic_load(&peer->released); i++)
    (void)poll(NULL, 0, 1);
}

void peer_wait_idle(struct peer *peer) {
  for (int i = 0; i < WAIT_STEPS && atomic_load(&peer->busy) > 0; i++)
    (void)poll(NULL, 0, 1);
  ck_assert_uint_eq(atomic_load(&peer->busy), 0);
}

void peer_send_hit(int fd, uint32_t id, const void *value, uint32_t size) {
  struct fc_buf buf = {0};
  if (fc_encode_hit_head(&buf, id, 7, size) == 0 && fc_buf_append(&buf, value, size) == 0)
    peer_send(fd, &buf);
}

void peer_send_miss(int fd, uint32_t id, uint64_t clear_generation) {
  struct fc_buf buf = {0};
  if (fc_encode_miss(&buf, id, clear_generation) == 0)
    peer_send(fd, &buf);
}
