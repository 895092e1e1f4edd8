#include "tests/bench/scene_watched.h"

#include "tests/bench/bench_daemon.h"
#include "tests/bench/bench_worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WATCHERS = 8, STEP_MS = 5, MAX_STEPS = 2000 };

/* A daemon and its worker. */
struct side {
  struct daemon daemon;
  struct worker worker;
};

struct watched {
  struct side watched, plain;
  struct child watchers[WATCHERS];
  bool puts;
};

struct putting {
  struct worker *worker;
  uint64_t puts; /* so far */
};

static int put_next(void *arg, uint64_t i) {
  (void)i; /* it has its own count */
  struct putting *putting = arg;
  struct worker *worker = putting->worker;
  uint32_t index = worker->next;
  worker->next = workload_next(worker->load, index);
  putting->puts++;
  return worker_put(worker, worker->load, index);
}

/* Adds the daemon's CPU time for one operation to that of the worker. */
static void add_daemon(struct measure *out, double daemon_s) {
  out->of[METRIC_PER_CPU_S] = 1 / (1 / out->of[METRIC_PER_CPU_S] + daemon_s);
}

static int measure_puts(struct side *side, const struct bench_turn *turn, struct measure *out) {
  struct putting putting = {.worker = &side->worker};
  pid_t daemon = side->daemon.child.pid;
  uint64_t before_ns = 0;
  uint64_t after_ns = 0;
  if (daemon_cpu_ns(daemon, &before_ns) != 0 ||
      measure_burst(turn->samples, put_next, &putting, &turn->burst, out) != 0 ||
      daemon_cpu_ns(daemon, &after_ns) != 0)
    return -1;
  add_daemon(out, (double)(after_ns - before_ns) / 1e9 / (double)putting.puts);
  return 0;
}

static int measure_hits(struct side *side, const struct bench_turn *turn, struct measure *out) {
  if (worker_burst(&side->worker, side->daemon.child.pid, turn->samples, &turn->burst, out) != 0)
    return -1;
  add_daemon(out, out->of[METRIC_DAEMON_US] / 1e6);
  return 0;
}

static int measure(struct watched *state, struct side *side, const struct bench_turn *turn,
                   struct measure *out) {
  return state->puts ? measure_puts(side, turn, out) : measure_hits(side, turn, out);
}

static int measure_plain(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct watched *state = arg;
  return measure(state, &state->plain, turn, out);
}

static int measure_watched(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct watched *state = arg;
  return measure(state, &state->watched, turn, out);
}

/* Waits until the daemon has that many watchers. */
static int wait_for_watchers(struct worker *worker, uint64_t n) {
  const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
  for (int i = 0; i < MAX_STEPS; i++) {
    uint64_t watchers = 0;
    if (worker_stat(worker, "watchers", &watchers) != 0)
      return -1;
    if (watchers == n)
      return 0;
    (void)nanosleep(&step, NULL); /* an interrupted pause is another step */
  }
  fprintf(stderr, "bench: watcher %d does not watch\n", (int)n);
  return -1;
}

/* The tool is in the directory of the daemon. Each watcher has a request pending when it stops. */
static int start_watchers(struct watched *state, const struct bench_env *env) {
  char program[512];
  const char *slash = strrchr(env->fcached, '/');
  int directory = slash == NULL ? 0 : (int)(slash - env->fcached + 1);
  (void)snprintf(program, sizeof(program), "%.*sfcachectl", directory, env->fcached);
  const char *argv[] = {program,  "--socket", state->watched.daemon.socket, "watch", "--all",
                        "--json", NULL};
  for (int i = 0; i < WATCHERS; i++) {
    struct child *child = &state->watchers[i];
    if (child_start(child, "watcher", env->cpu, env->dir, NULL, argv) != 0 ||
        wait_for_watchers(&state->watched.worker, (uint64_t)i + 1) != 0)
      return -1;
    (void)kill(child->pid, SIGSTOP); /* it is a child that has not ended */
  }
  return 0;
}

static int side_start(struct side *side, const struct bench_env *env, const char *name, bool region,
                      struct workload *load) {
  const struct daemon_options options = {.name = name, .max_bytes = "256M"};
  side->worker.load = load;
  if (daemon_start(&side->daemon, env, &options) != 0 ||
      worker_open(&side->worker, side->daemon.socket, region) != 0)
    return -1;
  return worker_fill(&side->worker, load);
}

static int start(struct bench_scene *scene, const struct bench_env *env, struct workload *load,
                 bool puts) {
  struct watched *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for the watched worker\n");
    return -1;
  }
  scene->state = state;
  state->puts = puts;
  const char *names[] = {puts ? "watched-put" : "watched", puts ? "unwatched-put" : "unwatched"};
  if (side_start(&state->watched, env, names[0], !puts, load) != 0 ||
      side_start(&state->plain, env, names[1], !puts, load) != 0)
    return -1;
  return start_watchers(state, env);
}

static int hits_start(struct bench_scene *scene, const struct bench_env *env,
                      struct workload *load) {
  return start(scene, env, load, false);
}

static int puts_start(struct bench_scene *scene, const struct bench_env *env,
                      struct workload *load) {
  return start(scene, env, load, true);
}

static int turn_of(struct bench_scene *scene, const struct bench_turn *turn, struct measure *out) {
  return scene_pair(scene->state, turn, measure_plain, measure_watched, METRIC_PER_CPU_S, out);
}

static void stop(struct bench_scene *scene) {
  struct watched *state = scene->state;
  if (state == NULL)
    return;
  for (int i = 0; i < WATCHERS; i++) {
    if (state->watchers[i].pid != 0)
      (void)kill(state->watchers[i].pid, SIGCONT); /* so that it sees the SIGTERM */
    child_stop(&state->watchers[i]);
  }
  worker_close(&state->watched.worker);
  worker_close(&state->plain.worker);
  daemon_stop(&state->watched.daemon);
  daemon_stop(&state->plain.daemon);
  free(state);
  scene->state = NULL;
}

void scene_watched_hits_init(struct bench_scene *scene) {
  *scene =
      (struct bench_scene){.name = "watched", .start = hits_start, .turn = turn_of, .stop = stop};
}

void scene_watched_puts_init(struct bench_scene *scene) {
  *scene = (struct bench_scene){
      .name = "watched-put", .start = puts_start, .turn = turn_of, .stop = stop};
}
