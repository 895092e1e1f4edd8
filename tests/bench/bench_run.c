#include "tests/bench/bench_run.h"

#include "tests/bench/bench_children.h"
#include "tests/bench/bench_order.h"
#include "tests/bench/measure.h"
#include "tests/bench/peer_echo.h"
#include "tests/bench/peer_fcached.h"
#include "tests/bench/peer_lmdb.h"
#include "tests/bench/peer_memcached.h"
#include "tests/bench/peer_memcpy.h"
#include "tests/bench/peer_redis.h"
#include "tests/bench/scene_churn.h"
#include "tests/bench/scene_tier.h"
#include "tests/bench/scene_traced.h"
#include "tests/bench/scene_two_readers.h"
#include "tests/bench/scene_watched.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LOADS = 8, MAX_CASES = 512 };

/* A row with a load, and the results of its rounds. */
struct bench_case {
  const struct bench_row *row;
  struct bench_peer *peer;   /* NULL: a scene */
  struct bench_scene *scene; /* NULL: a peer */
  struct workload *load;
  uint32_t next; /* key; continues from burst to burst, so that all have their turn */
  struct measure *bursts;
};

struct phase {
  struct bench_peer peers[PEERS];
  struct bench_scene scenes[SCENES];
  struct workload loads[MAX_LOADS];
  struct bench_case cases[MAX_CASES];
  size_t groups[MAX_CASES]; /* of each case: see bench_order.h */
  size_t n_cases;
  struct samples samples; /* scratch */
  struct noise *noise;
};

/* Returns the key of an operation, and moves on to the next one's. */
static uint32_t take_key(struct bench_case *item) {
  const struct workload *load = item->load;
  uint32_t index = item->next;
  if (item->row->operation == OPERATION_GET_MANY)
    item->next = (index + WORKLOAD_BATCH) % load->n;
  else
    item->next = workload_next(load, index);
  return index;
}

static int operate(void *arg, uint64_t i) {
  (void)i; /* the case has its own count */
  struct bench_case *item = arg;
  uint32_t index = take_key(item);
  switch (item->row->operation) {
  case OPERATION_GET:
    return item->peer->get(item->peer, item->load, index);
  case OPERATION_SET:
    return item->peer->set(item->peer, item->load, index);
  case OPERATION_GET_MANY:
    return item->peer->get_many(item->peer, item->load, index);
  }
  return -1;
}

bool bench_asked_to_stop(void) {
  sigset_t pending;
  if (sigpending(&pending) != 0 ||
      (sigismember(&pending, SIGINT) != 1 && sigismember(&pending, SIGTERM) != 1))
    return false;
  fprintf(stderr, "bench: stopped by a signal\n");
  return true;
}

/* ---- before the rounds -------------------------------------------------- */

/* Starts the row's peer for its first row, and stores the values of `load` there. */
static int prepare_peer(struct bench_peer *peer, const struct bench_env *env,
                        struct workload *load) {
  if (peer->state == NULL && peer->start(peer, env) != 0)
    return -1;
  if (peer->fill != NULL)
    return peer->fill(peer, load);
  for (uint32_t i = 0; peer->set != NULL && i < load->n; i++) {
    if (peer->set(peer, load, workload_stored(load, i)) != 0)
      return -1;
  }
  return 0;
}

/* Returns the set, and makes it for the first row that needs it. Returns NULL with the reason on
 * stderr. */
static struct workload *get_load(struct phase *phase, const struct bench_options *options,
                                 size_t index) {
  struct workload *load = &phase->loads[index];
  const struct bench_load *wanted = &bench_loads[index];
  uint32_t n = index == SET_3100_MANY && options->keys > 0 ? options->keys : wanted->n;
  if (load->n == 0 && workload_init(load, wanted->size, n) != 0)
    return NULL;
  return load;
}

/* Reads each value once. The first access to a page of mapped memory is an exception that the
 * kernel handles, and no part of a hit. */
static int touch_all(struct bench_peer *peer, struct workload *load) {
  for (uint32_t i = 0, index = 0; i < load->n; i++, index = workload_next(load, index)) {
    if (peer->get(peer, load, index) != 0)
      return -1;
  }
  return 0;
}

