/* bench_run.h - one phase of the bench: starts the peers, measures the rows, and stops the peers.
 *
 * In a phase all processes are on one CPU, or none is pinned. Its rounds go through all rows, so
 * that a disturbance of the machine affects all of them. A comparison is between bursts of one
 * round: see bench_order.h. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "tests/bench/bench_results.h"
#include "tests/bench/env.h"
#include "tests/bench/noise.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_options {
  const char *patterns; /* the selected rows: see bench_row_wanted */
  uint32_t rounds;      /* 1 to MEASURE_MAX_ROUNDS */
  uint64_t burst_ns;    /* length of one burst */
  uint32_t keys;        /* of SET_3100_MANY; 0: the number in its table */
};

/* Measures the rows of `options`, appends the results to `results`, which has room for all rows
 * with all loads, and adds to *n. Measures `noise` before each burst. Returns 0, or -1 with the
 * reason on stderr, also if a signal (SIGINT or SIGTERM, blocked by the caller) asked to stop.
 * Stops everything that it started in both cases. */
int bench_run(const struct bench_env *env, const struct bench_options *options, struct noise *noise,
              struct bench_result *results, size_t *n);

/* Returns true if one of these signals asked to stop, and prints that. */
bool bench_asked_to_stop(void);

#endif
