#include "tests/support/raw.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"

#define REPLY_TIMEOUT_MS 5000u

int raw_connect(struct raw *raw, const char *socket_path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t size = strlen(socket_path) + 1;

  *raw = (struct raw){.fd = -1, .next_id = 1, .max_body = FC_HELLO_FRAME_MAX, .ring_fd = -1};
  if (size > sizeof address.sun_path)
    return -ENAMETOOLONG;
  memcpy(address.sun_path, socket_path, size);
  raw->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (raw->fd < 0 || connect(raw->fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;

    raw_close(raw);
    return -error;
  }
  return 0;
}

void raw_close(struct raw *raw) {
  raw_close_shared(raw);
  if (raw->fd >= 0)
    (void)close(raw->fd);
  free(raw->in);
  *raw = (struct raw){.fd = -1, .ring_fd = -1};
}

void raw_close_shared(struct raw *raw) {
  for (unsigned i = 0; i < raw->n_region_fds; i++)
    (void)close(raw->region_fds[i]);
  raw->n_region_fds = 0;
  if (raw->ring_fd >= 0)
    (void)close(raw->ring_fd);
  raw->ring_fd = -1;
}

const uint8_t *raw_map_region(const struct raw *raw, size_t *size) {
  size_t sizes[FC_REGION_FDS_MAX], at = 0;
  struct stat status;

  *size = 0;
  for (unsigned i = 0; i < raw->n_region_fds; i++) {
    if (fstat(raw->region_fds[i], &status) < 0)
      return NULL;
    *size += sizes[i] = (size_t)status.st_size;
  }
  uint8_t *base = mmap(NULL, *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED)
    return NULL;
  for (unsigned i = 0; i < raw->n_region_fds; at += sizes[i++])
    if (mmap(base + at, sizes[i], PROT_READ, MAP_SHARED | MAP_FIXED, raw->region_fds[i], 0) ==
        MAP_FAILED)
      return NULL; /* the test ends */
  return base;
}

int raw_send(struct raw *raw, const void *data, size_t size) {
  const uint8_t *at = data;

  while (size > 0) {
    ssize_t sent = send(raw->fd, at, size, MSG_NOSIGNAL);

    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      return -errno;
    at += sent;
    size -= (size_t)sent;
  }
  return 0;
}

int raw_send_buf(struct raw *raw, struct fc_buf *buf) {
  int result = buf->failed ? -ENOMEM : raw_send(raw, buf->data, buf->size);

  fc_buf_reset(buf);
  return result;
}

/* ---- replies ---- */

static uint64_t now_ms(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Receives bytes, and the descriptors that may come with them. */
static ssize_t receive(struct raw *raw, void *to, size_t room) {
  union {
    char bytes[CMSG_SPACE(FC_REGION_PASSED_MAX * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec piece = {to, room};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(raw->fd, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *head = got < 0 ? NULL : CMSG_FIRSTHDR(&message);

  if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len >= CMSG_LEN(2 * sizeof(int))) {
    raw_close_shared(raw); /* of an earlier message */
    raw->n_region_fds = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int)) - 1;
    memcpy(raw->region_fds, CMSG_DATA(head), raw->n_region_fds * sizeof(int));
    memcpy(&raw->ring_fd, CMSG_DATA(head) + raw->n_region_fds * sizeof(int), sizeof(int));
  }
  return got;
}

/* Reads available bytes, waiting until `end_ms`. Returns a raw_result: RAW_REPLY if bytes came. */
static int read_more(struct raw *raw, uint64_t end_ms) {
  uint64_t now = now_ms();
  struct pollfd poll_fd = {.fd = raw->fd, .events = POLLIN};
  ssize_t got;

  if (poll(&poll_fd, 1, now < end_ms ? (int)(end_ms - now) : 0) <= 0)
    return RAW_TIMEOUT;
  if (raw->in_capacity - raw->in_size < 65536) {
    raw->in_capacity = raw->in_capacity * 2 + 65536;
    raw->in = realloc(raw->in, raw->in_capacity);
    if (!raw->in)
      ck_abort_msg("out of memory over a reply");
  }
  got = receive(raw, raw->in + raw->in_size, raw->in_capacity - raw->in_size);
  if (got <= 0)
    return RAW_CLOSED;
  raw->in_size += (size_t)got;
  return RAW_REPLY;
}

int raw_recv(struct raw *raw, struct fc_reply *reply, unsigned timeout_ms) {
  uint64_t end_ms = now_ms() + timeout_ms;
  uint32_t body_size;
  int result;

  if (raw->taken > 0) {
    memmove(raw->in, raw->in + raw->taken, raw->in_size - raw->taken);
    raw->in_size -= raw->taken;
    raw->taken = 0;
  }
  for (;;) {
    result = fc_frame_peek(raw->in, raw->in_size, raw->max_body, &body_size);
    if (result < 0)
      return result;
    if (result == FC_FRAME_DONE)
      break;
    result = read_more(raw, end_ms);
    if (result != RAW_REPLY)
      return result;
  }
  raw->taken = FC_FRAME_HEADER + body_size;
  return fc_decode_reply(raw->in + FC_FRAME_HEADER, body_size, reply);
}

/* ---- whole exchanges ---- */

static int say_hello(struct raw *raw, const struct fc_hello *hello) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  int result;

  (void)fc_encode_hello(&buf, raw->next_id++, hello); /* the buffer keeps a failure */
  result = raw_send_buf(raw, &buf);
  fc_buf_free(&buf);
  if (result != 0)
    return RAW_CLOSED;
  result = raw_recv(raw, &reply, REPLY_TIMEOUT_MS);
  if (result != 0)
    return result;
  if (reply.type == FC_ERROR)
    return reply.error.code;
  if ((int)reply.type != (FC_REPLY | FC_HELLO))
    return FC_EPROTOCOL;
  raw->boot_id = reply.welcome.boot_id;
  raw->max_body = reply.welcome.max_frame;
  raw->namespace_id = reply.welcome.namespace_id;
  return 0;
}

static struct fc_hello hello_of(const char *client, const char *name_space, uint32_t version) {
  return (struct fc_hello){.version_min = FC_PROTOCOL_VERSION_MIN,
                           .version_max = version,
                           .client = fc_str_of(client),
                           .name_space = fc_str_of(name_space)};
}

int raw_hello(struct raw *raw, const char *client, const char *name_space) {
  struct fc_hello hello = hello_of(client, name_space, FC_PROTOCOL_VERSION);

  return say_hello(raw, &hello);
}

void raw_open_version(struct raw *raw, const char *socket_path, const char *name_space,
                      uint32_t version) {
  struct fc_hello hello = hello_of("test", name_space, version);
  int result = raw_connect(raw, socket_path);

  if (result != 0)
    ck_abort_msg("connect to %s: %s", socket_path, strerror(-result));
  result = say_hello(raw, &hello);
  if (result != 0)
    ck_abort_msg("no welcome on %s: %d", socket_path, result);
}

void raw_open(struct raw *raw, const char *socket_path, const char *name_space) {
  raw_open_version(raw, socket_path, name_space, FC_PROTOCOL_VERSION);
}

int raw_try_region(struct raw *raw, const char *socket_path, const char *client,
                   const char *name_space) {
  struct fc_hello hello = hello_of(client, name_space, FC_PROTOCOL_VERSION);
  int result = raw_connect(raw, socket_path);

  hello.region_layout = FC_REGION_LAYOUT;
  if (result == 0)
    result = say_hello(raw, &hello);
  return result == 0 && raw->ring_fd < 0 ? -ENODATA : result;
}

void raw_open_region(struct raw *raw, const char *socket_path, const char *client,
                     const char *name_space) {
  int result = raw_try_region(raw, socket_path, client, name_space);

  if (result != 0)
    ck_abort_msg("no region with the welcome on %s: %d", socket_path, result);
}

static int exchange(struct raw *raw, struct fc_buf *buf, struct fc_reply *reply) {
  int result = raw_send_buf(raw, buf);

  fc_buf_free(buf);
  return result != 0 ? RAW_CLOSED : raw_recv(raw, reply, REPLY_TIMEOUT_MS);
}

int raw_put(struct raw *raw, const struct fc_put *put, struct fc_reply *reply) {
  struct fc_buf buf = {0};

  (void)fc_encode_put_head(&buf, raw->next_id++, put); /* the buffer keeps a failure */
  (void)fc_buf_append(&buf, put->value, put->value_size);
  return exchange(raw, &buf, reply);
}

int raw_get(struct raw *raw, const struct fc_get *get, struct fc_reply *reply) {
  uint32_t id;

  return raw_send_get(raw, get, &id) != 0 ? RAW_CLOSED : raw_recv(raw, reply, REPLY_TIMEOUT_MS);
}

int raw_give_up(struct raw *raw, const struct fc_key *key, struct fc_reply *reply) {
  struct fc_give_up give_up = {0};
  struct fc_buf buf = {0};

  if (key)
    give_up = (struct fc_give_up){.key = *key, .prompts = key->prompt.bytes, .n = 1};
  (void)fc_encode_give_up(&buf, raw->next_id++, &give_up); /* the buffer keeps a failure */
  return exchange(raw, &buf, reply);
}

int raw_send_get(struct raw *raw, const struct fc_get *get, uint32_t *id) {
  struct fc_buf buf = {0};

  *id = raw->next_id++;
  (void)fc_encode_get(&buf, *id, get); /* the buffer keeps a failure */
  int result = raw_send_buf(raw, &buf);
  fc_buf_free(&buf);
  return result;
}

struct fc_get raw_lease_get(const struct fc_key *key, uint32_t lease_ms, uint32_t wait_ms) {
  return (struct fc_get){.flags = FC_LEASE,
                         .key = *key,
                         .has_terms = true,
                         .terms = {.lease_ms = lease_ms, .wait_ms = wait_ms}};
}

struct fc_key raw_key(const char *op, const char *view, uint32_t top_k, const char *prompt) {
  return (struct fc_key){.op = fc_str_of(op),
                         .view = fc_str_of(view),
                         .top_k = top_k,
                         .prompt = fc_hash_prompt(prompt, strlen(prompt))};
}
