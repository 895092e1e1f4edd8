#include "tests/bench/scene_two_readers.h"

#include "tests/bench/bench_daemon.h"
#include "tests/bench/bench_worker.h"
#include "tests/bench/helper.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct two_readers {
  struct daemon daemon;
  struct worker first, second; /* only the helper's process uses the second */
  struct helper helper;
  struct samples samples; /* the helper's */
};

/* In the helper: opens its own handle in its first burst. */
static int read_too(void *arg, uint64_t ns, struct measure *out) {
  struct two_readers *state = arg;
  if (state->second.cache == NULL && worker_open(&state->second, state->daemon.socket, true) != 0)
    return -1;
  const struct burst burst = {.ns = ns, .units = 1, .blocks = true};
  return worker_burst(&state->second, state->daemon.child.pid, &state->samples, &burst, out);
}

static int read_alone(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct two_readers *state = arg;
  return worker_burst(&state->first, state->daemon.child.pid, turn->samples, &turn->burst, out);
}

static int read_together(void *arg, const struct bench_turn *turn, struct measure *out) {
  struct two_readers *state = arg;
  struct measure second;
  if (helper_begin(&state->helper, turn->burst.ns) != 0 || read_alone(arg, turn, out) != 0 ||
      helper_end(&state->helper, &second) != 0)
    return -1;
  out->of[METRIC_PER_S] += second.of[METRIC_PER_S];
  out->of[METRIC_PER_CPU_S] += second.of[METRIC_PER_CPU_S];
  if (second.of[METRIC_REGION_SHARE] < out->of[METRIC_REGION_SHARE])
    out->of[METRIC_REGION_SHARE] = second.of[METRIC_REGION_SHARE];
  out->of[METRIC_DAEMON_US] =
      NAN; /* the daemon worked for both, whose bursts end at different times */
  return 0;
}

static int two_readers_start(struct bench_scene *scene, const struct bench_env *env,
                             struct workload *load) {
  struct two_readers *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for two readers\n");
    return -1;
  }
  scene->state = state;
  state->first.load = state->second.load = load;
  const struct daemon_options options = {.name = scene->name, .max_bytes = "256M"};
  if (daemon_start(&state->daemon, env, &options) != 0 ||
      worker_open(&state->first, state->daemon.socket, true) != 0 ||
      worker_fill(&state->first, load) != 0)
    return -1;
  return helper_start(&state->helper, "the second reader", env->cpu, read_too, state);
}

static int two_readers_turn(struct bench_scene *scene, const struct bench_turn *turn,
                            struct measure *out) {
  return scene_pair(scene->state, turn, read_alone, read_together, METRIC_PER_CPU_S, out);
}

static void two_readers_stop(struct bench_scene *scene) {
  struct two_readers *state = scene->state;
  if (state == NULL)
    return;
  helper_stop(&state->helper);
  worker_close(&state->first);
  daemon_stop(&state->daemon);
  free(state);
  scene->state = NULL;
}

void scene_two_readers_init(struct bench_scene *scene) {
  *scene = (struct bench_scene){.name = "two_readers",
                                .start = two_readers_start,
                                .turn = two_readers_turn,
                                .stop = two_readers_stop};
}
