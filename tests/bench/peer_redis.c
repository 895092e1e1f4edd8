#include "tests/bench/peer_redis.h"

#include "tests/bench/redis_server.h"
#include "tests/bench/wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MISS_BYTES = 5 }; /* "$-1\r\n" */

struct redis {
  struct child child;
  char socket[REDIS_SOCKET_BYTES];
  struct wire wire;
  char request[WORKLOAD_BATCH * (WORKLOAD_KEY_BYTES + 16) + 64];
};

static void redis_stop(struct bench_peer *peer) {
  struct redis *state = peer->state;
  if (state == NULL)
    return;
  wire_deinit(&state->wire);
  child_stop(&state->child);
  free(state);
  peer->state = NULL;
}

static int redis_join(struct bench_peer *peer) {
  struct redis *state = peer->state;
  wire_deinit(&state->wire); /* of the parent, in a child; else -1 */
  int fd = child_connect(&state->child, state->socket);
  return fd < 0 ? -1 : wire_init(&state->wire, peer->name, fd);
}

static int redis_start(struct bench_peer *peer, const struct bench_env *env) {
  struct redis *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for %s\n", peer->name);
    return -1;
  }
  peer->state = state;
  if (redis_server_start(&state->child, env, peer->name, state->socket) != 0)
    return -1;
  peer->pid = state->child.pid;
  return redis_join(peer);
}

/* Writes "$LENGTH\r\n" of a value, and returns its length. */
static size_t bulk_head(const struct workload *load, char *at) {
  at[0] = '$';
  memcpy(at + 1, load->size_text, load->size_digits);
  memcpy(at + 1 + load->size_digits, "\r\n", 2);
  return load->size_digits + 3;
}

/* Reads `list` (the head of one, or ""), and the values of `n` keys from `first` on. `have` bytes
 * are there already. */
static int receive_values(struct redis *state, const struct workload *load, const char *list,
                          uint32_t first, uint32_t n, size_t have) {
  char head[24];
  size_t head_bytes = bulk_head(load, head);
  size_t list_bytes = strlen(list);
  size_t item = head_bytes + load->size + 2;
  if (wire_receive_rest(&state->wire, have, list_bytes + n * item - have) != 0)
    return -1;
  const uint8_t *at = state->wire.reply;
  if (memcmp(at, list, list_bytes) != 0)
    return wire_unexpected(&state->wire, "a list");
  at += list_bytes;
  for (uint32_t i = 0; i < n; i++, at += item) {
    if (memcmp(at, head, head_bytes) != 0 ||
        !workload_check(load, (first + i) % load->n, at + head_bytes, load->size))
      return wire_unexpected(&state->wire, "the value asked for");
  }
  return 0;
}

static size_t put_key(char *at, const struct workload *load, uint32_t index) {
  /* Every key has 62 bytes; workload.h promises two digits by its limit of 64. */
  size_t n = load->key_bytes;
  at[0] = '$';
  at[1] = (char)('0' + n / 10);
  at[2] = (char)('0' + n % 10);
  memcpy(at + 3, "\r\n", 2);
  (void)workload_key_text(load, index, at + 5);
  memcpy(at + 5 + n, "\r\n", 2);
  return n + 7;
}

static int request_values(struct redis *state, const struct workload *load, const char *command,
                          uint32_t first, uint32_t n) {
  size_t size = strlen(command);
  memcpy(state->request, command, size);
  for (uint32_t i = 0; i < n; i++)
    size += put_key(state->request + size, load, (first + i) % load->n);
  struct iovec iov = {.iov_base = state->request, .iov_len = size};
  return wire_send(&state->wire, &iov, 1);
}

static int request_value(struct redis *state, const struct workload *load, uint32_t index) {
  return request_values(state, load, "*2\r\n$3\r\nGET\r\n", index, 1);
}

static int redis_get(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct redis *state = peer->state;
  if (request_value(state, load, index) != 0)
    return -1;
  return receive_values(state, load, "", index, 1, 0);
}

static int redis_find(struct bench_peer *peer, struct workload *load, uint32_t index, bool *found) {
  struct redis *state = peer->state;
  if (request_value(state, load, index) != 0 || wire_receive(&state->wire, MISS_BYTES) != 0)
    return -1;
  *found = memcmp(state->wire.reply, "$-1\r\n", MISS_BYTES) != 0;
  return *found ? receive_values(state, load, "", index, 1, MISS_BYTES) : 0;
}

static int redis_get_many(struct bench_peer *peer, struct workload *load, uint32_t first) {
  struct redis *state = peer->state;
  static_assert(WORKLOAD_BATCH == 64, "the texts below have the number of keys in them");
  if (request_values(state, load, "*65\r\n$4\r\nMGET\r\n", first, WORKLOAD_BATCH) != 0)
    return -1;
  return receive_values(state, load, "*64\r\n", first, WORKLOAD_BATCH, 0);
}

static int redis_set(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct redis *state = peer->state;
  static const char command[] = "*3\r\n$3\r\nSET\r\n";
  size_t size = sizeof(command) - 1;
  memcpy(state->request, command, size);
  size += put_key(state->request + size, load, index);
  size += bulk_head(load, state->request + size);
  char end[] = "\r\n";
  struct iovec iov[] = {
      {.iov_base = state->request, .iov_len = size},
      {.iov_base = (void *)(uintptr_t)workload_value(load, index), .iov_len = load->size},
      {.iov_base = end, .iov_len = 2},
  };
  if (wire_send(&state->wire, iov, 3) != 0 || wire_receive(&state->wire, 5) != 0)
    return -1;
  return memcmp(state->wire.reply, "+OK\r\n", 5) == 0 ? 0 : wire_unexpected(&state->wire, "+OK");
}

void peer_redis_init(struct bench_peer *peer) {
  *peer = (struct bench_peer){.name = "redis",
                              .start = redis_start,
                              .stop = redis_stop,
                              .get = redis_get,
                              .set = redis_set,
                              .join = redis_join,
                              .find = redis_find,
                              .get_many = redis_get_many};
}
