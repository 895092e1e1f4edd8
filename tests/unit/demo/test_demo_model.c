/* The demo's language model: is it one, and do its results survive being cached? */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/demo/compare_dist.h"
#include "client/demo/ops.h"
#include "client/demo/prompts.h"
#include "tests/support/runner.h"

static const char *const views[] = {"base", "ft", "scaled_0.50", "scaled_1.25", "null_42"};
enum { N_VIEWS = sizeof views / sizeof *views };

/* Two small texts with different habits, in a folder of the test's own. */
struct world {
  char folder[64], paths[2][96], list[200];
  struct corpus corpus;
  struct model model;
};

static void write_text(const char *path, const char *const *sentences, size_t n, size_t tokens) {
  FILE *file = fopen(path, "we");
  ck_assert_ptr_nonnull(file);
  uint32_t random = 1;
  for (size_t written = 0; written < tokens; written += 6) {
    random = random * 1664525u + 1013904223u;
    ck_assert_int_gt(fprintf(file, "%s\n", sentences[random >> 16 & (n - 1)]), 0);
  }
  ck_assert_int_eq(fclose(file), 0);
}

static void world_init(struct world *world) {
  static const char *const first[] = {"The cat sat on the mat.", "The dog saw a Cat run.",
                                      "A bird sat on the dog.", "One mat is on the bird."};
  static const char *const second[] = {
      "The dog must share results quickly.", "A daemon must share the results.",
      "The cat may share the daemon.", "Results are shared, the daemon's."};
  char error[DEMO_ERROR_SIZE];
  strcpy(world->folder, "/tmp/test-demo.XXXXXX"); /* NOLINT: it fits */
  ck_assert_ptr_nonnull(mkdtemp(world->folder));
  for (size_t i = 0; i < 2; i++)
    (void)snprintf(world->paths[i], sizeof world->paths[i], "%s/%zu.txt", world->folder, i);
  write_text(world->paths[0], first, 4, 6000);
  write_text(world->paths[1], second, 4, 3000);
  (void)snprintf(world->list, sizeof world->list, "%s/*.txt", world->folder);
  ck_assert_msg(corpus_load(&world->corpus, world->list, error) == 0, "%s", error);
  model_init(&world->model, &world->corpus);
}

static void world_deinit(struct world *world) {
  model_deinit(&world->model);
  corpus_deinit(&world->corpus);
  for (size_t i = 0; i < 2; i++)
    ck_assert_int_eq(unlink(world->paths[i]), 0);
  ck_assert_int_eq(rmdir(world->folder), 0);
}

static struct fcache_bytes text(const char *string) {
  return (struct fcache_bytes){string, strlen(string)};
}

static void ask(const struct world *world, const char *view, uint32_t top_k,
                struct distribution *out) {
  struct fcache_value value = {0};
  ck_assert_int_eq(ops_compute(&world->model, OP_NEXT_TOKEN_DIST, view,
                               text("the dog must share the"), top_k, &value),
                   0);
  ck_assert_int_eq(result_decode_distribution(value.data, value.size, out), 0);
  fcache_value_free(&value);
}

START_TEST(distributions_sum_to_one) {
  struct world world;
  world_init(&world);
  for (size_t v = 0; v < N_VIEWS; v++) {
    struct distribution top, all;
    ask(&world, views[v], 5, &top);
    ask(&world, views[v], 0, &all);
    ck_assert_double_eq_tol(distribution_mass(&top), 1.0, 1e-5);
    ck_assert_double_eq_tol(distribution_mass(&all), 1.0, 1e-5);
    ck_assert(top.n == 5 && top.has_tail && top.vocabulary_size == all.n);
    ck_assert(all.n == world.model.vocabulary.size && !all.has_tail);
    for (uint32_t i = 0; i < top.n; i++) {
      ck_assert_int_eq(top.ids[i], all.ids[i]);
      ck_assert(i == 0 || top.logprobs[i] <= top.logprobs[i - 1]);
    }
    result_free_distribution(&top);
    result_free_distribution(&all);
  }
  world_deinit(&world);
}
END_TEST

