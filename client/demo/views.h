/* views.h - the variants of the model, each with numbers of its own.
 *
 *   base       the trigram model of all texts but the last
 *   ft         the same, adapted: the first three quarters of the last text are
 *              counted too, each token several times
 *   scaled_A   on the line through both: log p = (1-A) log base + A log ft, made
 *              to sum to 1 again. A = 0 is base, 1 is ft, more goes beyond it
 *   null_S     base with random noise of seed S on each log-probability, as large
 *              on average as what adapting changed: a change that means nothing
 *
 * A model is read only once made; any number of threads may share it. */
#ifndef DEMO_VIEWS_H
#define DEMO_VIEWS_H

#include "client/demo/ngram.h"
#include "client/demo/vocabulary.h"

struct model {
  struct vocabulary vocabulary;
  struct ngram base, ft;
  double null_sigma; /* standard deviation of the noise, in nats */
  size_t n_tokens;   /* learned from */
};

enum view_kind { VIEW_BASE, VIEW_FT, VIEW_SCALED, VIEW_NULL };

struct view {
  enum view_kind kind;
  double scale;  /* VIEW_SCALED */
  uint64_t seed; /* VIEW_NULL */
};

/* Estimates the model. The corpus is not used afterwards. */
void model_init(struct model *model, const struct corpus *corpus);
void model_deinit(struct model *model);

/* 0, or FCACHE_EINVAL where there is no view of that name. */
int view_parse(const char *name, struct view *out);

/* Fills row[0..vocabulary.size) with the log-probability of each word after
 * `history`; the probabilities sum to 1. `scratch` has room for one more row. */
void view_row(const struct model *model, const struct view *view, const uint32_t *history,
              size_t n_history, double *row, double *scratch);

#endif
