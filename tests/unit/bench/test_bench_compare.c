/* The comparison of rows: medians of ratios over rounds, and the order that makes them pairs. */
#include "tests/bench/bench_judge.h"
#include "tests/bench/bench_order.h"
#include "tests/bench/scene.h"
#include "tests/support/runner.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static const struct {
  size_t n;
  double values[8];
  double low, median, high;
} spreads[] = {
    {1, {5}, 5, 5, 5},
    {2, {3, 1}, 1.5, 2, 2.5},
    {3, {9, 1, 5}, 3, 5, 7},
    {4, {4, 3, 2, 1}, 1.75, 2.5, 3.25},
    {5, {5, 1, 4, 2, 3}, 2, 3, 4},
    {3, {1, 2, INFINITY}, 1.5, 2, INFINITY},
};

START_TEST(spread_has_median_and_quartiles) {
  double values[8];
  for (size_t i = 0; i < spreads[_i].n; i++)
    values[i] = spreads[_i].values[i];
  struct spread spread = spread_of(values, spreads[_i].n);
  ck_assert_double_eq(spread.low, spreads[_i].low);
  ck_assert_double_eq(spread.median, spreads[_i].median);
  ck_assert_double_eq(spread.high, spreads[_i].high);
}
END_TEST

START_TEST(spread_of_unknown_values_is_unknown) {
  double values[] = {1, NAN, 3};
  ck_assert_double_nan(spread_of(values, 3).median);
  ck_assert_double_nan(spread_of(values, 0).median);
}
END_TEST

/* Three rounds. The machine was twice as slow in the second one, and another program disturbed one
 * row in the third one. */
static void three_rounds(struct measure ours[3], struct measure other[3]) {
  static const double ours_us[] = {1.0, 2.0, 1.0};
  static const double other_us[] = {1.25, 2.5, 9.0};
  for (size_t i = 0; i < 3; i++) {
    ours[i] = measure_none();
    other[i] = measure_none();
    ours[i].of[METRIC_P50] = ours_us[i];
    other[i].of[METRIC_P50] = other_us[i];
  }
}

START_TEST(ratio_is_the_median_of_the_rounds) {
  struct measure ours[3], other[3];
  three_rounds(ours, other);
  struct measure_pair pair = {
      .bursts = ours, .against = other, .n = 3, .metric = METRIC_P50, .against_metric = METRIC_P50};
  ck_assert_double_eq(measure_compare(&pair, COMPARE_RATIO).median, 0.8);
  ck_assert_double_eq(measure_compare(&pair, COMPARE_ABOVE).median, -0.5);
  ck_assert_double_eq(measure_compare(&pair, COMPARE_NONE).median, 1.0);
  /* That of the medians is another: 1.0 / 2.5. */
  ck_assert_double_eq(measure_median(ours, 3).of[METRIC_P50], 1.0);
  ck_assert_double_eq(measure_median(other, 3).of[METRIC_P50], 2.5);
  pair.metric = METRIC_P99;
  ck_assert_double_nan(measure_compare(&pair, COMPARE_RATIO).median);
}
END_TEST

START_TEST(share_and_lost_lines_are_the_worst_of_the_rounds) {
  struct measure bursts[3];
  static const double shares[] = {1.0, 0.9, 1.0};
  for (size_t i = 0; i < 3; i++) {
    bursts[i] = measure_none();
    bursts[i].of[METRIC_REGION_SHARE] = shares[i];
    bursts[i].of[METRIC_TRACE_LOST] = i == 1 ? 7 : 0;
  }
  ck_assert_double_eq(measure_median(bursts, 3).of[METRIC_REGION_SHARE], 0.9);
  ck_assert_double_eq(measure_median(bursts, 3).of[METRIC_TRACE_LOST], 7);
  ck_assert_double_eq(measure_spread(bursts, 3, METRIC_REGION_SHARE).high, 0.9);
}
END_TEST

/* Two rows of the table, with the results above. */
static void two_results(struct bench_result results[2], struct measure ours[3],
                        struct measure other[3]) {
  three_rounds(ours, other);
  results[0] = (struct bench_result){.row = &bench_rows[0], .size = 64, .bursts = ours};
  results[1] = (struct bench_result){.row = &bench_rows[1], .size = 64, .bursts = other};
  for (size_t i = 0; i < 2; i++) {
    results[i].n_bursts = 3;
    results[i].measure = measure_median(results[i].bursts, 3);
  }
}

static const struct {
  double bound;
  enum bench_side side;
  bool met;
} bounds[] = {
    {0.79, AT_MOST, false},  {0.81, AT_MOST, true}, {0.79, AT_LEAST, true},
    {0.81, AT_LEAST, false}, {0.8, EXACTLY, true},  {0.4, EXACTLY, false},
};