/* Returns true if the case `index` is compared with the case before it, or both with another. */
static bool in_group(const struct phase *phase, size_t index) {
  if (index == 0 || phase->cases[index].row->ours == NULL)
    return false;
  const struct bench_case *item = &phase->cases[index];
  const struct bench_case *before = item - 1;
  return before->load == item->load && before->row->ours != NULL &&
         strcmp(before->row->ours, item->row->ours) == 0;
}

/* Adds one case, and starts its needs; `ready` says which peers have the load. */
static int add_case(struct phase *phase, const struct bench_env *env,
                    const struct bench_options *options, const struct bench_row *row,
                    struct workload *load, bool ready[PEERS]) {
  size_t index = phase->n_cases++;
  struct bench_case *item = &phase->cases[index];
  *item = (struct bench_case){.row = row, .load = load};
  phase->groups[index] = in_group(phase, index) ? phase->groups[index - 1] : index;
  item->bursts = calloc(options->rounds, sizeof(*item->bursts));
  if (item->bursts == NULL) {
    fprintf(stderr, "bench: out of memory for %u rounds\n", options->rounds);
    return -1;
  }
  if (row->kind == KIND_SCENE) {
    item->scene = &phase->scenes[row->scene];
    return item->scene->start(item->scene, env, load);
  }
  item->peer = &phase->peers[row->peer];
  if (!ready[row->peer] && prepare_peer(item->peer, env, load) != 0)
    return -1;
  ready[row->peer] = true;
  return row->fast ? touch_all(item->peer, load) : 0;
}

/* Adds the selected rows of a kind in this phase with one load. */
static int add_cases(struct phase *phase, const struct bench_env *env,
                     const struct bench_options *options, enum bench_kind kind, size_t load_index) {
  unsigned this_phase = env->cpu < 0 ? PHASE_UNPINNED : PHASE_PINNED;
  bool ready[PEERS] = {false};
  for (size_t i = 0; i < bench_n_rows; i++) {
    const struct bench_row *row = &bench_rows[i];
    char name[BENCH_NAME_BYTES];
    bench_row_name(row, bench_loads[load_index].size, env->cpu < 0, name);
    if (row->kind != kind || (row->phases & this_phase) == 0 ||
        (row->loads >> load_index & 1) == 0 || !bench_row_wanted(name, options->patterns))
      continue;
    struct workload *load = get_load(phase, options, load_index);
    if (load == NULL || add_case(phase, env, options, row, load, ready) != 0)
      return -1;
  }
  return 0;
}

/* ---- rounds ------------------------------------------------------------- */

static int run_case(struct phase *phase, const struct bench_options *options,
                    struct bench_case *item, uint32_t round) {
  struct measure *out = &item->bursts[round];
  *out = measure_none();
  const struct burst burst = {.ns = options->burst_ns,
                              .units = bench_row_units(item->row),
                              .blocks = bench_row_blocks(item->row, item->load->size)};
  if (item->scene != NULL) {
    const struct bench_turn turn = {
        .burst = burst, .samples = &phase->samples, .beside_first = round % 2 == 0};
    return item->scene->turn(item->scene, &turn, out);
  }
  if (item->row->operation == OPERATION_GET && item->peer->get_burst != NULL)
    return item->peer->get_burst(item->peer, item->load, &phase->samples, &burst, out);
  return measure_burst(&phase->samples, operate, item, &burst, out);
}

static int run_round(struct phase *phase, const struct bench_options *options, uint32_t round) {
  size_t order[MAX_CASES];
  order_round(phase->groups, phase->n_cases, round, order);
  for (size_t i = 0; i < phase->n_cases; i++) {
    if (bench_asked_to_stop() || noise_spin(phase->noise) != 0 ||
        run_case(phase, options, &phase->cases[order[i]], round) != 0)
      return -1;
  }
  return 0;
}

