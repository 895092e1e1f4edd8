/* scene_churn.h - a reader while another process puts 10,000 new entries a second into a full
 * cache, each of which evicts another; beside the same reader without the writer. */
#ifndef BENCH_SCENE_CHURN_H
#define BENCH_SCENE_CHURN_H

#include "tests/bench/scene.h"

void scene_churn_init(struct bench_scene *scene);

#endif
