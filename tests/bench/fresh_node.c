#include "tests/bench/fresh_node.h"

#include "tests/bench/bench_daemon.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/peer_server.h"
#include "tests/bench/redis_server.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 10000, VALUE_BYTES = 3100, STEP_MS = 5, MAX_STEPS = 6000 };

struct fleet {
  struct child server;
  char server_socket[REDIS_SOCKET_BYTES];
  struct daemon warm, fresh;
  struct worker at_warm, at_fresh;
};

/* The misses of a batch: they fail the row, so any value does. */
static int count_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  uint64_t *computes = arg;
  (void)misses;
  *computes += n;
  for (size_t i = 0; i < n; i++) {
    int result = fcache_batch_skip(batch);
    if (result != FCACHE_OK)
      return result;
  }
  return 0;
}

static int get_batch(struct worker *worker, const struct workload *load, uint32_t first, uint32_t n,
                     struct fcache_value values[WORKLOAD_BATCH], uint64_t *computes) {
  struct fcache_hash prompts[WORKLOAD_BATCH];
  uint64_t before = *computes;
  for (uint32_t i = 0; i < n; i++)
    prompts[i] = fcache_hash(load->prompts[first + i], WORKLOAD_PROMPT);
  int result = fcache_cached_batch(worker->cache, WORKLOAD_OP, WORKLOAD_VIEW, WORKLOAD_TOP_K,
                                   prompts, n, count_misses, computes, values);
  if (result != FCACHE_OK)
    return worker_unexpected(worker, "fcache_cached_batch", result);
  for (uint32_t i = 0; i < n && *computes == before; i++)
    if (!workload_check(load, first + i, values[i].data, values[i].size))
      return -1;
  return 0;
}

static int get_all(struct worker *worker, const struct workload *load, struct measure *out) {
  struct fcache_value values[WORKLOAD_BATCH] = {{0}};
  uint64_t computes = 0, start_ns = measure_now_ns();
  int result = 0;
  for (uint32_t first = 0; result == 0 && first < load->n; first += WORKLOAD_BATCH) {
    uint32_t left = load->n - first;
    result = get_batch(worker, load, first, left < WORKLOAD_BATCH ? left : WORKLOAD_BATCH, values,
                       &computes);
  }
  out->of[METRIC_WALL_S] = (double)(measure_now_ns() - start_ns) / 1e9;
  out->of[METRIC_COMPUTES] = (double)computes;
  for (size_t i = 0; i < WORKLOAD_BATCH; i++)
    fcache_value_free(&values[i]);
  return result;
}

/* Waits until the tier has all values of the node. */
static int wait_published(struct worker *worker) {
  const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
  for (int i = 0; i < MAX_STEPS; i++) {
    uint64_t queued = 0;
    if (worker_stat(worker, "tier_queue_entries", &queued) != 0)
      return -1;
    if (queued == 0)
      return 0;
    (void)nanosleep(&step, NULL); /* an interrupted pause is another step */
  }
  fprintf(stderr, "bench: the values do not reach the tier\n");
  return -1;
}

static int node_start(struct daemon *daemon, struct worker *worker, const struct fleet *fleet,
                      const struct bench_env *env, const char *name) {
  const struct daemon_options options = {
      .name = name, .max_bytes = "256M", .tier = fleet->server_socket};
  if (daemon_start(daemon, env, &options) != 0)
    return -1;
  return worker_open(worker, daemon->socket, true);
}

static int measure_fleet(struct fleet *fleet, const struct bench_env *env, struct workload *load,
                         struct measure *out) {
  if (redis_server_start(&fleet->server, env, "tier-fresh", fleet->server_socket) != 0)
    return -1;
  int fd = child_connect(&fleet->server, fleet->server_socket);
  if (fd < 0)
    return -1;
  (void)close(fd); /* the connection only showed that the server serves */
  if (node_start(&fleet->warm, &fleet->at_warm, fleet, env, "warm-node") != 0 ||
      worker_fill(&fleet->at_warm, load) != 0 || wait_published(&fleet->at_warm) != 0 ||
      node_start(&fleet->fresh, &fleet->at_fresh, fleet, env, "fresh-node") != 0)
    return -1;
  return get_all(&fleet->at_fresh, load, out);
}

static int measure_row(const struct bench_row *row, const struct bench_env *env,
                       struct workload *load, struct measure *out) {
  struct fleet fleet = {0};
  (void)row; /* there is one */
  int result = measure_fleet(&fleet, env, load, out);
  worker_close(&fleet.at_warm);
  worker_close(&fleet.at_fresh);
  daemon_stop(&fleet.warm);
  daemon_stop(&fleet.fresh);
  child_stop(&fleet.server);
  return result;
}

int fresh_node_run(const struct bench_env *env, const struct bench_options *options,
                   struct bench_result *results, size_t *n) {
  static const struct server_rows rows = {.kind = KIND_FRESH_NODE,
                                          .value_bytes = VALUE_BYTES,
                                          .keys = KEYS,
                                          .unpinned = true,
                                          .measure = measure_row};
  return server_rows_run(&rows, env, options, results, n);
}
