#include "client/demo/probes.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "client/demo/compare_dist.h"
#include "client/demo/util.h"

enum { TOP_K = 64, N_PROBES = 4 };
static const char *const curve[] = {"scaled_0.25", "scaled_0.50", "scaled_0.75",
                                    "scaled_1.00", "scaled_1.25", "scaled_1.50"};
static const char *const nulls[] = {"null_42", "null_43", "null_44", "null_45", "null_46"};
enum { N_CURVE = sizeof curve / sizeof *curve, N_NULLS = sizeof nulls / sizeof *nulls };

size_t probes_lookups(const struct prompts *prompts) {
  size_t divergence = 2 * prompts->contexts.n;
  size_t ablation = (1 + N_CURVE) * prompts->contexts.n + N_CURVE * prompts->passages.n;
  size_t null = (1 + N_NULLS) * prompts->contexts.n + (2 + N_NULLS) * prompts->openings.n;
  size_t perplexity = 2 * prompts->passages.n;
  return divergence + ablation + null + perplexity;
}

__attribute__((format(printf, 3, 4))) static void add(struct probe_report *report, double value,
                                                      const char *format, ...) {
  if (report->n == PROBES_MAX_NUMBERS)
    return; /* cannot happen: the probes below have fewer */
  struct probe_number *number = &report->numbers[report->n++];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(number->name, sizeof number->name, format, args); /* a long name is cut */
  va_end(args);
  number->value = value;
}

static void free_values(struct fcache_value *values, size_t n) {
  for (size_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
  free(values);
}

/* The distributions of a view after all contexts, in one batch. */
static int distributions(struct session *session, const char *view, const struct prompt_list *list,
                         struct distribution *out) {
  struct fcache_value *values = demo_alloc(list->n, sizeof *values);
  int r = session_batch(session, OP_NEXT_TOKEN_DIST, view, list->items, list->n, TOP_K, values);
  for (size_t i = 0; i < list->n && r == 0; i++)
    r = result_decode_distribution(values[i].data, values[i].size, &out[i]);
  free_values(values, list->n);
  return r;
}

static void free_distributions(struct distribution *list, size_t n) {
  for (size_t i = 0; i < n; i++)
    result_free_distribution(&list[i]);
  free(list);
}

/* The mean divergence of `view` from `base` over the contexts. */
static int mean_divergence(struct session *session, const struct distribution *base,
                           const char *view, const struct prompt_list *list, double *out) {
  struct distribution *other = demo_alloc(list->n, sizeof *other);
  int r = distributions(session, view, list, other);
  *out = 0;
  for (size_t i = 0; i < list->n && r == 0; i++)
    *out += distribution_divergence(&base[i], &other[i]) / (double)list->n;
  free_distributions(other, list->n);
  return r;
}

/* Perplexity over rolling log-probs: how many words the view wavers between. */
static int perplexity_of(const struct fcache_value *values, size_t n, double *out) {
  double total = 0, tokens = 0;
  for (size_t i = 0; i < n; i++) {
    struct rolling result;
    int r = result_decode_rolling(values[i].data, values[i].size, &result);
    if (r < 0)
      return r;
    total += result.total;
    tokens += result.n;
    result_free_rolling(&result);
  }
  *out = exp(-total / tokens);
  return 0;
}

/* Prompt by prompt, with fcache_cached. */
static int probe_divergence(struct session *session, const struct prompts *prompts,
                            struct probe_report *report) {
  static const char *const views[] = {"base", "ft"};
  const struct prompt_list *list = &prompts->contexts;
  double sum = 0, largest = 0;
  int r = 0;
  for (size_t i = 0; i < list->n && r == 0; i++) {
    struct distribution both[2] = {{0}, {0}};
    struct fcache_value value = {0};
    for (size_t v = 0; v < 2 && r == 0; v++) {
      r = session_cached(session, OP_NEXT_TOKEN_DIST, views[v], list->items[i], TOP_K, &value);
      if (r == 0)
        r = result_decode_distribution(value.data, value.size, &both[v]);
    }
    double divergence = r == 0 ? distribution_divergence(&both[0], &both[1]) : 0;
    sum += divergence;
    largest = fmax(largest, divergence);
    fcache_value_free(&value);
    result_free_distribution(&both[0]);
    result_free_distribution(&both[1]);
  }
  add(report, sum / (double)list->n, "divergence: KL(base||ft), mean, nats");
  add(report, largest, "divergence: KL(base||ft), largest, nats");
  return r;
}

/* Batch by batch, with fcache_cached_batch. */
static int probe_ablation(struct session *session, const struct prompts *prompts,
                          struct probe_report *report) {
  const struct prompt_list *contexts = &prompts->contexts, *passages = &prompts->passages;
  struct distribution *base = demo_alloc(contexts->n, sizeof *base);
  int r = distributions(session, "base", contexts, base);
  for (size_t i = 0; i < N_CURVE && r == 0; i++) {
    const char *view = curve[i];
    struct fcache_value *values = demo_alloc(passages->n, sizeof *values);
    double divergence = 0, perplexity = 0;
    r = mean_divergence(session, base, view, contexts, &divergence);
    if (r == 0)
      r = session_batch(session, OP_ROLLING_LOGPROB, view, passages->items, passages->n, 0, values);
    if (r == 0)
      r = perplexity_of(values, passages->n, &perplexity);
    free_values(values, passages->n);
    add(report, divergence, "ablation: %s, KL from base, nats", view);
    add(report, perplexity, "ablation: %s, perplexity", view);
  }
  free_distributions(base, contexts->n);
  return r;
}

/* The mean log-probability that a view gives to how the openings go on. */
static int mean_completion(struct session *session, const char *view,
                           const struct fcache_bytes *joined, size_t n, double *out) {
  struct fcache_value *values = demo_alloc(n, sizeof *values);
  int r = session_batch(session, OP_LOGPROB_OF, view, joined, n, 0, values);
  *out = 0;
  for (size_t i = 0; i < n && r == 0; i++) {
    double logprob = 0;
    r = result_decode_completion(values[i].data, values[i].size, &logprob);
    *out += logprob / (double)n;
  }
  free_values(values, n);
  return r;
}

static void mean_and_deviation(const double *values, size_t n, double *mean, double *deviation) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++)
    sum += values[i];
  *mean = sum / (double)n;
  for (size_t i = 0; i < n; i++)
    squares += (values[i] - *mean) * (values[i] - *mean);
  *deviation = sqrt(squares / (double)(n - 1));
}

