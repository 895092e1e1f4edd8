#include "tests/bench/herd.h"

#include "tests/bench/helper.h"
#include "tests/bench/peer_server.h"

#include <time.h>

enum { WORKERS = 8, KEYS = 2000, VALUE_BYTES = 3100, COMPUTE_NS = 5000000, SPINS = 2000 };

/* One worker, in its own process. */
struct member {
  struct bench_peer *peer;
  struct workload *load;
  uint32_t first; /* in the list of keys, which is a circle */
  bool joined;
  uint64_t computes;
};

static uint64_t cpu_ns(void) {
  struct timespec spent;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent) != 0)
    return UINT64_MAX; /* the kernel has this clock */
  return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

/* Does the work of a forward pass, measured in the process's own CPU time. */
static void compute(void *arg) {
  struct member *member = arg;
  uint64_t end_ns = cpu_ns() + COMPUTE_NS;
  volatile uint32_t work = 1;
  while (cpu_ns() < end_ns) {
    for (uint32_t i = 0; i < SPINS; i++)
      work = work * 1664525u + 1013904223u;
  }
  member->computes++;
}

/* Get, and on a miss compute and set, as users of a plain cache do. */
static int get_or_set(struct member *member, uint32_t index) {
  bool found = false;
  if (member->peer->find(member->peer, member->load, index, &found) != 0)
    return -1;
  if (found)
    return 0;
  compute(member);
  return member->peer->set(member->peer, member->load, index);
}

static int provide(struct member *member, uint32_t index) {
  struct bench_peer *peer = member->peer;
  if (peer->cached == NULL)
    return get_or_set(member, index);
  return peer->cached(peer, member->load, index, compute, member);
}

/* In the helper: its first burst connects it, and its second is the whole list. */
static int work(void *arg, uint64_t ns, struct measure *out) {
  (void)ns; /* of any length */
  struct member *member = arg;
  if (!member->joined) {
    member->joined = true;
    return member->peer->join(member->peer);
  }
  for (uint32_t i = 0; i < KEYS; i++) {
    if (provide(member, (member->first + i) % KEYS) != 0)
      return -1;
  }
  out->of[METRIC_COMPUTES] = (double)member->computes;
  return 0;
}

/* Starts all workers, and waits for the last. */
static int race(const struct helper *helpers, struct measure *out) {
  uint64_t start_ns = measure_now_ns();
  double computes = 0;
  for (size_t i = 0; i < WORKERS; i++) {
    if (helper_begin(&helpers[i], 0) != 0)
      return -1;
  }
  for (size_t i = 0; i < WORKERS; i++) {
    struct measure found;
    if (helper_end(&helpers[i], &found) != 0)
      return -1;
    computes += found.of[METRIC_COMPUTES];
  }
  out->of[METRIC_COMPUTES] = computes;
  out->of[METRIC_WALL_S] = (double)(measure_now_ns() - start_ns) / 1e9;
  return 0;
}

static int measure_herd(struct bench_peer *peer, const struct bench_env *env, struct workload *load,
                        bool staggered, struct measure *out) {
  struct helper helpers[WORKERS] = {0};
  int result = peer->start(peer, env);
  for (uint32_t i = 0; result == 0 && i < WORKERS; i++) {
    struct member member = {
        .peer = peer, .load = load, .first = staggered ? i * KEYS / WORKERS : 0};
    result = helper_start(&helpers[i], "a worker of the herd", env->cpu, work, &member);
  }
  if (result == 0)
    result = race(helpers, out);
  for (size_t i = 0; i < WORKERS; i++)
    helper_stop(&helpers[i]);
  return result;
}

static int measure_row(const struct bench_row *row, const struct bench_env *env,
                       struct workload *load, struct measure *out) {
  static const struct peer_fcached_options ours = {
      .name = "herd", .max_bytes = "256M", .region = true};
  struct bench_peer peer = {0};
  server_init(&peer, row->peer, &ours);
  int result = measure_herd(&peer, env, load, row->staggered, out);
  peer.stop(&peer);
  return result;
}

int herd_run(const struct bench_env *env, const struct bench_options *options,
             struct bench_result *results, size_t *n) {
  static const struct server_rows rows = {.kind = KIND_HERD,
                                          .value_bytes = VALUE_BYTES,
                                          .keys = KEYS,
                                          .unpinned = true,
                                          .measure = measure_row};
  return server_rows_run(&rows, env, options, results, n);
}
