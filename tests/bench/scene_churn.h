/* scene_churn.h - a reader while another process puts new entries into a full cache,
 * 10,000 a second, each of which evicts another; beside the same reader in quiet. */
#ifndef BENCH_SCENE_CHURN_H
#define BENCH_SCENE_CHURN_H

#include "tests/bench/scene.h"

void scene_churn_init(struct bench_scene *scene);

#endif
