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
  struct scripted_daemon *scripted;
  unsigned nth;
};

static void *run_script(void *arg) {
  struct start start = *(struct start *)arg;
  struct scripted_daemon *scripted = start.scripted;
  free(arg);
  int fd = scripted->connections[start.nth].fd;
  scripted->script(scripted, fd, start.nth);
  (void)pthread_mutex_lock(&scripted->lock);
  scripted->connections[start.nth].open = false;
  (void)close(fd); /* under the lock: scripted_stop shuts down by number */
  (void)pthread_mutex_unlock(&scripted->lock);
  atomic_fetch_sub(&scripted->busy, 1);
  return NULL;
}

static void *accept_all(void *arg) {
  struct scripted_daemon *scripted = arg;
  for (;;) {
    int fd = accept4(scripted->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && errno == EINTR)
      continue;
    if (fd < 0)
      return NULL; /* scripted_stop */
    (void)pthread_mutex_lock(&scripted->lock);
    unsigned nth = atomic_load(&scripted->accepted);
    struct start *start = malloc(sizeof *start);
    if (nth >= SCRIPTED_CONNECTIONS || start == NULL || atomic_load(&scripted->stopping)) {
      (void)close(fd);
      free(start);
      (void)pthread_mutex_unlock(&scripted->lock);
      continue;
    }
    *start = (struct start){scripted, nth};
    scripted->connections[nth].fd = fd;
    scripted->connections[nth].open = true;
    atomic_store(&scripted->accepted,
                 nth + 1); /* before the script runs: every client with a reply is counted */
    atomic_fetch_add(&scripted->busy, 1);
    if (pthread_create(&scripted->connections[nth].thread, NULL, run_script, start) != 0)
      abort();
    (void)pthread_mutex_unlock(&scripted->lock);
  }
}

