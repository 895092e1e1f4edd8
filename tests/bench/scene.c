#include "tests/bench/scene.h"

int scene_pair(void *state, const struct bench_turn *turn, scene_side_fn *beside,
               scene_side_fn *own, enum figure about, struct measure *out) {
  struct measure other = measure_none();
  *out = measure_none();
  if (turn->beside_first && beside(state, turn, &other) != 0)
    return -1;
  if (own(state, turn, out) != 0)
    return -1;
  if (!turn->beside_first && beside(state, turn, &other) != 0)
    return -1;
  out->of[FIGURE_BESIDE_P50] = other.of[FIGURE_P50];
  out->of[FIGURE_BESIDE_P99] = other.of[FIGURE_P99];
  out->of[FIGURE_BESIDE_PER_S] = other.of[FIGURE_PER_S];
  out->of[FIGURE_RATIO] = out->of[about] / other.of[about];
  return 0;
}
