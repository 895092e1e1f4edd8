/* This file is the part of the demo that shows how a program uses libfcache. */
#include "client/examples/demo_worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const demo_views[N_VIEWS] = {"base", "scaled_0.50", "ft"};

/* One entry of a next_token_dist value: a byte and its log-probability. */
struct token {
  uint32_t id;
  float logprob;
};

/* The lookups of one call: the argument of the compute callbacks. */
struct request {
  struct worker *worker;
  const char *op, *view;
  const struct fcache_bytes *prompts;
};

_Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "demo: %s: %s\n", what, why);
  exit(1);
}

/* ---- the forward passes ---- */

static int most_probable_first(const void *a, const void *b) {
  const struct token *x = a, *y = b;
  if (x->logprob != y->logprob)
    return x->logprob < y->logprob ? 1 : -1;
  return (x->id > y->id) - (x->id < y->id);
}

/* The TOP_K most probable bytes after the prompt, as an array of struct token. */
static int next_token_dist(const struct request *request, struct fcache_bytes prompt,
                           struct fcache_value *value) {
  double row[BYTE_MODEL_VOCABULARY];
  struct token tokens[BYTE_MODEL_VOCABULARY];
  if (!byte_model_predict(request->worker->model, request->view, prompt.data, prompt.size, row))
    return FCACHE_EINVAL;
  for (uint32_t i = 0; i < BYTE_MODEL_VOCABULARY; i++)
    tokens[i] = (struct token){i, (float)row[i]};
  qsort(tokens, BYTE_MODEL_VOCABULARY, sizeof *tokens, most_probable_first);
  return fcache_value_set(value, tokens, TOP_K * sizeof *tokens);
}

/* The log-probability of each byte of a text from `first` on, given those before it. */
static int score_bytes(const struct request *request, const uint8_t *text, size_t first,
                       size_t size, double *logprobs) {
  double row[BYTE_MODEL_VOCABULARY];
  for (size_t i = first; i < size; i++) {
    if (!byte_model_predict(request->worker->model, request->view, text, i, row))
      return FCACHE_EINVAL;
    logprobs[i - first] = row[text[i]];
  }
  return 0;
}

/* The value is an array of one double for each byte of the prompt. */
static int rolling_logprob(const struct request *request, struct fcache_bytes prompt,
                           struct fcache_value *value) {
  double logprobs[PASSAGE_BYTES] = {0};
  int r = score_bytes(request, prompt.data, 0, prompt.size, logprobs);
  return r == 0 ? fcache_value_set(value, logprobs, prompt.size * sizeof *logprobs) : r;
}

/* The value is one double, the log-probability of the last COMPLETION_BYTES of the prompt. */
static int logprob_of(const struct request *request, struct fcache_bytes prompt,
                      struct fcache_value *value) {
  double logprobs[COMPLETION_BYTES] = {0}, sum = 0;
  int r = score_bytes(request, prompt.data, prompt.size - COMPLETION_BYTES, prompt.size, logprobs);
  for (size_t i = 0; i < COMPLETION_BYTES && r == 0; i++)
    sum += logprobs[i];
  return r == 0 ? fcache_value_set(value, &sum, sizeof sum) : r;
}

static int forward_pass(const struct request *request, struct fcache_bytes prompt,
                        struct fcache_value *value) {
  request->worker->out->computed++;
  if (strcmp(request->op, "next_token_dist") == 0)
    return next_token_dist(request, prompt, value);
  if (strcmp(request->op, "rolling_logprob") == 0)
    return rolling_logprob(request, prompt, value);
  return logprob_of(request, prompt, value);
}

/* ---- the same through the cache ---- */

/* fcache_compute_fn. Runs only if no worker has computed the key. */
static int compute_one(void *arg, struct fcache_value *value) {
  const struct request *request = arg;
  return forward_pass(request, request->prompts[0], value);
}

/* fcache_compute_misses_fn. A real model would run all misses in one batch. */
static int compute_misses(void *arg, const size_t *misses, size_t n_misses,
                          struct fcache_batch *batch) {
  const struct request *request = arg;
  struct fcache_value value = {0};
  int r = 0;
  for (size_t i = 0; i < n_misses && r == 0; i++) {
    r = forward_pass(request, request->prompts[misses[i]], &value);
    if (r == 0)
      r = fcache_batch_add(batch, value.data, value.size);
  }
  fcache_value_free(&value);
  return r;
}

static void record(const struct request *request, struct fcache_hash prompt, uint32_t top_k,
                   const struct fcache_value *value) {
  struct worker_outcome *out = request->worker->out;
  char key[128];
  int size = snprintf(key, sizeof key - sizeof prompt, "%s %s %" PRIu32 " ", request->op,
                      request->view, top_k);
  memcpy(key + size, &prompt, sizeof prompt);
  if (out->n_records == LOOKUPS)
    die(request->op, "more lookups than LOOKUPS");
  out->records[out->n_records++] = (struct record){fcache_hash(key, (size_t)size + sizeof prompt),
                                                   fcache_hash(value->data, value->size)};
}