void scripted_start(struct scripted_daemon *scripted, scripted_script *script, void *arg) {
  memset(scripted, 0, sizeof *scripted);
  const char *base = getenv("TMPDIR");
  if (base == NULL || base[0] != '/' || strlen(base) > 60) /* it must fit in a socket's address */
    base = "/tmp";
  (void)snprintf(scripted->dir, sizeof scripted->dir, "%s/fcpeer.XXXXXX", base);
  ck_assert_ptr_nonnull(mkdtemp(scripted->dir));
  (void)snprintf(scripted->path, sizeof scripted->path, "%.90s/scripted.sock", scripted->dir);
  scripted->script = script;
  scripted->arg = arg;
  scripted->welcome = (struct fc_welcome){.version = FC_PROTOCOL_VERSION,
                                          .server = fc_str_of("peer 1"),
                                          .boot_id = SCRIPTED_BOOT_ID,
                                          .clear_generation = 7,
                                          .max_value = 16u << 20,
                                          .max_frame = 17u << 20};
  ck_assert_int_eq(pthread_mutex_init(&scripted->lock, NULL), 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", scripted->path);
  scripted->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(scripted->listener, 0);
  ck_assert_int_eq(bind(scripted->listener, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(scripted->listener, 64), 0);
  ck_assert_int_eq(pthread_create(&scripted->thread, NULL, accept_all, scripted), 0);
}

void scripted_stop(struct scripted_daemon *scripted) {
  atomic_store(&scripted->stopping, true);
  atomic_store(&scripted->released, true);
  (void)shutdown(scripted->listener, SHUT_RDWR); /* wakes accept */
  (void)pthread_join(scripted->thread, NULL);
  (void)close(scripted->listener);
  (void)pthread_mutex_lock(&scripted->lock);
  unsigned n = atomic_load(&scripted->accepted);
  for (unsigned i = 0; i < n; i++)
    if (scripted->connections[i].open)
      (void)shutdown(scripted->connections[i].fd, SHUT_RDWR); /* wakes its script */
  (void)pthread_mutex_unlock(&scripted->lock);
  for (unsigned i = 0; i < n; i++)
    (void)pthread_join(scripted->connections[i].thread, NULL);
  (void)pthread_mutex_destroy(&scripted->lock);
  (void)unlink(scripted->path);
  (void)rmdir(scripted->dir);
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

bool scripted_read(struct scripted_daemon *scripted, int fd, uint8_t **body,
                   struct fc_request *request) {
  uint8_t header[FC_FRAME_HEADER];
  uint32_t size = 0;
  *body = NULL;
  atomic_fetch_sub(&scripted->busy, 1);
  bool came = read_all(fd, header, sizeof header);
  atomic_fetch_add(&scripted->busy, 1);
  if (!came || fc_frame_peek(header, sizeof header, BODY_MAX, &size) != FC_FRAME_MORE)
    return false;
  *body = malloc(size);
  if (*body == NULL || !read_all(fd, *body, size) || fc_decode_request(*body, size, request) != 0) {
    free(*body);
    *body = NULL;
    return false;
  }
  atomic_fetch_add(&scripted->seen, 1);
  return true;
}

bool scripted_write(int fd, const void *data, size_t size) {
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

void scripted_send(int fd, struct fc_buf *buf) {
  (void)scripted_write(fd, buf->data,
                       buf->size); /* where the other side closed, the test knows why */
  fc_buf_free(buf);
}

/* Sends the first byte with the descriptors. */
static bool send_passed(int fd, const void *data, const int *fds, unsigned n) {
  union {
    char bytes[CMSG_SPACE(SCRIPTED_PASSED_MAX * sizeof(int))];
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
         scripted_write(fd, buf->data + first, buf->size - first);
}

void scripted_send_with(int fd, struct fc_buf *buf, const int *fds, unsigned n) {
  (void)send_all_with(fd, buf, fds, n); /* as in scripted_send */
  fc_buf_free(buf);
}

bool scripted_handshake_with(struct scripted_daemon *scripted, int fd, const int *fds, unsigned n) {
  uint8_t *body;
  struct fc_request request;
  struct fc_buf buf = {0};
  if (!scripted_read(scripted, fd, &body, &request))
    return false;
  free(body);
  if (request.type != FC_HELLO || fc_encode_welcome(&buf, request.id, &scripted->welcome) != 0)
    return false;
  atomic_store(&scripted->layout, request.hello.region_layout);
  bool sent = send_all_with(fd, &buf, fds, n);
  fc_buf_free(&buf);
  return sent;
}

bool scripted_handshake(struct scripted_daemon *scripted, int fd) {
  return scripted_handshake_with(scripted, fd, NULL, 0);
}

void scripted_hello_alone(struct scripted_daemon *scripted, int fd, unsigned nth) {
  struct fc_request request;
  uint8_t *body;

  (void)nth;
  if (scripted_handshake(scripted, fd) && scripted_read(scripted, fd, &body, &request))
    free(body);
}

void scripted_wait_closed(int fd) {
  uint8_t byte;
  while (recv(fd, &byte, 1, 0) > 0)
    continue;
}

void scripted_wait_released(struct scripted_daemon *scripted) {
  for (int i = 0; i < WAIT_STEPS && !atomic_load(&scripted->released); i++)
    (void)poll(NULL, 0, 1);
}

void scripted_wait_idle(struct scripted_daemon *scripted) {
  for (int i = 0; i < WAIT_STEPS && atomic_load(&scripted->busy) > 0; i++)
    (void)poll(NULL, 0, 1);
  ck_assert_uint_eq(atomic_load(&scripted->busy), 0);
}

void scripted_send_hit(int fd, uint32_t id, const void *value, uint32_t size) {
  struct fc_buf buf = {0};
  if (fc_encode_hit_head(&buf, id, 7, size) == 0 && fc_buf_append(&buf, value, size) == 0)
    scripted_send(fd, &buf);
}

void scripted_send_miss(int fd, uint32_t id, uint64_t clear_generation) {
  struct fc_buf buf = {0};
  if (fc_encode_miss(&buf, id, clear_generation) == 0)
    scripted_send(fd, &buf);
}
