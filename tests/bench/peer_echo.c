#include "tests/bench/peer_echo.h"

#include "tests/bench/bench_children.h"
#include "tests/bench/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES = 32, MAX_REPLY_BYTES = 16 << 20 };

struct echo {
  struct child child;
  struct wire wire;
};

/* Context of the server. */
struct echo_request {
  uint32_t size, index;
  uint8_t rest[REQUEST_BYTES - 8];
};

static int write_all(int fd, const uint8_t *data, size_t size) {
  for (size_t sent = 0; sent < size;) {
    ssize_t n = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
    if (n < 0)
      return -1;
    sent += (size_t)n;
  }
  return 0;
}

/* The server: runs in a fork, until the stream ends. */
static int serve(void *arg) {
  const int *ends = arg;
  int fd = ends[1];
  (void)close(ends[0]); /* an open copy would hide the parent's end */
  uint8_t *reply = calloc(1, MAX_REPLY_BYTES);
  struct echo_request request;
  while (reply != NULL && recv(fd, &request, sizeof(request), MSG_WAITALL) == sizeof(request) &&
         request.size <= MAX_REPLY_BYTES) {
    if (write_all(fd, reply, request.size) != 0)
      break;
  }
  free(reply);
  return 0;
}

static void echo_stop(struct bench_peer *peer) {
  struct echo *echo = peer->state;
  if (echo == NULL)
    return;
  wire_deinit(&echo->wire);
  child_stop(&echo->child);
  free(echo);
  peer->state = NULL;
}

static int echo_start(struct bench_peer *peer, const struct bench_env *env) {
  struct echo *echo = calloc(1, sizeof(*echo));
  int ends[2];
  if (echo == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    fprintf(stderr, "bench: no socket pair for the bare round trip: %s\n", strerror(errno));
    free(echo);
    return -1;
  }
  peer->state = echo;
  int result = child_fork(&echo->child, peer->name, env->cpu, serve, ends);
  (void)close(ends[1]); /* the server's */
  if (result != 0) {
    (void)close(ends[0]); /* unused */
    return -1;
  }
  return wire_init(&echo->wire, peer->name, ends[0]);
}

static int echo_get(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct echo *echo = peer->state;
  struct echo_request request = {.size = load->size, .index = index};
  struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
  if (wire_send(&echo->wire, &iov, 1) != 0)
    return -1;
  return wire_receive(&echo->wire, load->size);
}

void peer_echo_init(struct bench_peer *peer) {
  *peer =
      (struct bench_peer){.name = "echo", .start = echo_start, .stop = echo_stop, .get = echo_get};
}
