#include "tests/bench/scene_tier.h"

#include "tests/bench/bench_daemon.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/redis_server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A daemon and its reader. */
struct side {
  struct daemon daemon;
  struct worker worker;
};

struct tier {
  struct child server;
  char server_socket[REDIS_SOCKET_BYTES];
  struct side with, without;
  bool hung; /* the server is stopped */
};

static int read_side(struct side *side, const struct bench_turn *turn, struct measure *out) {
  return worker_burst(&side->worker, side->daemon.child.pid, turn->samples, &turn->burst, out);
}

static int read_without(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct tier *state = arg;
  return read_side(&state->without, turn, out);
}

static int read_with(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct tier *state = arg;
  return read_side(&state->with, turn, out);
}

static int side_start(struct side *side, const struct bench_env *env,
                      const struct daemon_options *options, struct workload *load) {
  side->worker.load = load;
  if (daemon_start(&side->daemon, env, options) != 0 ||
      worker_open(&side->worker, side->daemon.socket, true) != 0)
    return -1;
  return worker_fill(&side->worker, load);
}

static int server_start(struct tier *state, const struct bench_env *env, const char *name) {
  if (redis_server_start(&state->server, env, name, state->server_socket) != 0)
    return -1;
  int fd = child_connect(&state->server, state->server_socket);
  if (fd < 0)
    return -1;
  (void)close(fd); /* the connection only showed that the server serves */
  return 0;
}

static int start(struct bench_scene *scene, const struct bench_env *env, struct workload *load,
                 bool hung) {
  struct tier *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for the reader with a tier\n");
    return -1;
  }
  scene->state = state;
  const struct daemon_options with = {
      .name = hung ? "hung-tier" : "with-tier", .max_bytes = "256M", .tier = state->server_socket};
  const struct daemon_options without = {.name = hung ? "no-hung-tier" : "no-tier",
                                         .max_bytes = "256M"};
  if (server_start(state, env, hung ? "tier-hung" : "tier") != 0 ||
      side_start(&state->with, env, &with, load) != 0 ||
      side_start(&state->without, env, &without, load) != 0)
    return -1;
  if (hung) {
    (void)kill(state->server.pid, SIGSTOP); /* it is a child that has not ended */
    state->hung = true;
  }
  return 0;
}

static int working_start(struct bench_scene *scene, const struct bench_env *env,
                         struct workload *load) {
  return start(scene, env, load, false);
}

static int hung_start(struct bench_scene *scene, const struct bench_env *env,
                      struct workload *load) {
  return start(scene, env, load, true);
}

static int turn_of(struct bench_scene *scene, const struct bench_turn *turn, struct measure *out) {
  return scene_pair(scene->state, turn, read_without, read_with, METRIC_P50, out);
}

static void stop(struct bench_scene *scene) {
  struct tier *state = scene->state;
  if (state == NULL)
    return;
  if (state->hung)
    (void)kill(state->server.pid, SIGCONT); /* so that it sees the SIGTERM */
  worker_close(&state->with.worker);
  worker_close(&state->without.worker);
  daemon_stop(&state->with.daemon);
  daemon_stop(&state->without.daemon);
  child_stop(&state->server);
  free(state);
  scene->state = NULL;
}

void scene_tier_init(struct bench_scene *scene) {
  *scene =
      (struct bench_scene){.name = "tier", .start = working_start, .turn = turn_of, .stop = stop};
}

void scene_tier_hung_init(struct bench_scene *scene) {
  *scene =
      (struct bench_scene){.name = "hung-tier", .start = hung_start, .turn = turn_of, .stop = stop};
}
