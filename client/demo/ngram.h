/* ngram.h - a trigram model with interpolation, after Witten and Bell (1991).
 *
 * Each order hands the share T/(c+T) of its probability to the next lower one,
 * where c is how often the context was seen and T how many different words
 * followed it; below the single words stands the uniform distribution. So every
 * word has some probability everywhere, and rows sum to 1. */
#ifndef DEMO_NGRAM_H
#define DEMO_NGRAM_H

#include <stddef.h>
#include <stdint.h>

#define NGRAM_ORDER 3u

/* Tokens to learn from; each occurrence counts `weight` times. */
struct passage {
  const uint32_t *ids;
  size_t n;
  double weight;
};

/* Sorted n-grams of one order: context in the high bits, the word in the low 16. */
struct gram_table {
  uint64_t *keys;
  double *counts;
  size_t n;
};

struct ngram {
  uint32_t vocabulary; /* ids are below this; at most 65,536 */
  double *unigrams;    /* probabilities */
  struct gram_table bigrams, trigrams;
};

/* Counts the passages; no n-gram reaches from one into the next. */
void ngram_init(struct ngram *model, uint32_t vocabulary, const struct passage *passages,
                size_t n_passages);
void ngram_deinit(struct ngram *model);

/* Fills row[0..vocabulary) with the probability of each word after `history`
 * (its last two ids count; fewer, and the lower orders alone speak). */
void ngram_row(const struct ngram *model, const uint32_t *history, size_t n_history, double *row);

#endif
