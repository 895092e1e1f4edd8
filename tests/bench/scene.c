#include "tests/bench/scene.h"

int scene_pair(void *state, const struct bench_turn *turn, scene_side_fn *beside,
               scene_side_fn *own, enum metric about, struct measure *out) {
  struct measure other = measure_none();
  *out = measure_none();
  if (turn->beside_first && beside(state, turn, &other) != 0)
    return -1;
  if (own(state, turn, out) != 0)
    return -1;
  if (!turn->beside_first && beside(state, turn, &other) != 0)
    return -1;
  out->of[METRIC_BESIDE_P50] = other.of[METRIC_P50];
  out->of[METRIC_BESIDE_P99] = other.of[METRIC_P99];
  out->of[METRIC_BESIDE_PER_S] = other.of[METRIC_PER_S];
  out->of[METRIC_BESIDE_PER_CPU_S] = other.of[METRIC_PER_CPU_S];
  out->of[METRIC_RATIO] = out->of[about] / other.of[about];
  return 0;
}
