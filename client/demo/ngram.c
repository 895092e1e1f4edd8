#include "client/demo/ngram.h"

#include <stdlib.h>

#include "client/demo/util.h"

struct gram {
  uint64_t key;
  double count;
};

static int by_key(const void *a, const void *b) {
  uint64_t x = ((const struct gram *)a)->key, y = ((const struct gram *)b)->key;
  return x < y ? -1 : x > y;
}

static uint64_t pack(const uint32_t *ids, size_t n) {
  uint64_t key = 0;
  for (size_t i = 0; i < n; i++)
    key = key << 16 | ids[i];
  return key;
}

static void table_init(struct gram_table *table, size_t order, const struct passage *passages,
                       size_t n_passages) {
  size_t total = 0, n = 0;
  for (size_t i = 0; i < n_passages; i++)
    total += passages[i].n;
  struct gram *grams = demo_alloc(total, sizeof *grams);
  for (size_t i = 0; i < n_passages; i++)
    for (size_t k = 0; k + order <= passages[i].n; k++)
      grams[n++] = (struct gram){pack(passages[i].ids + k, order), passages[i].weight};
  qsort(grams, n, sizeof *grams, by_key);
  *table = (struct gram_table){demo_alloc(n, sizeof *table->keys),
                               demo_alloc(n, sizeof *table->counts), 0};
  for (size_t i = 0; i < n; i++) {
    if (table->n == 0 || table->keys[table->n - 1] != grams[i].key)
      table->keys[table->n++] = grams[i].key;
    table->counts[table->n - 1] += grams[i].count;
  }
  free(grams);
}

static void table_deinit(struct gram_table *table) {
  free(table->keys);
  free(table->counts);
  *table = (struct gram_table){0};
}

static void unigrams_init(struct ngram *model, const struct passage *passages, size_t n_passages) {
  uint32_t size = model->vocabulary;
  double total = 0, kinds = 0;
  model->unigrams = demo_alloc(size, sizeof *model->unigrams);
  for (size_t i = 0; i < n_passages; i++)
    for (size_t k = 0; k < passages[i].n; k++) {
      model->unigrams[passages[i].ids[k]] += passages[i].weight;
      total += passages[i].weight;
    }
  for (uint32_t w = 0; w < size; w++)
    kinds += model->unigrams[w] > 0;
  for (uint32_t w = 0; w < size; w++)
    model->unigrams[w] =
        total > 0 ? (model->unigrams[w] + kinds / size) / (total + kinds) : 1.0 / size;
}

void ngram_init(struct ngram *model, uint32_t vocabulary, const struct passage *passages,
                size_t n_passages) {
  *model = (struct ngram){.vocabulary = vocabulary};
  unigrams_init(model, passages, n_passages);
  table_init(&model->bigrams, 2, passages, n_passages);
  table_init(&model->trigrams, 3, passages, n_passages);
}

void ngram_deinit(struct ngram *model) {
  free(model->unigrams);
  table_deinit(&model->bigrams);
  table_deinit(&model->trigrams);
  *model = (struct ngram){0};
}

/* The index of the first key that is not below `key`. */
static size_t lower_bound(const struct gram_table *table, uint64_t key) {
  size_t low = 0, high = table->n;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (table->keys[middle] < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* One step of the interpolation: the row of the lower order becomes that of this one. */
static void interpolate(const struct gram_table *table, uint64_t context, uint32_t vocabulary,
                        double *row) {
  size_t first = lower_bound(table, context << 16), end = first;
  double seen = 0;
  while (end < table->n && table->keys[end] >> 16 == context)
    seen += table->counts[end++];
  if (end == first)
    return;
  double kinds = (double)(end - first), total = seen + kinds;
  for (uint32_t w = 0; w < vocabulary; w++)
    row[w] *= kinds / total;
  for (size_t i = first; i < end; i++)
    row[table->keys[i] & 0xffff] += table->counts[i] / total;
}

void ngram_row(const struct ngram *model, const uint32_t *history, size_t n_history, double *row) {
  for (uint32_t w = 0; w < model->vocabulary; w++)
    row[w] = model->unigrams[w];
  const uint32_t *end = history + n_history;
  if (n_history >= 1)
    interpolate(&model->bigrams, pack(end - 1, 1), model->vocabulary, row);
  if (n_history >= 2)
    interpolate(&model->trigrams, pack(end - 2, 2), model->vocabulary, row);
}
