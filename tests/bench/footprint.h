/* footprint.h - the memory that a server takes for an entry: rows bytes_per_entry/SERVER.
 *
 * By how much what is resident of a fresh server grows, shared memory included,
 * from its first entry of 3,100 bytes to its 100,000th, over their number.
 */
#ifndef BENCH_FOOTPRINT_H
#define BENCH_FOOTPRINT_H

#include "tests/bench/bench_run.h"

/* As bench_run, for the footprints. */
int footprint_run(const struct bench_env *env, const struct bench_options *options,
                  struct bench_result *results, size_t *n);

#endif
