/* scene.h - a row that takes more than one client's burst: other processes, another
 * daemon, a quiet turn to compare with.
 *
 * A scene fills a struct bench_scene by its `scene_X_init`, which cannot fail and
 * starts nothing. Functions return 0, or -1 after saying on stderr what failed.
 */
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
  void *state; /* the scene's own; NULL while it is not started */
  int (*start)(struct bench_scene *scene, const struct bench_env *env, struct workload *load);
  int (*turn)(struct bench_scene *scene, const struct bench_turn *turn, struct measure *out);
  void (*stop)(struct bench_scene *scene); /* idempotent; also after a failed start */
};

/* One side of a pair: a burst of what the row is about, or of what it is compared with. */
typedef int scene_side_fn(void *state, const struct bench_turn *turn, struct measure *out);

/* Runs both sides. *out is what `own` found, with FIGURE_BESIDE_* of what `beside` found, and
 * with FIGURE_RATIO, the one to the other in the figure `about`. */
int scene_pair(void *state, const struct bench_turn *turn, scene_side_fn *beside,
               scene_side_fn *own, enum figure about, struct measure *out);

#endif
