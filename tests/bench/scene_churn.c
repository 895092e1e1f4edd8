#include "tests/bench/scene_churn.h"

#include "tests/bench/bench_daemon.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/helper.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

/* The cache holds many times the keys that are read, so the LRU order keeps those in it. */
#define CACHE "256M"
enum { PUT_EVERY_NS = 100000, COMPUTE_NS = 10000000, MOST_PUTS = 256 << 10, LOOK_EVERY = 1024 };

struct churn {
  struct daemon daemon;
  struct worker reader, writer; /* after the start, only the helper uses the writer */
  struct helper helper;
  uint64_t puts; /* so far; each has a new key */
};

static int put_new(struct churn *state) {
  const struct workload *load = state->reader.load;
  char prompt[48];
  int length = snprintf(prompt, sizeof(prompt), "A key never asked for: %llu",
                        (unsigned long long)state->puts++);
  const struct fcache_key key = {.op = WORKLOAD_OP,
                                 .view = WORKLOAD_VIEW,
                                 .prompt = fcache_hash(prompt, (size_t)length),
                                 .top_k = WORKLOAD_TOP_K};
  int result = fcache_put(state->writer.cache, &key, load->value, load->size, COMPUTE_NS, 0);
  return result == FCACHE_OK ? 0 : worker_unexpected(&state->writer, "fcache_put", result);
}

/* Puts until the cache evicts. */
static int fill_up(struct churn *state) {
  uint64_t evicted = 0;
  while (evicted == 0 && state->puts < MOST_PUTS) {
    if (put_new(state) != 0 || (state->puts % LOOK_EVERY == 0 &&
                                worker_stat(&state->writer, "evictions_bytes", &evicted) != 0))
      return -1;
  }
  if (evicted > 0)
    return 0;
  fprintf(stderr, "bench: a cache of " CACHE " is not full after %u puts\n", MOST_PUTS);
  return -1;
}

static int wait_until(uint64_t ns) {
  const struct timespec at = {.tv_sec = (time_t)(ns / 1000000000u),
                              .tv_nsec = (long)(ns % 1000000000u)};
  int error;
  while ((error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL)) == EINTR)
    ;
  if (error == 0)
    return 0;
  fprintf(stderr, "bench: cannot wait: %s\n", strerror(error));
  return -1;
}

/* In the helper: does each put at its time, or at once if that has passed. */
static int put_paced(void *arg, uint64_t ns, struct measure *out) {
  struct churn *state = arg;
  if (state->writer.cache == NULL) {
    /* Without this, the kernel prolongs each wait by 50 us. */
    if (prctl(PR_SET_TIMERSLACK, 1UL) != 0 ||
        worker_open(&state->writer, state->daemon.socket, true) != 0)
      return -1;
  }
  uint64_t start_ns = measure_now_ns();
  uint64_t puts = 0;
  for (; puts * PUT_EVERY_NS < ns; puts++) {
    uint64_t due_ns = start_ns + puts * PUT_EVERY_NS;
    if ((measure_now_ns() < due_ns && wait_until(due_ns) != 0) || put_new(state) != 0)
      return -1;
  }
  out->of[METRIC_PUTS_PER_S] = (double)puts * 1e9 / (double)(measure_now_ns() - start_ns);
  return 0;
}

static int read_in_quiet(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct churn *state = arg;
  return worker_burst(&state->reader, state->daemon.child.pid, turn->samples, &turn->burst, out);
}

static int read_in_churn(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct churn *state = arg;
  struct measure puts;
  /* Longer than the reader's burst and the work before it. */
  uint64_t ns = turn->burst.ns + turn->burst.ns / 4;
  if (helper_begin(&state->helper, ns) != 0 || read_in_quiet(arg, turn, out) != 0 ||
      helper_end(&state->helper, &puts) != 0)
    return -1;
  out->of[METRIC_PUTS_PER_S] = puts.of[METRIC_PUTS_PER_S];
  out->of[METRIC_DAEMON_US] = NAN; /* most of the time went into the puts */
  return 0;
}

static int churn_start(struct bench_scene *scene, const struct bench_env *env,
                       struct workload *load) {
  struct churn *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for the churn\n");
    return -1;
  }
  scene->state = state;
  state->reader.load = load;
  const struct daemon_options options = {.name = scene->name, .max_bytes = CACHE};
  if (daemon_start(&state->daemon, env, &options) != 0 ||
      worker_open(&state->writer, state->daemon.socket, true) != 0 || fill_up(state) != 0)
    return -1;
  worker_close(&state->writer);
  /* The keys that are read are put last, so the next puts do not evict them. */
  if (worker_open(&state->reader, state->daemon.socket, true) != 0 ||
      worker_fill(&state->reader, load) != 0)
    return -1;
  return helper_start(&state->helper, "the writer", env->cpu, put_paced, state);
}

static int churn_turn(struct bench_scene *scene, const struct bench_turn *turn,
                      struct measure *out) {
  return scene_pair(scene->state, turn, read_in_quiet, read_in_churn, METRIC_P99, out);
}

static void churn_stop(struct bench_scene *scene) {
  struct churn *state = scene->state;
  if (state == NULL)
    return;
  helper_stop(&state->helper);
  worker_close(&state->writer);
  worker_close(&state->reader);
  daemon_stop(&state->daemon);
  free(state);
  scene->state = NULL;
}

void scene_churn_init(struct bench_scene *scene) {
  *scene = (struct bench_scene){
      .name = "churn", .start = churn_start, .turn = churn_turn, .stop = churn_stop};
}
