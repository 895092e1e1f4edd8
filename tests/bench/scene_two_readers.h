/* scene_two_readers.h - two processes that read at the same time, beside one alone. */
#ifndef BENCH_SCENE_TWO_READERS_H
#define BENCH_SCENE_TWO_READERS_H

#include "tests/bench/scene.h"

void scene_two_readers_init(struct bench_scene *scene);

#endif
