/* forward.h - one forward pass: a view of the model over a whole prompt.
 *
 * The trigram part sees two words back. So that all of the prompt matters, it is
 * interpolated with a cache component (Kuhn and De Mori, 1990): the frequencies
 * of the prompt's own words so far. How much that is to be trusted is learned
 * along the prompt itself, from how well each part foretold each word; which
 * takes the view's probability of every word, and a view's probabilities are
 * known only when its whole row has been made to sum to 1. Hence the cost: a row
 * over the vocabulary per position. */
#ifndef DEMO_FORWARD_H
#define DEMO_FORWARD_H

#include "client/demo/views.h"

/* Fills, where not NULL, logprobs[0..n) with the log-probability of each token
 * after those before it, and next[0..vocabulary.size) with the log-probabilities
 * of the word that follows the last. */
void forward_run(const struct model *model, const struct view *view, const uint32_t *ids, size_t n,
                 double *logprobs, double *next);

#endif
