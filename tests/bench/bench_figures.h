/* bench_figures.h - what may be found out about a row, and its name in build/bench.json. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

enum figure {
  FIGURE_P50, /* microseconds of one operation, as the other percentiles */
  FIGURE_P99,
  FIGURE_P999,
  FIGURE_PER_S,        /* units a second: operations, or keys where an operation has many */
  FIGURE_DAEMON_US,    /* CPU time of all of the daemon's threads for one hit, microseconds */
  FIGURE_REGION_SHARE, /* of the hits, those that the client served from the region: 0 to 1 */
  FIGURE_BESIDE_P50,   /* of the same round's turn without what the row adds: see its scene */
  FIGURE_BESIDE_P99,
  FIGURE_BESIDE_PER_S,
  FIGURE_RATIO,      /* of the row's own turn to the one beside it, in the figure it is about */
  FIGURE_PUTS_PER_S, /* that really came, while it was measured */
  FIGURE_TRACE_LOST, /* lines that the daemon did not write, since its start */
  FIGURE_BYTES,      /* of memory for one entry */
  FIGURE_KEY_VALUE_BYTES, /* of its key and value together */
  FIGURE_COMPUTES,        /* of all workers of a herd together */
  FIGURE_WALL_S,          /* from their common start to the last one's end */
  FIGURES
};

/* The name of a figure; static. */
const char *figure_name(enum figure figure);

/* What one burst, or the median of several, found. NAN: not measured. */
struct measure {
  double of[FIGURES];
};

/* Nothing measured yet. */
struct measure measure_none(void);

/* Each figure's own median over `n` >= 1 bursts (of FIGURE_REGION_SHARE the least, of
 * FIGURE_TRACE_LOST the greatest); NAN where one of them lacks it. */
struct measure measure_median(const struct measure *bursts, size_t n);

#endif