START_TEST(views_differ) {
  struct world world;
  world_init(&world);
  struct distribution of[N_VIEWS];
  for (size_t v = 0; v < N_VIEWS; v++)
    ask(&world, views[v], 0, &of[v]);
  for (size_t v = 0; v < N_VIEWS; v++)
    for (size_t k = 0; k < N_VIEWS; k++) {
      double divergence = distribution_divergence(&of[v], &of[k]);
      if (v == k)
        ck_assert_double_eq(divergence, 0);
      else
        ck_assert_double_gt(divergence, 1e-4);
    }
  /* half way to ft is nearer to base than ft is, a quarter beyond is farther */
  double half = distribution_divergence(&of[0], &of[2]),
         full = distribution_divergence(&of[0], &of[1]),
         beyond = distribution_divergence(&of[0], &of[3]);
  ck_assert(half < full && full < beyond);
  for (size_t v = 0; v < N_VIEWS; v++)
    result_free_distribution(&of[v]);
  world_deinit(&world);
}
END_TEST

static void check_distinct(const struct prompt_list *list) {
  ck_assert_uint_gt(list->n, 0);
  for (size_t i = 0; i < list->n; i++)
    for (size_t k = 0; k < i; k++)
      ck_assert(list->items[i].size != list->items[k].size ||
                memcmp(list->items[i].data, list->items[k].data, list->items[i].size) != 0);
}