static void look_up(struct worker *worker, const char *op, const char *view,
                    struct fcache_bytes prompt, uint32_t top_k, struct fcache_value *value) {
  struct request request = {worker, op, view, &prompt};
  struct fcache_key key = {op, view, fcache_hash(prompt.data, prompt.size), top_k};
  int r = fcache_cached(worker->cache, &key, compute_one, &request, value);
  if (r != FCACHE_OK)
    die(op, fcache_strerror(r));
  record(&request, key.prompt, top_k, value);
}

static void look_up_batch(struct worker *worker, const char *op, const char *view,
                          const struct fcache_bytes *prompts, size_t n,
                          struct fcache_value *values) {
  struct request request = {worker, op, view, prompts};
  struct fcache_hash hashes[PASSAGES];
  for (size_t i = 0; i < n; i++)
    hashes[i] = fcache_hash(prompts[i].data, prompts[i].size);
  int r =
      fcache_cached_batch(worker->cache, op, view, 0, hashes, n, compute_misses, &request, values);
  if (r != FCACHE_OK)
    die(op, fcache_strerror(r));
  for (size_t i = 0; i < n; i++)
    record(&request, hashes[i], 0, &values[i]);
}

/* ---- the probes ---- */

/* Returns `size` bytes of the held-out text: number `i` of `n` that begin evenly spaced. */
static struct fcache_bytes cut(const struct worker *worker, size_t i, size_t n, size_t size) {
  return (struct fcache_bytes){worker->held_out + i * (worker->held_out_size - size - 1) / n, size};
}

/* Computes the share of contexts whose next byte the model ranks first, prompt by prompt with
 * fcache_cached. */
static void probe_accuracy(struct worker *worker) {
  struct fcache_value value = {0};
  for (size_t v = 0; v < N_VIEWS; v++)
    for (size_t i = 0; i < CONTEXTS; i++) {
      struct fcache_bytes prompt = cut(worker, worker->index * CONTEXTS_APART + i,
                                       CONTEXTS + (WORKERS - 1) * CONTEXTS_APART, PASSAGE_BYTES);
      look_up(worker, "next_token_dist", demo_views[v], prompt, TOP_K, &value);
      struct token first;
      memcpy(&first, value.data, sizeof first);
      if (first.id == ((const uint8_t *)prompt.data)[prompt.size])
        worker->out->accuracy[v] += 1.0 / CONTEXTS;
    }
  fcache_value_free(&value);
}

/* Computes the mean log-probability of passages, or of their ends, for each view, in batches with
 * fcache_cached_batch. */
static void probe_passages(struct worker *worker, const char *op, double out[N_VIEWS]) {
  struct fcache_bytes prompts[PASSAGES];
  struct fcache_value values[PASSAGES] = {{0}};
  for (size_t i = 0; i < PASSAGES; i++)
    prompts[i] = cut(worker, worker->index * PASSAGES_APART + i,
                     PASSAGES + (WORKERS - 1) * PASSAGES_APART, PASSAGE_BYTES);
  for (size_t v = 0; v < N_VIEWS; v++) {
    double sum = 0, logprob;
    look_up_batch(worker, op, demo_views[v], prompts, PASSAGES, values);
    for (size_t i = 0; i < PASSAGES; i++)
      for (size_t at = 0; at < values[i].size; at += sizeof logprob) {
        memcpy(&logprob, (const char *)values[i].data + at, sizeof logprob);
        sum += logprob;
      }
    out[v] = sum / PASSAGES;
  }
  for (size_t i = 0; i < PASSAGES; i++)
    fcache_value_free(&values[i]);
}

/* Sets the label of the lookups that follow in the trace. */
static void begin_probe(struct worker *worker, const char *probe) {
  int r = fcache_set_probe(worker->cache, probe);
  if (r != FCACHE_OK)
    die(probe, fcache_strerror(r));
}

void worker_run(struct worker *worker) {
  char name[32];
  struct fcache_error error;
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  (void)snprintf(name, sizeof name, "worker-%u", worker->index);
  options.client = name;
  options.deadline_ms = 5000; /* the workers keep all processors busy */
  if (fcache_open(&options, &worker->cache, &error) != FCACHE_OK)
    die(name, error.text);
  begin_probe(worker, "accuracy");
  probe_accuracy(worker);
  begin_probe(worker, "perplexity");
  probe_passages(worker, "rolling_logprob", worker->out->perplexity);
  for (size_t v = 0; v < N_VIEWS; v++)
    worker->out->perplexity[v] = exp(-worker->out->perplexity[v] / PASSAGE_BYTES);
  begin_probe(worker, "completion");
  probe_passages(worker, "logprob_of", worker->out->completion);
  fcache_get_counters(worker->cache, &worker->out->counters);
  fcache_close(worker->cache);
}
