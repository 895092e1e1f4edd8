/* scene_traced.h - a reader of a daemon that traces every hit to a file, beside the same reader of
 * a daemon without a trace. */
#ifndef BENCH_SCENE_TRACED_H
#define BENCH_SCENE_TRACED_H

#include "tests/bench/scene.h"

void scene_traced_init(struct bench_scene *scene);

#endif