START_TEST(requirement_is_judged_by_the_median_of_the_rounds) {
  struct bench_result results[2];
  struct measure ours[3], other[3];
  two_results(results, ours, other);
  struct bench_requirement need = {.row = "hit_region/64",
                                   .metric = METRIC_P50,
                                   .compare = COMPARE_RATIO,
                                   .against = "lmdb_get/64",
                                   .against_metric = METRIC_P50,
                                   .side = bounds[_i].side,
                                   .bound = bounds[_i].bound};
  struct verdict verdict;
  ck_assert(judge(&need, results, 2, &verdict));
  ck_assert_double_eq(verdict.value.median, 0.8);
  ck_assert_int_eq(verdict.met, bounds[_i].met);
}
END_TEST

START_TEST(requirement_without_its_rows_is_not_judged) {
  struct bench_result results[2];
  struct measure ours[3], other[3];
  two_results(results, ours, other);
  struct bench_requirement need = {
      .row = "hit_region/64", .compare = COMPARE_RATIO, .against = "memcpy/64", .side = AT_MOST};
  struct verdict verdict;
  ck_assert(!judge(&need, results, 2, &verdict));
  need.row = "hit_region/3100";
  need.against = NULL;
  need.compare = COMPARE_NONE;
  ck_assert(!judge(&need, results, 2, &verdict));
}
END_TEST

START_TEST(unknown_result_fails_its_requirement) {
  struct bench_result result = {.row = &bench_rows[0], .size = 64, .measure = measure_none()};
  struct bench_requirement need = {
      .row = "hit_region/64", .metric = METRIC_P50, .side = AT_MOST, .bound = 1};
  struct verdict verdict;
  ck_assert(judge(&need, &result, 1, &verdict));
  ck_assert(!verdict.met);
}
END_TEST

/* Three rows, one on its own, and two rows. */
START_TEST(round_measures_ours_beside_the_others_and_every_second_one_backwards) {
  static const size_t groups[] = {0, 0, 0, 3, 4, 4};
  static const size_t forth[] = {1, 0, 2, 3, 5, 4};
  size_t order[6];
  for (size_t round = 0; round < 4; round++) {
    order_round(groups, 6, round, order);
    for (size_t i = 0; i < 6; i++)
      ck_assert_uint_eq(order[i], forth[round % 2 == 0 ? i : 5 - i]);
  }
}
END_TEST

/* A side of a scene: the state counts the calls. */
static int slow_side(void *state, const struct bench_turn *turn, struct measure *out) {
  (void)turn;
  int *calls = state;
  out->of[METRIC_PER_S] = 1e6; /* other programs took half of the CPU */
  out->of[METRIC_PER_CPU_S] = 2e6;
  return ++*calls > 0 ? 0 : -1;
}

static int fast_side(void *state, const struct bench_turn *turn, struct measure *out) {
  (void)turn;
  int *calls = state;
  out->of[METRIC_PER_S] = 3.8e6;
  out->of[METRIC_PER_CPU_S] = 3.8e6;
  return ++*calls > 0 ? 0 : -1;
}

START_TEST(scene_compares_by_cpu_time) {
  const struct bench_turn turn = {.beside_first = _i == 0};
  struct measure out;
  int calls = 0;
  ck_assert_int_eq(scene_pair(&calls, &turn, slow_side, fast_side, METRIC_PER_CPU_S, &out), 0);
  ck_assert_int_eq(calls, 2);
  ck_assert_double_eq_tol(out.of[METRIC_RATIO], 1.9, 1e-9);
  ck_assert_double_eq(out.of[METRIC_BESIDE_PER_CPU_S], 2e6);
  ck_assert_double_eq(out.of[METRIC_BESIDE_PER_S], 1e6);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("bench_compare");
  TCase *tc = tcase_create("compare");
  tcase_add_loop_test(tc, spread_has_median_and_quartiles, 0, sizeof spreads / sizeof spreads[0]);
  tcase_add_test(tc, spread_of_unknown_values_is_unknown);
  tcase_add_test(tc, ratio_is_the_median_of_the_rounds);
  tcase_add_test(tc, share_and_lost_lines_are_the_worst_of_the_rounds);
  tcase_add_loop_test(tc, requirement_is_judged_by_the_median_of_the_rounds, 0,
                      sizeof bounds / sizeof bounds[0]);
  tcase_add_test(tc, requirement_without_its_rows_is_not_judged);
  tcase_add_test(tc, unknown_result_fails_its_requirement);
  tcase_add_test(tc, round_measures_ours_beside_the_others_and_every_second_one_backwards);
  tcase_add_loop_test(tc, scene_compares_by_cpu_time, 0, 2);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
