/* scene.h - a row with more than one client's burst: other processes, another daemon, or a quiet
 * turn to compare with.
 *
 * Its `scene_X_init` fills a struct bench_scene, cannot fail and starts nothing. Functions return
 * 0, or -1 with the reason on stderr. */
#ifndef BENCH_SCENE_H
#define BENCH_SCENE_H

#include "tests/bench/bench_peer.h"
#include "tests/bench/measure.h"

#include <stdbool.h>

/* One round's turn of a scene. */
struct bench_turn {
  struct burst burst;
  struct samples *samples; /* scratch */
  bool beside_first;       /* the turn to compare with comes before the row's own */
};

struct bench_scene {
  const char *name;
  void *state; /* private to the scene; NULL before the start */
  int (*start)(struct bench_scene *scene, const struct bench_env *env, struct workload *load);
  int (*turn)(struct bench_scene *scene, const struct bench_turn *turn, struct measure *out);
  void (*stop)(struct bench_scene *scene); /* idempotent, also after a failed start */
};

/* One side of a pair: a burst of the row's own, or of the one to compare with. */
typedef int scene_side_fn(void *state, const struct bench_turn *turn, struct measure *out);

/* Runs both sides. Sets *out to the results of `own`, METRIC_BESIDE_* to those of `beside`, and
 * METRIC_RATIO to the ratio of both in the metric `about`. */
int scene_pair(void *state, const struct bench_turn *turn, scene_side_fn *beside,
               scene_side_fn *own, enum metric about, struct measure *out);

#endif
