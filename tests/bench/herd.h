/* herd.h - eight workers that start together on the same keys, none of which is stored: rows
 * herd8/SERVER, all in the same order, and herd8_staggered/SERVER, each from another eighth of the
 * list on.
 *
 * What is not stored costs 5 ms of CPU time to compute. How many times that was done, and how long
 * the last one took: once, as the slowest take most of a minute. No process is pinned.
 */
#ifndef BENCH_HERD_H
#define BENCH_HERD_H

#include "tests/bench/bench_run.h"

/* As bench_run, for the herds. */
int herd_run(const struct bench_env *env, const struct bench_options *options,
             struct bench_result *results, size_t *n);

#endif