/* What each null view diverges by, and gains on the completions, beside ft. */
static int null_gains(struct session *session, const struct prompts *prompts,
                      const struct fcache_bytes *joined, struct probe_report *report) {
  size_t n = prompts->openings.n;
  struct distribution *base = demo_alloc(prompts->contexts.n, sizeof *base);
  double of_base = 0, of_ft = 0, divergences[N_NULLS] = {0}, gains[N_NULLS] = {0};
  int r = distributions(session, "base", &prompts->contexts, base);
  if (r == 0)
    r = mean_completion(session, "base", joined, n, &of_base);
  if (r == 0)
    r = mean_completion(session, "ft", joined, n, &of_ft);
  for (size_t i = 0; i < N_NULLS && r == 0; i++) {
    r = mean_divergence(session, base, nulls[i], &prompts->contexts, &divergences[i]);
    if (r == 0)
      r = mean_completion(session, nulls[i], joined, n, &gains[i]);
    gains[i] -= of_base;
  }
  free_distributions(base, prompts->contexts.n);
  double mean = 0, deviation = 0;
  mean_and_deviation(divergences, N_NULLS, &mean, &deviation);
  add(report, mean, "null: KL(base||null), mean, nats");
  mean_and_deviation(gains, N_NULLS, &mean, &deviation);
  add(report, of_ft - of_base, "null: ft's gain on completions, nats");
  add(report, mean, "null: null views' gain, mean, nats");
  add(report, deviation, "null: null views' gain, deviation, nats");
  add(report, deviation > 0 ? (of_ft - of_base - mean) / deviation : 0, "null: z of ft's gain");
  return r;
}

static int probe_null(struct session *session, const struct prompts *prompts,
                      struct probe_report *report) {
  size_t n = prompts->openings.n;
  struct fcache_bytes *joined = demo_alloc(n, sizeof *joined);
  for (size_t i = 0; i < n; i++)
    joined[i] = ops_join(prompts->openings.items[i], prompts->completions.items[i]);
  int r = null_gains(session, prompts, joined, report);
  for (size_t i = 0; i < n; i++)
    free((void *)(uintptr_t)joined[i].data); /* ops_join's memory is ours, fcache_bytes is const */
  free(joined);
  return r;
}

static int probe_perplexity(struct session *session, const struct prompts *prompts,
                            struct probe_report *report) {
  static const char *const both[] = {"base", "ft"};
  const struct prompt_list *list = &prompts->passages;
  int r = 0;
  for (size_t k = 0; k < 2 && r == 0; k++) {
    const char *view = both[k];
    struct fcache_value *values = demo_alloc(list->n, sizeof *values);
    double perplexity = 0;
    for (size_t i = 0; i < list->n && r == 0; i++)
      r = session_cached(session, OP_ROLLING_LOGPROB, view, list->items[i], 0, &values[i]);
    if (r == 0)
      r = perplexity_of(values, list->n, &perplexity);
    free_values(values, list->n);
    add(report, perplexity, "perplexity: %s, unseen text", view);
  }
  return r;
}

int probes_run(struct session *session, const struct prompts *prompts,
               struct probe_report *report) {
  static const struct {
    const char *name;
    int (*run)(struct session *, const struct prompts *, struct probe_report *);
  } probes[N_PROBES] = {{"divergence", probe_divergence},
                        {"ablation", probe_ablation},
                        {"null", probe_null},
                        {"perplexity", probe_perplexity}};
  *report = (struct probe_report){0};
  for (unsigned i = 0; i < N_PROBES; i++) {
    int r = fcache_set_probe(session->cache, probes[i].name);
    if (r == 0)
      r = probes[i].run(session, prompts, report);
    if (r < 0) {
      fprintf(stderr, "demo: the probe %s failed: %s\n", probes[i].name, fcache_strerror(r));
      return r;
    }
  }
  return 0;
}
