/* bench_run.h - one phase of the bench: the peers started, the rows measured, all ended.
 *
 * A phase has every process on one CPU, or none pinned. Its rounds go through
 * all rows, so that a disturbance of the machine falls on all of them alike.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "tests/bench/bench_figures.h"
#include "tests/bench/bench_rows.h"
#include "tests/bench/env.h"

#include <stdbool.h>
#include <stdint.h>

/* What was measured of one row. */
struct bench_result {
  const struct bench_row *row;
  uint32_t size; /* bytes */
  bool unpinned;
  struct measure measure;
};

struct bench_options {
  const char *patterns; /* rows asked for: see bench_row_wanted */
  uint32_t rounds;      /* 1 to 64 */
  uint64_t burst_ns;    /* length of one burst */
  uint32_t keys;        /* of SET_3100_MANY; 0: as many as its table says */
};

/* Measures what `options` asks for and appends it to `results`, which has room
 * for every row with every load, and counts up *n. 0, or -1 after saying on
 * stderr what failed, or that a signal (SIGINT or SIGTERM, blocked by the
 * caller) asked to stop. Either way nothing that it started is left. */
int bench_run(const struct bench_env *env, const struct bench_options *options,
              struct bench_result *results, size_t *n);

/* Whether one of these signals asked to stop; says so on stderr. */
bool bench_asked_to_stop(void);

#endif
