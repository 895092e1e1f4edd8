#include "client/demo/views.h"

#include <errno.h>
#include <fcache.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/demo/util.h"

#define ADAPTATION_WEIGHT 3.0
#define SIGMA_CONTEXTS 64u /* contexts over which the size of the adaptation is measured */

static void log_row(const struct ngram *ngram, const uint32_t *history, size_t n, double *row) {
  ngram_row(ngram, history, n, row);
  for (uint32_t w = 0; w < ngram->vocabulary; w++)
    row[w] = log(row[w]);
}

/* How much adapting changes a log-probability: the root of the mean square over
 * contexts spread evenly over all texts, words weighted by base's probability of
 * them. */
static double adaptation_size(const struct model *model, const struct passage *passages,
                              size_t n_passages) {
  uint32_t size = model->vocabulary.size;
  double *before = demo_alloc(size, sizeof *before), *after = demo_alloc(size, sizeof *after);
  double sum = 0;
  size_t step = model->n_tokens / SIGMA_CONTEXTS + 1, passed = 0, contexts = 0;
  for (size_t i = 0; i < n_passages; passed += passages[i++].n) {
    for (size_t at = step - passed % step; at <= passages[i].n; at += step, contexts++) {
      log_row(&model->base, passages[i].ids, at, before);
      log_row(&model->ft, passages[i].ids, at, after);
      for (uint32_t w = 0; w < size; w++)
        sum += exp(before[w]) * (after[w] - before[w]) * (after[w] - before[w]);
    }
  }
  free(before);
  free(after);
  return contexts ? sqrt(sum / (double)contexts) : 0;
}

void model_init(struct model *model, const struct corpus *corpus) {
  *model = (struct model){0};
  vocabulary_init(&model->vocabulary, corpus);
  struct passage *passages = demo_alloc(corpus->n, sizeof *passages);
  uint32_t **ids = demo_alloc(corpus->n, sizeof *ids);
  size_t last = corpus->n - 1;
  for (size_t i = 0; i < corpus->n; i++) {
    const struct text *text = &corpus->texts[i];
    size_t n = vocabulary_encode(&model->vocabulary, text->bytes, text->size, &ids[i]);
    passages[i] = (struct passage){ids[i], i == last ? corpus->held_out : n, 1.0};
    model->n_tokens += passages[i].n;
  }
  passages[last].weight = ADAPTATION_WEIGHT;
  ngram_init(&model->base, model->vocabulary.size, passages, last);
  ngram_init(&model->ft, model->vocabulary.size, passages, corpus->n);
  model->null_sigma = adaptation_size(model, passages, corpus->n);
  for (size_t i = 0; i < corpus->n; i++)
    free(ids[i]);
  free(ids);
  free(passages);
}

void model_deinit(struct model *model) {
  vocabulary_deinit(&model->vocabulary);
  ngram_deinit(&model->base);
  ngram_deinit(&model->ft);
}

int view_parse(const char *name, struct view *out) {
  static const char scaled[] = "scaled_", null[] = "null_";
  char *end = NULL;
  *out = (struct view){0};
  errno = 0;
  if (strcmp(name, "base") == 0) {
    out->kind = VIEW_BASE;
  } else if (strcmp(name, "ft") == 0) {
    out->kind = VIEW_FT;
  } else if (strncmp(name, scaled, strlen(scaled)) == 0) {
    const char *number = name + strlen(scaled);
    out->kind = VIEW_SCALED;
    out->scale = strtod(number, &end);
    if (end == number || *end || !(out->scale >= 0 && out->scale <= 4))
      return FCACHE_EINVAL;
  } else if (strncmp(name, null, strlen(null)) == 0) {
    const char *number = name + strlen(null);
    out->kind = VIEW_NULL;
    out->seed = strtoull(number, &end, 10);
    if (number[0] < '0' || number[0] > '9' || *end || errno)
      return FCACHE_EINVAL;
  } else {
    return FCACHE_EINVAL;
  }
  return 0;
}

/* Log-probabilities from any numbers: subtracts the logarithm of their sum. */
static void normalise(double *row, uint32_t n) {
  double highest = row[0], sum = 0;
  for (uint32_t w = 1; w < n; w++)
    highest = row[w] > highest ? row[w] : highest;
  for (uint32_t w = 0; w < n; w++)
    sum += exp(row[w] - highest);
  double shift = highest + log(sum);
  for (uint32_t w = 0; w < n; w++)
    row[w] -= shift;
}

/* Very nearly normal, mean 0, variance 1: the sum of the four 16-bit parts of one
 * random number. The seed and the model's whole context decide it. */
static double noise(uint64_t *state) {
  uint64_t bits = demo_random(state);
  double sum = (double)(bits & 0xffff) + (double)(bits >> 16 & 0xffff) +
               (double)(bits >> 32 & 0xffff) + (double)(bits >> 48);
  return (sum / 65535.0 - 2.0) * sqrt(3.0);
}

static void add_noise(const struct model *model, uint64_t seed, const uint32_t *history, size_t n,
                      double *row) {
  uint64_t state = seed;
  for (size_t i = n < NGRAM_ORDER ? 0 : n - (NGRAM_ORDER - 1); i < n; i++)
    state = demo_random(&state) ^ history[i];
  for (uint32_t w = 0; w < model->vocabulary.size; w++)
    row[w] += model->null_sigma * noise(&state);
}

void view_row(const struct model *model, const struct view *view, const uint32_t *history,
              size_t n_history, double *row, double *scratch) {
  uint32_t size = model->vocabulary.size;
  log_row(view->kind == VIEW_FT ? &model->ft : &model->base, history, n_history, row);
  if (view->kind == VIEW_SCALED) {
    log_row(&model->ft, history, n_history, scratch);
    for (uint32_t w = 0; w < size; w++)
      row[w] += view->scale * (scratch[w] - row[w]);
    normalise(row, size);
  } else if (view->kind == VIEW_NULL) {
    add_noise(model, view->seed, history, n_history, row);
    normalise(row, size);
  }
}
