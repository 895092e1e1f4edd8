#include "tests/bench/peer_fcached.h"

#include "tests/bench/bench_daemon.h"
#include "tests/bench/bench_worker.h"

#include <stdio.h>
#include <stdlib.h>

struct fcached {
  struct daemon daemon;
  struct worker worker;
  struct fcache_value values[WORKLOAD_BATCH]; /* of get_many */
};

static void fcached_stop(struct bench_peer *peer) {
  struct fcached *state = peer->state;
  if (state == NULL)
    return;
  worker_close(&state->worker);
  for (size_t i = 0; i < WORKLOAD_BATCH; i++)
    fcache_value_free(&state->values[i]);
  daemon_stop(&state->daemon);
  free(state);
  peer->state = NULL;
}

static int fcached_start(struct bench_peer *peer, const struct bench_env *env) {
  const struct peer_fcached_options *options = peer->options;
  struct fcached *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for %s\n", peer->name);
    return -1;
  }
  peer->state = state;
  const struct daemon_options daemon = {.name = options->name, .max_bytes = options->max_bytes};
  if (daemon_start(&state->daemon, env, &daemon) != 0)
    return -1;
  peer->pid = state->daemon.child.pid;
  return worker_open(&state->worker, state->daemon.socket, options->region);
}

static int fcached_get(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct fcached *state = peer->state;
  return worker_get(&state->worker, load, index);
}

static int fcached_set(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct fcached *state = peer->state;
  return worker_put(&state->worker, load, index);
}

static int fcached_join(struct bench_peer *peer) {
  struct fcached *state = peer->state;
  worker_close(&state->worker); /* only in the child */
  return worker_open_plain(&state->worker, state->daemon.socket);
}

static int fcached_cached(struct bench_peer *peer, struct workload *load, uint32_t index,
                          workload_compute_fn *compute, void *arg) {
  struct fcached *state = peer->state;
  return worker_cached(&state->worker, load, index, compute, arg);
}

static int fcached_fill(struct bench_peer *peer, struct workload *load) {
  struct fcached *state = peer->state;
  return worker_fill(&state->worker, load);
}

static int fcached_get_burst(struct bench_peer *peer, struct workload *load,
                             struct samples *samples, const struct burst *burst,
                             struct measure *out) {
  struct fcached *state = peer->state;
  worker_set_load(&state->worker, load);
  return worker_burst(&state->worker, peer->pid, samples, burst, out);
}

static int fcached_get_many(struct bench_peer *peer, struct workload *load, uint32_t first) {
  struct fcached *state = peer->state;
  struct fcache_hash prompts[WORKLOAD_BATCH];
  bool hit[WORKLOAD_BATCH];
  for (uint32_t i = 0; i < WORKLOAD_BATCH; i++)
    prompts[i] = fcache_hash(load->prompts[(first + i) % load->n], WORKLOAD_PROMPT);
  int result = fcache_get_many(state->worker.cache, WORKLOAD_OP, WORKLOAD_VIEW, WORKLOAD_TOP_K,
                               prompts, WORKLOAD_BATCH, 0, state->values, hit);
  if (result != FCACHE_OK)
    return worker_unexpected(&state->worker, "fcache_get_many", result);
  for (uint32_t i = 0; i < WORKLOAD_BATCH; i++) {
    if (!hit[i])
      return worker_unexpected(&state->worker, "fcache_get_many", FCACHE_MISS);
    const struct fcache_value *value = &state->values[i];
    if (!workload_check(load, (first + i) % load->n, value->data, value->size))
      return -1;
  }
  return 0;
}

void peer_fcached_init(struct bench_peer *peer, const struct peer_fcached_options *options) {
  *peer = (struct bench_peer){.name = options->name,
                              .options = options,
                              .start = fcached_start,
                              .stop = fcached_stop,
                              .get = fcached_get,
                              .set = fcached_set,
                              .join = fcached_join,
                              .cached = fcached_cached,
                              .fill = fcached_fill,
                              .get_many = fcached_get_many,
                              .get_burst = fcached_get_burst};
}
