#include "client/demo/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/demo/util.h"

enum { JOIN_HEAD = 8 };

struct candidate {
  double logprob;
  uint32_t id;
};

static int by_probability(const void *a, const void *b) {
  const struct candidate *x = a, *y = b;
  if (x->logprob != y->logprob)
    return x->logprob < y->logprob ? 1 : -1;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* The n best of a sorted list, and what is left as the tail. */
static int encode_top(const struct candidate *sorted, uint32_t size, uint32_t n,
                      struct fcache_value *value) {
  struct distribution result = {.vocabulary_size = size, .n = n, .has_tail = n < size};
  double rest = 0;
  result.ids = demo_alloc(n, sizeof *result.ids);
  result.logprobs = demo_alloc(n, sizeof *result.logprobs);
  for (uint32_t i = 0; i < n; i++) {
    result.ids[i] = sorted[i].id;
    result.logprobs[i] = (float)sorted[i].logprob;
  }
  for (uint32_t i = n; i < size; i++)
    rest += exp(sorted[i].logprob);
  if (result.has_tail)
    result.tail_logprob = (float)log(rest);
  int r = result_encode_distribution(&result, value);
  result_free_distribution(&result);
  return r;
}

static int next_token_dist(const struct model *model, const struct view *view, const uint32_t *ids,
                           size_t n, uint32_t top_k, struct fcache_value *value) {
  uint32_t size = model->vocabulary.size;
  double *next = demo_alloc(size, sizeof *next);
  struct candidate *all = demo_alloc(size, sizeof *all);
  forward_run(model, view, ids, n, NULL, next);
  for (uint32_t w = 0; w < size; w++)
    all[w] = (struct candidate){next[w], w};
  qsort(all, size, sizeof *all, by_probability);
  int r = encode_top(all, size, top_k > 0 && top_k < size ? top_k : size, value);
  free(all);
  free(next);
  return r;
}

static int rolling_logprob(const struct model *model, const struct view *view, const uint32_t *ids,
                           size_t n, struct fcache_value *value) {
  double *logprobs = demo_alloc(n, sizeof *logprobs);
  struct rolling result = {.n = (uint32_t)n};
  result.logprobs = demo_alloc(n, sizeof *result.logprobs);
  forward_run(model, view, ids, n, logprobs, NULL);
  for (size_t i = 0; i < n; i++) {
    result.logprobs[i] = (float)logprobs[i];
    result.total += logprobs[i];
  }
  int r = result_encode_rolling(&result, value);
  result_free_rolling(&result);
  free(logprobs);
  return r;
}

static int logprob_of(const struct model *model, const struct view *view,
                      struct fcache_bytes joined, struct fcache_value *value) {
  const uint8_t *head = joined.data;
  uint64_t prompt_size = 0;
  if (joined.size < JOIN_HEAD)
    return FCACHE_EINVAL;
  for (size_t i = 0; i < JOIN_HEAD; i++)
    prompt_size |= (uint64_t)head[i] << (8 * i);
  if (prompt_size > joined.size - JOIN_HEAD)
    return FCACHE_EINVAL;
  const char *prompt = (const char *)head + JOIN_HEAD;
  uint32_t *before = NULL, *after = NULL;
  size_t n_before = vocabulary_encode(&model->vocabulary, prompt, prompt_size, &before);
  size_t n_after = vocabulary_encode(&model->vocabulary, prompt + prompt_size,
                                     joined.size - JOIN_HEAD - prompt_size, &after);
  size_t n = n_before + n_after;
  uint32_t *ids = demo_realloc(before, n, sizeof *ids);
  memcpy(ids + n_before, after, n_after * sizeof *ids);
  double *logprobs = demo_alloc(n, sizeof *logprobs), total = 0;
  forward_run(model, view, ids, n, logprobs, NULL);
  for (size_t i = n_before; i < n; i++)
    total += logprobs[i];
  free(logprobs);
  free(after);
  free(ids);
  return result_encode_completion(total, value);
}

int ops_compute(const struct model *model, const char *op, const char *view_name,
                struct fcache_bytes prompt, uint32_t top_k, struct fcache_value *value) {
  struct view view;
  int r = view_parse(view_name, &view);
  if (r < 0)
    return r;
  if (strcmp(op, OP_LOGPROB_OF) == 0)
    return logprob_of(model, &view, prompt, value);
  uint32_t *ids = NULL;
  size_t n = vocabulary_encode(&model->vocabulary, prompt.data, prompt.size, &ids);
  if (strcmp(op, OP_NEXT_TOKEN_DIST) == 0)
    r = next_token_dist(model, &view, ids, n, top_k, value);
  else if (strcmp(op, OP_ROLLING_LOGPROB) == 0)
    r = rolling_logprob(model, &view, ids, n, value);
  else
    r = FCACHE_EINVAL;
  free(ids);
  return r;
}

struct fcache_bytes ops_join(struct fcache_bytes prompt, struct fcache_bytes completion) {
  size_t size = JOIN_HEAD + prompt.size + completion.size;
  uint8_t *bytes = demo_alloc(size, 1);
  for (size_t i = 0; i < JOIN_HEAD; i++)
    bytes[i] = (uint8_t)((uint64_t)prompt.size >> (8 * i));
  if (prompt.size > 0) /* without bytes there may be no pointer, which memcpy must not see */
    memcpy(bytes + JOIN_HEAD, prompt.data, prompt.size);
  if (completion.size > 0)
    memcpy(bytes + JOIN_HEAD + prompt.size, completion.data, completion.size);
  return (struct fcache_bytes){bytes, size};
}
