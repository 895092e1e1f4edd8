#include "tests/bench/peer_memcached.h"

#include "tests/bench/bench_children.h"
#include "tests/bench/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { END_BYTES = 5 }; /* "END\r\n", the whole reply of a miss */

struct memcached {
  struct child child;
  char socket[256];
  struct wire wire;
  char request[WORKLOAD_BATCH * WORKLOAD_KEY_BYTES + 16];
};

static void memcached_stop(struct bench_peer *peer) {
  struct memcached *state = peer->state;
  if (state == NULL)
    return;
  wire_deinit(&state->wire);
  child_stop(&state->child);
  free(state);
  peer->state = NULL;
}

static int memcached_join(struct bench_peer *peer) {
  struct memcached *state = peer->state;
  wire_deinit(&state->wire); /* of the parent, in a child; else -1 */
  int fd = child_connect(&state->child, state->socket);
  return fd < 0 ? -1 : wire_init(&state->wire, peer->name, fd);
}

static int memcached_start(struct bench_peer *peer, const struct bench_env *env) {
  char program[512], libraries[512];
  int length = snprintf(program, sizeof(program), "%s/bin/memcached", env->peers);
  (void)snprintf(libraries, sizeof(libraries), "%s/libs", env->peers); /* shorter than program */
  struct memcached *state = calloc(1, sizeof(*state));
  if (state == NULL || length >= (int)sizeof(program)) {
    fprintf(stderr, "bench: path too long for memcached in %s\n", env->peers);
    free(state);
    return -1;
  }
  peer->state = state;
  (void)snprintf(state->socket, sizeof(state->socket), "%s/memcached.sock",
                 env->dir); /* dir is short */
  /* One thread, room for all sets, items of up to 2 MB. A root user needs -u. */
  const char *const argv[] = {program, "-s", state->socket, "-t", "1",    "-m",
                              "1024",  "-I", "2m",          "-u", "root", NULL};
  if (child_start(&state->child, peer->name, env->cpu, env->dir, libraries, argv) != 0)
    return -1;
  peer->pid = state->child.pid;
  return memcached_join(peer);
}

/* Returns the length of "VALUE KEY 0 SIZE\r\n". All keys of a set have the same length. */
static size_t head_bytes(const struct workload *load) {
  return strlen("VALUE ") + load->key_bytes + strlen(" 0 ") + load->size_digits + 2;
}

/* Checks one item of a reply, at `at`, for the key at `wanted`. */
static bool check_item(const struct workload *load, const uint8_t *at, const char *wanted,
                       uint32_t index) {
  const uint8_t *key = at + strlen("VALUE ");
  const uint8_t *size = key + load->key_bytes + strlen(" 0 ");
  return memcmp(at, "VALUE ", 6) == 0 && memcmp(key, wanted, load->key_bytes) == 0 &&
         memcmp(size, load->size_text, load->size_digits) == 0 &&
         workload_check(load, index, at + head_bytes(load), load->size);
}

/* Reads the items of the last request, of `n` keys from `first` on, and the end. `have` bytes are
 * there already. */
static int receive_items(struct memcached *state, const struct workload *load, uint32_t first,
                         uint32_t n, size_t have) {
  size_t item = head_bytes(load) + load->size + 2;
  if (wire_receive_rest(&state->wire, have, n * item + END_BYTES - have) != 0)
    return -1;
  const uint8_t *at = state->wire.reply;
  const char *wanted = state->request + strlen("get ");
  for (uint32_t i = 0; i < n; i++, at += item, wanted += load->key_bytes + 1) {
    if (!check_item(load, at, wanted, (first + i) % load->n))
      return wire_unexpected(&state->wire, "the value asked for");
  }
  return memcmp(at, "END\r\n", END_BYTES) == 0 ? 0 : wire_unexpected(&state->wire, "END");
}

static int request_items(struct memcached *state, const struct workload *load, uint32_t first,
                         uint32_t n) {
  char *at = state->request;
  memcpy(at, "get", 3);
  at += 3;
  for (uint32_t i = 0; i < n; i++) {
    *at++ = ' ';
    at = workload_key_text(load, (first + i) % load->n, at);
  }
  memcpy(at, "\r\n", 2);
  at += 2;
  struct iovec iov = {.iov_base = state->request, .iov_len = (size_t)(at - state->request)};
  return wire_send(&state->wire, &iov, 1);
}

static int memcached_get(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct memcached *state = peer->state;
  if (request_items(state, load, index, 1) != 0)
    return -1;
  return receive_items(state, load, index, 1, 0);
}

static int memcached_find(struct bench_peer *peer, struct workload *load, uint32_t index,
                          bool *found) {
  struct memcached *state = peer->state;
  if (request_items(state, load, index, 1) != 0 || wire_receive(&state->wire, END_BYTES) != 0)
    return -1;
  *found = memcmp(state->wire.reply, "END\r\n", END_BYTES) != 0;
  return *found ? receive_items(state, load, index, 1, END_BYTES) : 0;
}

static int memcached_get_many(struct bench_peer *peer, struct workload *load, uint32_t first) {
  struct memcached *state = peer->state;
  if (request_items(state, load, first, WORKLOAD_BATCH) != 0)
    return -1;
  return receive_items(state, load, first, WORKLOAD_BATCH, 0);
}

static int memcached_set(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct memcached *state = peer->state;
  char *at = state->request;
  at = mempcpy(at, "set ", 4);
  at = workload_key_text(load, index, at);
  at = mempcpy(at, " 0 0 ", 5);
  at = mempcpy(at, load->size_text, load->size_digits);
  at = mempcpy(at, "\r\n", 2);
  char end[] = "\r\n";
  struct iovec iov[] = {
      {.iov_base = state->request, .iov_len = (size_t)(at - state->request)},
      {.iov_base = (void *)(uintptr_t)workload_value(load, index), .iov_len = load->size},
      {.iov_base = end, .iov_len = 2},
  };
  if (wire_send(&state->wire, iov, 3) != 0 || wire_receive(&state->wire, 8) != 0)
    return -1;
  return memcmp(state->wire.reply, "STORED\r\n", 8) == 0 ? 0
                                                         : wire_unexpected(&state->wire, "STORED");
}

void peer_memcached_init(struct bench_peer *peer) {
  *peer = (struct bench_peer){.name = "memcached",
                              .start = memcached_start,
                              .stop = memcached_stop,
                              .get = memcached_get,
                              .set = memcached_set,
                              .join = memcached_join,
                              .find = memcached_find,
                              .get_many = memcached_get_many};
}
