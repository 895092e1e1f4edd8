#include "tests/bench/run.h"

#include "tests/bench/children.h"
#include "tests/bench/peer_echo.h"
#include "tests/bench/peer_fcached.h"
#include "tests/bench/peer_memcached.h"
#include "tests/bench/peer_redis.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_SIZES = 8, MAX_CASES = 256 };

/* A row at a size: what one round measures of it. */
struct bench_case {
  const struct bench_row *row;
  struct bench_peer *peer;
  struct workload *load;
  uint64_t position; /* goes on from burst to burst, so that all keys have their turn */
  struct measure *bursts;
};

struct phase {
  struct bench_peer peers[PEERS];
  struct workload loads[MAX_SIZES];
  struct bench_case cases[MAX_CASES];
  size_t n_cases;
  struct samples samples; /* scratch */
};

static int operate(void *arg, uint64_t i) {
  (void)i; /* the case has its own count */
  struct bench_case *item = arg;
  struct workload *load = item->load;
  uint64_t position = item->position++;
  switch (item->row->operation) {
  case OPERATION_GET:
    return item->peer->get(item->peer, load, workload_pick(load, position));
  case OPERATION_SET:
    return item->peer->set(item->peer, load, workload_pick(load, position));
  case OPERATION_GET_MANY:
    return item->peer->get_many(item->peer, load, (uint32_t)(position * WORKLOAD_BATCH % load->n));
  }
  return -1;
}

static bool asked_to_stop(void) {
  sigset_t pending;
  if (sigpending(&pending) != 0 ||
      (sigismember(&pending, SIGINT) != 1 && sigismember(&pending, SIGTERM) != 1))
    return false;
  fprintf(stderr, "bench: stopped by a signal\n");
  return true;
}

/* Starts the row's peer if none of its rows did yet, and stores the values of `load` there. */
static int prepare_peer(struct bench_peer *peer, const struct bench_env *env,
                        struct workload *load) {
  if (peer->state == NULL && peer->start(peer, env) != 0)
    return -1;
  for (uint32_t i = 0; peer->set != NULL && i < load->n; i++) {
    if (peer->set(peer, load, i) != 0)
      return -1;
  }
  return 0;
}

/* Adds the rows of one size that are asked for. */
static int add_size(struct phase *phase, const struct bench_env *env,
                    const struct bench_options *options, size_t size_index) {
  struct workload *load = &phase->loads[size_index];
  bool ready[PEERS] = {false};
  if (workload_init(load, bench_sizes[size_index]) != 0)
    return -1;
  for (size_t i = 0; i < bench_n_rows; i++) {
    const struct bench_row *row = &bench_rows[i];
    char name[BENCH_NAME_BYTES];
    bench_row_name(row, load->size, env->cpu < 0, name);
    if (!bench_row_wanted(name, options->patterns))
      continue;
    struct bench_peer *peer = &phase->peers[row->peer];
    if (!ready[row->peer] && prepare_peer(peer, env, load) != 0)
      return -1;
    ready[row->peer] = true;
    struct bench_case *item = &phase->cases[phase->n_cases++];
    *item = (struct bench_case){.row = row, .peer = peer, .load = load};
    item->bursts = calloc(options->rounds, sizeof(*item->bursts));
    if (item->bursts == NULL)
      return -1;
  }
  return 0;
}

/* Every second round goes backwards, so that no row always follows the same one. */
static int run_round(struct phase *phase, const struct bench_options *options, uint32_t round) {
  for (size_t i = 0; i < phase->n_cases; i++) {
    struct bench_case *item = &phase->cases[round % 2 == 0 ? i : phase->n_cases - 1 - i];
    if (asked_to_stop() || measure_burst(&phase->samples, operate, item, options->burst_ns,
                                         bench_row_units(item->row), &item->bursts[round]) != 0)
      return -1;
  }
  return 0;
}

static int run_phase(struct phase *phase, const struct bench_env *env,
                     const struct bench_options *options) {
  const char *where = env->cpu < 0 ? "unpinned" : "on one CPU";
  for (size_t i = 0; i < bench_n_sizes; i++) {
    if (add_size(phase, env, options, i) != 0)
      return -1;
  }
  for (uint32_t round = 0; round < options->rounds && phase->n_cases > 0; round++) {
    fprintf(stderr, "bench: %s: round %u of %u, %zu rows\n", where, round + 1, options->rounds,
            phase->n_cases);
    if (run_round(phase, options, round) != 0)
      return -1;
  }
  return 0;
}

static void phase_init(struct phase *phase) {
  peer_fcached_init(&phase->peers[PEER_FCACHED]);
  peer_memcached_init(&phase->peers[PEER_MEMCACHED]);
  peer_redis_init(&phase->peers[PEER_REDIS]);
  peer_echo_init(&phase->peers[PEER_ECHO]);
}

static void phase_deinit(struct phase *phase) {
  for (size_t i = 0; i < PEERS; i++)
    phase->peers[i].stop(&phase->peers[i]);
  for (size_t i = 0; i < bench_n_sizes; i++)
    workload_deinit(&phase->loads[i]);
  for (size_t i = 0; i < phase->n_cases; i++)
    free(phase->cases[i].bursts);
  samples_deinit(&phase->samples);
}

int bench_run(const struct bench_env *env, const struct bench_options *options,
              struct bench_result *results, size_t *n) {
  if (bench_n_sizes > MAX_SIZES || bench_n_sizes * bench_n_rows > MAX_CASES) {
    fprintf(stderr, "bench: more rows than MAX_CASES of run.c\n");
    return -1;
  }
  struct phase *phase = calloc(1, sizeof(*phase));
  if (phase == NULL || child_pin_self(env->cpu) != 0) {
    free(phase);
    return -1;
  }
  phase_init(phase);
  int result = run_phase(phase, env, options);
  for (size_t i = 0; result == 0 && i < phase->n_cases; i++) {
    const struct bench_case *item = &phase->cases[i];
    results[(*n)++] =
        (struct bench_result){.row = item->row,
                              .size = item->load->size,
                              .unpinned = env->cpu < 0,
                              .measure = measure_median(item->bursts, options->rounds)};
  }
  phase_deinit(phase);
  free(phase);
  return result;
}
