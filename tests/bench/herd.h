/* herd.h - eight workers that start together on the same keys, none of which is stored. Rows:
 * herd8/SERVER, all in the same order, and herd8_staggered/SERVER, each from another eighth of the
 * list on.
 *
 * A computation costs 5 ms of CPU time. The metrics are the number of computations and the time of
 * the last worker. Each row runs once, because the slowest take most of a minute. No process is
 * pinned. */
#ifndef BENCH_HERD_H
#define BENCH_HERD_H

#include "tests/bench/bench_run.h"

/* As bench_run, for the herds. */
int herd_run(const struct bench_env *env, const struct bench_options *options,
             struct bench_result *results, size_t *n);

#endif
