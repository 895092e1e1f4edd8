/* scene_tier.h - a reader of a daemon with a tier, beside the same reader of a daemon without: with
 * a tier server that works, and with one that hangs (SIGSTOP). */
#ifndef BENCH_SCENE_TIER_H
#define BENCH_SCENE_TIER_H

#include "tests/bench/scene.h"

void scene_tier_init(struct bench_scene *scene);
void scene_tier_hung_init(struct bench_scene *scene);

#endif
