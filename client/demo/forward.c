#include "client/demo/forward.h"

#include <math.h>
#include <stdlib.h>

#include "client/demo/util.h"

#define TRUST_AT_START 0.05 /* share of the prompt's own words */
#define TRUST_INERTIA 20.0  /* tokens that the share at the start counts for */

/* The share after one more token: moves towards what the token says of it. */
static double learn(double trust, double by_view, double by_prompt, size_t position) {
  double mixed = (1 - trust) * by_view + trust * by_prompt;
  double responsible = trust * by_prompt / mixed;
  return trust + (responsible - trust) / (TRUST_INERTIA + (double)position);
}

void forward_run(const struct model *model, const struct view *view, const uint32_t *ids, size_t n,
                 double *logprobs, double *next) {
  uint32_t size = model->vocabulary.size;
  double *row = demo_alloc(size, sizeof *row), *scratch = demo_alloc(size, sizeof *scratch);
  double *seen = demo_alloc(size, sizeof *seen), trust = TRUST_AT_START;
  for (size_t i = 0; i < n; i++) {
    view_row(model, view, ids, i, row, scratch);
    double by_view = exp(row[ids[i]]), mixed = by_view;
    if (i > 0) { /* before the first word the prompt has nothing to say */
      double by_prompt = seen[ids[i]] / (double)i;
      mixed = (1 - trust) * by_view + trust * by_prompt;
      trust = learn(trust, by_view, by_prompt, i);
    }
    if (logprobs)
      logprobs[i] = log(mixed);
    seen[ids[i]]++;
  }
  if (next) {
    view_row(model, view, ids, n, next, scratch);
    for (uint32_t w = 0; w < size && n > 0; w++)
      next[w] = log((1 - trust) * exp(next[w]) + trust * seen[w] / (double)n);
  }
  free(row);
  free(scratch);
  free(seen);
}