static int run_phase(struct phase *phase, const struct bench_env *env,
                     const struct bench_options *options) {
  const char *where = env->cpu < 0 ? "unpinned" : "on one CPU";
  /* The scenes come last, because they are compared with no other row. */
  static const enum bench_kind kinds[] = {KIND_OPERATION, KIND_SCENE};
  for (size_t i = 0; i < 2 * bench_n_loads; i++) {
    if (add_cases(phase, env, options, kinds[i / bench_n_loads], i % bench_n_loads) != 0)
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

/* Each daemon has room for all of its sets. */
static const struct peer_fcached_options socket_options = {.name = "socket", .max_bytes = "1G"};
static const struct peer_fcached_options region_options = {
    .name = "region", .max_bytes = "1G", .region = true};
static const struct peer_fcached_options region_20k_options = {
    .name = "region_20k", .max_bytes = "256M", .region = true};
static const struct peer_fcached_options region_200k_options = {
    .name = "region_200k", .max_bytes = "256M", .region = true};
static const struct peer_fcached_options region_1m_options = {
    .name = "region_1m", .max_bytes = "1G", .region = true};

static void phase_init(struct phase *phase) {
  peer_fcached_init(&phase->peers[PEER_SOCKET], &socket_options);
  peer_fcached_init(&phase->peers[PEER_REGION], &region_options);
  peer_fcached_init(&phase->peers[PEER_REGION_20K], &region_20k_options);
  peer_fcached_init(&phase->peers[PEER_REGION_200K], &region_200k_options);
  peer_fcached_init(&phase->peers[PEER_REGION_1M], &region_1m_options);
  peer_lmdb_init(&phase->peers[PEER_LMDB], "lmdb");
  peer_lmdb_init(&phase->peers[PEER_LMDB_20K], "lmdb_20k");
  peer_lmdb_init(&phase->peers[PEER_LMDB_200K], "lmdb_200k");
  peer_lmdb_init(&phase->peers[PEER_LMDB_1M], "lmdb_1m");
  peer_memcpy_init(&phase->peers[PEER_MEMCPY]);
  peer_memcached_init(&phase->peers[PEER_MEMCACHED]);
  peer_redis_init(&phase->peers[PEER_REDIS]);
  peer_echo_init(&phase->peers[PEER_ECHO]);
  scene_two_readers_init(&phase->scenes[SCENE_TWO_READERS]);
  scene_churn_init(&phase->scenes[SCENE_CHURN]);
  scene_traced_init(&phase->scenes[SCENE_TRACED]);
  scene_watched_hits_init(&phase->scenes[SCENE_WATCHED_HITS]);
  scene_watched_puts_init(&phase->scenes[SCENE_WATCHED_PUTS]);
  scene_tier_init(&phase->scenes[SCENE_TIER]);
  scene_tier_hung_init(&phase->scenes[SCENE_TIER_HUNG]);
}

static void phase_deinit(struct phase *phase) {
  for (size_t i = 0; i < PEERS; i++)
    phase->peers[i].stop(&phase->peers[i]);
  for (size_t i = 0; i < SCENES; i++)
    phase->scenes[i].stop(&phase->scenes[i]);
  for (size_t i = 0; i < bench_n_loads; i++)
    workload_deinit(&phase->loads[i]);
  for (size_t i = 0; i < phase->n_cases; i++)
    free(phase->cases[i].bursts);
  samples_deinit(&phase->samples);
}

int bench_run(const struct bench_env *env, const struct bench_options *options, struct noise *noise,
              struct bench_result *results, size_t *n) {
  if (bench_n_loads > MAX_LOADS || bench_n_loads * bench_n_rows > MAX_CASES) {
    fprintf(stderr, "bench: more rows than MAX_CASES of bench_run.c\n");
    return -1;
  }
  struct phase *phase = calloc(1, sizeof(*phase));
  if (phase == NULL || child_pin_self(env->cpu) != 0) {
    free(phase);
    return -1;
  }
  phase->noise = noise;
  phase_init(phase);
  int result = run_phase(phase, env, options);
  for (size_t i = 0; result == 0 && i < phase->n_cases; i++) {
    struct bench_case *item = &phase->cases[i];
    results[(*n)++] =
        (struct bench_result){.row = item->row,
                              .size = item->load->size,
                              .unpinned = env->cpu < 0,
                              .measure = measure_median(item->bursts, options->rounds),
                              .bursts = item->bursts,
                              .n_bursts = options->rounds};
    item->bursts = NULL;
  }
  phase_deinit(phase);
  free(phase);
  return result;
}
