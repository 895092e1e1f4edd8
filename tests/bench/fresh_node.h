/* fresh_node.h - a fresh node of a warm fleet: row fresh_node.
 *
 * One node stores 10,000 values of 3,100 bytes, which reach the tier. Then another node starts with
 * an empty cache, and a worker gets all keys from it in batches of 64. The metrics are the time of
 * that and the number of values that the worker had to compute. */
#ifndef BENCH_FRESH_NODE_H
#define BENCH_FRESH_NODE_H

#include "tests/bench/bench_run.h"

/* As bench_run, for this row. */
int fresh_node_run(const struct bench_env *env, const struct bench_options *options,
                   struct bench_result *results, size_t *n);

#endif
