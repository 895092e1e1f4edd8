/* scene_watched.h - a worker of a daemon with eight stopped watchers of all events, beside the same
 * worker of a daemon without watchers: one that reads from the region, and one that puts. */
#ifndef BENCH_SCENE_WATCHED_H
#define BENCH_SCENE_WATCHED_H

#include "tests/bench/scene.h"

void scene_watched_hits_init(struct bench_scene *scene);
void scene_watched_puts_init(struct bench_scene *scene);

#endif
