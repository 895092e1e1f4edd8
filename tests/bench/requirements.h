/* requirements.h - what must hold of the figures. */
#ifndef BENCH_REQUIREMENTS_H
#define BENCH_REQUIREMENTS_H

#include "tests/bench/bench_figures.h"

#include <stddef.h>

/* A bound on a figure of a row, or on how it compares with another row's. Rows by
 * their full names. */
struct bench_requirement {
  const char *row;
  enum figure figure;
  enum bench_compare {
    COMPARE_NONE,  /* the figure itself is bounded */
    COMPARE_RATIO, /* the figure over the other */
    COMPARE_ABOVE, /* the figure less the other */
  } compare;
  const char *against; /* a row; its figure: */
  enum figure against_figure;
  enum bench_side { AT_MOST, AT_LEAST, EXACTLY } side;
  double bound;
};

extern const struct bench_requirement bench_requirements[];
extern const size_t bench_n_requirements;

#endif
