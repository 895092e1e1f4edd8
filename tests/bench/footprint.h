/* footprint.h - the memory of an entry in a server: rows bytes_per_entry/SERVER.
 *
 * Measures the growth of a fresh server's resident memory, with shared memory, from its first entry
 * of 3,100 bytes to its 100,000th, divided by their number. */
#ifndef BENCH_FOOTPRINT_H
#define BENCH_FOOTPRINT_H

#include "tests/bench/bench_run.h"

/* As bench_run, for the footprints. */
int footprint_run(const struct bench_env *env, const struct bench_options *options,
                  struct bench_result *results, size_t *n);

#endif
