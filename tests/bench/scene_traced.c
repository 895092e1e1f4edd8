#include "tests/bench/scene_traced.h"

#include "tests/bench/bench_daemon.h"
#include "tests/bench/bench_worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A daemon and its reader. */
struct pair {
  struct daemon daemon;
  struct worker worker;
};

struct traced {
  struct pair traced, plain;
  char trace[128]; /* path of the file */
};

static int read_plain(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct traced *state = arg;
  return worker_burst(&state->plain.worker, state->plain.daemon.child.pid, turn->samples,
                      &turn->burst, out);
}

static int read_traced(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct traced *state = arg;
  struct worker *worker = &state->traced.worker;
  pid_t pid = state->traced.daemon.child.pid;
  struct worker_tally before;
  struct worker_tally after;
  uint64_t lost = 0;
  /* The lines of a burst take 30 MB or more. The daemon only appends, and has written the earlier
   * ones. */
  if (truncate(state->trace, 0) != 0) {
    fprintf(stderr, "bench: cannot empty %s: %s\n", state->trace, strerror(errno));
    return -1;
  }
  if (worker_count(worker, pid, &before) != 0 ||
      worker_measure(worker, turn->samples, &turn->burst, out) != 0)
    return -1;
  daemon_settle(pid); /* lines that are not written yet are a cost of these hits too */
  if (worker_count(worker, pid, &after) != 0 || worker_stat(worker, "trace_lost", &lost) != 0)
    return -1;
  worker_compare(&before, &after, out);
  out->of[METRIC_TRACE_LOST] = (double)lost;
  return 0;
}

static int pair_start(struct pair *pair, const struct bench_env *env,
                      const struct daemon_options *options, struct workload *load) {
  pair->worker.load = load;
  if (daemon_start(&pair->daemon, env, options) != 0 ||
      worker_open(&pair->worker, pair->daemon.socket, true) != 0)
    return -1;
  return worker_fill(&pair->worker, load);
}

static void pair_stop(struct pair *pair) {
  worker_close(&pair->worker);
  daemon_stop(&pair->daemon);
}

static int traced_start(struct bench_scene *scene, const struct bench_env *env,
                        struct workload *load) {
  struct traced *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for the traced reader\n");
    return -1;
  }
  scene->state = state;
  (void)snprintf(state->trace, sizeof(state->trace), "%s/trace.jsonl", env->dir); /* dir is short */
  const struct daemon_options traced = {
      .name = "traced", .max_bytes = "256M", .trace = state->trace};
  const struct daemon_options plain = {.name = "untraced", .max_bytes = "256M"};
  if (pair_start(&state->traced, env, &traced, load) != 0)
    return -1;
  return pair_start(&state->plain, env, &plain, load);
}

static int traced_turn(struct bench_scene *scene, const struct bench_turn *turn,
                       struct measure *out) {
  return scene_pair(scene->state, turn, read_plain, read_traced, METRIC_PER_CPU_S, out);
}

static void traced_stop(struct bench_scene *scene) {
  struct traced *state = scene->state;
  if (state == NULL)
    return;
  pair_stop(&state->plain);
  pair_stop(&state->traced);
  free(state);
  scene->state = NULL;
}

void scene_traced_init(struct bench_scene *scene) {
  *scene = (struct bench_scene){
      .name = "traced", .start = traced_start, .turn = traced_turn, .stop = traced_stop};
}
