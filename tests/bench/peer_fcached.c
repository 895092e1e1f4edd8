#include "tests/bench/peer_fcached.h"

#include "tests/bench/children.h"

#include "fcache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMPUTE_NS = 10000000, DEADLINE_MS = 5000 };

struct fcached {
  struct child child;
  struct fcache *cache;
  struct fcache_value values[WORKLOAD_BATCH]; /* the first is that of single gets */
};

static void fcached_stop(struct bench_peer *peer) {
  struct fcached *state = peer->state;
  if (state == NULL)
    return;
  fcache_close(state->cache);
  for (size_t i = 0; i < WORKLOAD_BATCH; i++)
    fcache_value_free(&state->values[i]);
  child_stop(&state->child);
  free(state);
  peer->state = NULL;
}

static int open_cache(struct fcached *state, const char *path) {
  int fd = child_connect(&state->child, path);
  if (fd < 0)
    return -1;
  (void)close(fd); /* it was only to know that the daemon serves */
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  options.socket = path;
  options.name_space = "bench";
  options.client = "bench";
  /* Failing open would fail the bench: noise must not look like an absent daemon. */
  options.deadline_ms = DEADLINE_MS;
  struct fcache_error error;
  if (fcache_open(&options, &state->cache, &error) == 0)
    return 0;
  fprintf(stderr, "bench: cannot open the cache on %s: %s\n", path, error.text);
  return -1;
}

static int fcached_start(struct bench_peer *peer, const struct bench_env *env) {
  char program[512], path[256];
  int length = snprintf(program, sizeof(program), "%s", env->fcached);
  (void)snprintf(path, sizeof(path), "%s/fcached.sock", env->dir); /* dir is short */
  struct fcached *state = calloc(1, sizeof(*state));
  if (state == NULL || length >= (int)sizeof(program)) {
    fprintf(stderr, "bench: cannot name the daemon %s\n", env->fcached);
    free(state);
    return -1;
  }
  peer->state = state;
  const char *const argv[] = {program, "--socket", path, "--max-bytes", "1G", NULL};
  if (child_start(&state->child, peer->name, env->cpu, env->dir, NULL, argv) != 0)
    return -1;
  return open_cache(state, path);
}

static int unexpected(const struct fcached *state, const char *call, int result) {
  fprintf(stderr, "bench: %s: %s; %s\n", call, fcache_strerror(result),
          fcache_last_error(state->cache));
  return -1;
}

static struct fcache_key key_of(const struct workload *load, uint32_t index) {
  return (struct fcache_key){.op = WORKLOAD_OP,
                             .view = WORKLOAD_VIEW,
                             .prompt = fcache_hash(load->prompts[index], WORKLOAD_PROMPT),
                             .top_k = WORKLOAD_TOP_K};
}

static int fcached_get(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct fcached *state = peer->state;
  struct fcache_key key = key_of(load, index);
  int result = fcache_get(state->cache, &key, 0, &state->values[0]);
  if (result != FCACHE_OK)
    return unexpected(state, "fcache_get", result);
  return workload_check(load, index, state->values[0].data, state->values[0].size) ? 0 : -1;
}

static int fcached_set(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct fcached *state = peer->state;
  struct fcache_key key = key_of(load, index);
  int result =
      fcache_put(state->cache, &key, workload_value(load, index), load->size, COMPUTE_NS, 0);
  return result == FCACHE_OK ? 0 : unexpected(state, "fcache_put", result);
}

static int fcached_get_many(struct bench_peer *peer, struct workload *load, uint32_t first) {
  struct fcached *state = peer->state;
  struct fcache_hash prompts[WORKLOAD_BATCH];
  bool hit[WORKLOAD_BATCH];
  for (uint32_t i = 0; i < WORKLOAD_BATCH; i++)
    prompts[i] = fcache_hash(load->prompts[(first + i) % load->n], WORKLOAD_PROMPT);
  int result = fcache_get_many(state->cache, WORKLOAD_OP, WORKLOAD_VIEW, WORKLOAD_TOP_K, prompts,
                               WORKLOAD_BATCH, 0, state->values, hit);
  if (result != FCACHE_OK)
    return unexpected(state, "fcache_get_many", result);
  for (uint32_t i = 0; i < WORKLOAD_BATCH; i++) {
    if (!hit[i])
      return unexpected(state, "fcache_get_many", FCACHE_MISS);
    const struct fcache_value *value = &state->values[i];
    if (!workload_check(load, (first + i) % load->n, value->data, value->size))
      return -1;
  }
  return 0;
}

void peer_fcached_init(struct bench_peer *peer) {
  *peer = (struct bench_peer){.name = "fcached",
                              .start = fcached_start,
                              .stop = fcached_stop,
                              .get = fcached_get,
                              .set = fcached_set,
                              .get_many = fcached_get_many};
}