/* Of a text that says the same again and again, where what is drawn comes twice. */
START_TEST(no_prompt_stands_twice_in_a_list) {
  static const char *const only[] = {"We share. We share. We share."};
  struct corpus corpus;
  char error[DEMO_ERROR_SIZE], path[] = "/tmp/test-demo.XXXXXX";
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(close(fd), 0);
  write_text(path, only, 1, 3000);
  ck_assert_msg(corpus_load(&corpus, path, error) == 0, "%s", error);
  for (unsigned i = 0; i < 4; i++) {
    struct prompts prompts;
    prompts_init(&prompts, &corpus, i, 4);
    check_distinct(&prompts.contexts);
    check_distinct(&prompts.passages);
    check_distinct(&prompts.openings);
    ck_assert_uint_eq(prompts.completions.n, prompts.openings.n);
    prompts_deinit(&prompts);
  }
  corpus_deinit(&corpus);
  ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(adapting_helps_on_unseen_text) {
  struct world world;
  world_init(&world);
  struct prompts prompts;
  prompts_init(&prompts, &world.corpus, 0, 4);
  double totals[2] = {0, 0};
  for (size_t v = 0; v < 2; v++)
    for (size_t i = 0; i < prompts.passages.n; i++) {
      struct fcache_value value = {0};
      struct rolling result;
      ck_assert_int_eq(ops_compute(&world.model, OP_ROLLING_LOGPROB, views[v],
                                   prompts.passages.items[i], 0, &value),
                       0);
      ck_assert_int_eq(result_decode_rolling(value.data, value.size, &result), 0);
      double sum = 0;
      for (uint32_t k = 0; k < result.n; k++)
        sum += (double)result.logprobs[k];
      ck_assert_double_eq_tol(sum, result.total, 1e-3);
      totals[v] += result.total;
      result_free_rolling(&result);
      fcache_value_free(&value);
    }
  ck_assert_double_gt(totals[1], totals[0]);
  prompts_deinit(&prompts);
  world_deinit(&world);
}
END_TEST

START_TEST(a_completion_is_the_end_of_the_text) {
  struct world world;
  world_init(&world);
  struct fcache_value whole = {0}, part = {0}, completion = {0};
  struct rolling all, prompt;
  double logprob = 0;
  struct fcache_bytes joined = ops_join(text("the cat may"), text(" share the daemon"));
  ck_assert_int_eq(ops_compute(&world.model, OP_ROLLING_LOGPROB, "ft",
                               text("the cat may share the daemon"), 0, &whole),
                   0);
  ck_assert_int_eq(
      ops_compute(&world.model, OP_ROLLING_LOGPROB, "ft", text("the cat may"), 0, &part), 0);
  ck_assert_int_eq(ops_compute(&world.model, OP_LOGPROB_OF, "ft", joined, 0, &completion), 0);
  ck_assert_int_eq(result_decode_rolling(whole.data, whole.size, &all), 0);
  ck_assert_int_eq(result_decode_rolling(part.data, part.size, &prompt), 0);
  ck_assert_int_eq(result_decode_completion(completion.data, completion.size, &logprob), 0);
  ck_assert_double_eq_tol(logprob, all.total - prompt.total, 1e-9);
  result_free_rolling(&all);
  result_free_rolling(&prompt);
  fcache_value_free(&whole);
  fcache_value_free(&part);
  fcache_value_free(&completion);
  free((void *)(uintptr_t)joined.data);
  world_deinit(&world);
}
END_TEST

START_TEST(two_models_give_the_same_bytes) {
  struct world world;
  struct model again;
  world_init(&world);
  model_init(&again, &world.corpus);
  for (size_t v = 0; v < N_VIEWS; v++) {
    struct fcache_value a = {0}, b = {0};
    struct fcache_bytes prompt = text("A daemon must");
    ck_assert_int_eq(ops_compute(&world.model, OP_NEXT_TOKEN_DIST, views[v], prompt, 9, &a), 0);
    ck_assert_int_eq(ops_compute(&again, OP_NEXT_TOKEN_DIST, views[v], prompt, 9, &b), 0);
    ck_assert_uint_eq(a.size, b.size);
    ck_assert_mem_eq(a.data, b.data, a.size);
    fcache_value_free(&a);
    fcache_value_free(&b);
  }
  model_deinit(&again);
  world_deinit(&world);
}
END_TEST

START_TEST(edges_of_the_ops) {
  struct world world;
  world_init(&world);
  struct fcache_value value = {0};
  struct fcache_bytes nothing = {NULL, 0}, joined = ops_join(nothing, nothing);
  struct rolling empty;
  double logprob = 1;
  ck_assert_int_eq(ops_compute(&world.model, OP_ROLLING_LOGPROB, "base", nothing, 0, &value), 0);
  ck_assert_int_eq(result_decode_rolling(value.data, value.size, &empty), 0);
  ck_assert(empty.n == 0 && empty.total == 0);
  result_free_rolling(&empty);
  ck_assert_int_eq(ops_compute(&world.model, OP_NEXT_TOKEN_DIST, "base", nothing, 3, &value), 0);
  ck_assert_int_eq(ops_compute(&world.model, OP_LOGPROB_OF, "base", joined, 0, &value), 0);
  ck_assert_int_eq(result_decode_completion(value.data, value.size, &logprob), 0);
  ck_assert_double_eq(logprob, 0);
  ck_assert_int_eq(ops_compute(&world.model, OP_LOGPROB_OF, "base", text("short"), 0, &value),
                   FCACHE_EINVAL);
  ck_assert_int_eq(
      ops_compute(&world.model, OP_LOGPROB_OF, "base", text("too long a size"), 0, &value),
      FCACHE_EINVAL);
  ck_assert_int_eq(ops_compute(&world.model, "other", "base", nothing, 0, &value), FCACHE_EINVAL);
  static const char *const no_views[] = {"",           "Base",  "scaled_", "scaled_x", "scaled_-1",
                                         "scaled_nan", "null_", "null_-1", "null_4x"};
  for (size_t i = 0; i < sizeof no_views / sizeof *no_views; i++)
    ck_assert_int_eq(ops_compute(&world.model, OP_NEXT_TOKEN_DIST, no_views[i], nothing, 3, &value),
                     FCACHE_EINVAL);
  free((void *)(uintptr_t)joined.data);
  fcache_value_free(&value);
  world_deinit(&world);
}
END_TEST

START_TEST(results_round_trip_and_nothing_else_does) {
  int64_t ids[] = {3, 70000};
  float logprobs[] = {-0.5f, -2.25f};
  struct distribution in = {80000, 2, ids, logprobs, true, -1.5f}, out;
  struct fcache_value value = {0};
  ck_assert_int_eq(result_encode_distribution(&in, &value), 0);
  ck_assert_int_eq(result_decode_distribution(value.data, value.size, &out), 0);
  ck_assert(out.vocabulary_size == 80000 && out.n == 2 && out.has_tail);
  ck_assert_float_eq(out.tail_logprob, -1.5f);
  ck_assert_mem_eq(out.ids, ids, sizeof ids);
  ck_assert_mem_eq(out.logprobs, logprobs, sizeof logprobs);
  result_free_distribution(&out);
  for (size_t cut = 0; cut < value.size; cut++)
    ck_assert_int_eq(result_decode_distribution(value.data, cut, &out), FCACHE_EINVAL);
  struct rolling text_result = {2, -2.75, logprobs}, rolling;
  ck_assert_int_eq(result_encode_rolling(&text_result, &value), 0);
  ck_assert_int_eq(result_decode_distribution(value.data, value.size, &out), FCACHE_EINVAL);
  ck_assert_int_eq(result_decode_rolling(value.data, value.size, &rolling), 0);
  ck_assert_double_eq(rolling.total, -2.75);
  ck_assert_mem_eq(rolling.logprobs, logprobs, sizeof logprobs);
  result_free_rolling(&rolling);
  for (size_t cut = 0; cut < value.size; cut++)
    ck_assert_int_eq(result_decode_rolling(value.data, cut, &rolling), FCACHE_EINVAL);
  fcache_value_free(&value);
}
END_TEST

START_TEST(wrong_texts_are_refused_by_name) {
  struct corpus corpus;
  char error[DEMO_ERROR_SIZE];
  ck_assert_int_eq(corpus_load(&corpus, "/nonexistent/text", error), FCACHE_EINVAL);
  ck_assert_ptr_nonnull(strstr(error, "/nonexistent/text: No such file"));
  ck_assert_int_eq(corpus_load(&corpus, "/proc", error), FCACHE_EINVAL);
  ck_assert_ptr_nonnull(strstr(error, "not a regular file"));
  ck_assert_int_eq(corpus_load(&corpus, "/dev/null", error), FCACHE_EINVAL);
  ck_assert_ptr_nonnull(strstr(error, "not a regular file"));
  ck_assert_int_eq(corpus_load(&corpus, "/proc/self/exe", error), FCACHE_EINVAL);
  ck_assert_ptr_nonnull(strstr(error, "DEMO_TEXT"));
}
END_TEST

START_TEST(one_text_is_cut_in_two) {
  struct world world;
  world_init(&world);
  struct corpus corpus;
  char error[DEMO_ERROR_SIZE];
  ck_assert_int_eq(corpus_load(&corpus, world.paths[0], error), 0);
  ck_assert_uint_eq(corpus.n, 2);
  ck_assert_uint_eq(corpus.texts[0].n + corpus.texts[1].n, world.corpus.texts[0].n);
  corpus_deinit(&corpus);
  ck_assert_int_eq(corpus_load(&corpus, world.paths[1], error), FCACHE_EINVAL);
  ck_assert_ptr_nonnull(strstr(error, "tokens"));
  world_deinit(&world);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("demo_model");
  TCase *cases = tcase_create("model");
  tcase_add_test(cases, distributions_sum_to_one);
  tcase_add_test(cases, views_differ);
  tcase_add_test(cases, no_prompt_stands_twice_in_a_list);
  tcase_add_test(cases, adapting_helps_on_unseen_text);
  tcase_add_test(cases, a_completion_is_the_end_of_the_text);
  tcase_add_test(cases, two_models_give_the_same_bytes);
  tcase_add_test(cases, edges_of_the_ops);
  tcase_add_test(cases, results_round_trip_and_nothing_else_does);
  tcase_add_test(cases, wrong_texts_are_refused_by_name);
  tcase_add_test(cases, one_text_is_cut_in_two);
  suite_add_tcase(suite, cases);
  return runner_run(suite);
}
