/* bench_judge.h - judges the results by the requirements. */
#ifndef BENCH_JUDGE_H
#define BENCH_JUDGE_H

#include "tests/bench/bench_results.h"
#include "tests/bench/requirements.h"

#include <stdbool.h>
#include <stddef.h>

struct verdict {
  const struct bench_requirement *need;
  struct spread value; /* the median is judged */
  bool met;
};

/* Returns true if the rows of a requirement were measured, and sets *verdict. */
bool judge(const struct bench_requirement *need, const struct bench_result *results, size_t n,
           struct verdict *verdict);

#endif
