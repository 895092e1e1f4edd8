/* Histograms against sorted lists of the same durations. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/histogram.h"
#include "tests/support/runner.h"

#define DURATIONS 20000u
#define ROUNDS 20u

static uint64_t durations[DURATIONS];
static struct fc_histogram histogram, other;

/* Numbers of all magnitudes. The same seed gives the same numbers. */
static uint64_t next_ns(uint64_t *seed) {
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  uint64_t bits = (*seed >> 33) % (FC_HISTOGRAM_BITS + 1);
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (*seed >> 20) & ((UINT64_C(1) << bits) - 1);
}

static int by_size(const void *a, const void *b) {
  uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;
  return (one > two) - (one < two);
}

static void fill(uint64_t *seed, uint32_t n) {
  memset(&histogram, 0, sizeof histogram);
  for (uint32_t i = 0; i < n; i++) {
    durations[i] = next_ns(seed);
    fc_histogram_add(&histogram, durations[i]);
  }
  qsort(durations, n, sizeof durations[0], by_size);
}

START_TEST(cells_next_to_each_other_none_wider_than_bound) {
  uint64_t least_ns = 0;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS - 1; cell++) {
    uint64_t most_ns = fc_histogram_cell_max_ns(cell);
    ck_assert_uint_eq(fc_histogram_cell(least_ns), cell);
    ck_assert_uint_eq(fc_histogram_cell(most_ns), cell);
    ck_assert_uint_le((most_ns - least_ns) * FC_HISTOGRAM_SUB_CELLS, least_ns);
    least_ns = most_ns + 1;
  }
  ck_assert_uint_eq(fc_histogram_cell(least_ns), FC_HISTOGRAM_CELLS - 1);
  ck_assert_uint_eq(fc_histogram_cell(UINT64_MAX), FC_HISTOGRAM_CELLS - 1);
  ck_assert_uint_eq(fc_histogram_cell_max_ns(FC_HISTOGRAM_CELLS - 1), UINT64_MAX);
  ck_assert_uint_lt(fc_histogram_cell((UINT64_C(1) << FC_HISTOGRAM_BITS) - 1), FC_HISTOGRAM_CELLS);
}
END_TEST

/* Of `n` sorted durations, `part` of `whole` do not exceed it. */
static uint64_t true_quantile(uint32_t n, uint32_t part, uint32_t whole) {
  uint64_t rank = ((uint64_t)n * part + whole - 1) / whole;
  return durations[rank == 0 ? 0 : rank - 1];
}

START_TEST(quantile_random_durations_within_error_of_sorted_list) {
  static const uint32_t parts[] = {0, 1, 500, 5000, 9000, 9900, 9990, 9999, 10000};
  uint64_t seed = 1;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    uint32_t n = round < 10 ? round + 1 : DURATIONS;
    fill(&seed, n);
    ck_assert_uint_eq(histogram.count, n);
    ck_assert_uint_eq(histogram.max_ns, durations[n - 1]);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
      uint64_t expected = true_quantile(n, parts[i], 10000);
      uint64_t found = fc_histogram_quantile(&histogram, parts[i], 10000);
      ck_assert_uint_ge(found, expected);
      ck_assert_uint_le(found - expected, expected / FC_HISTOGRAM_SUB_CELLS);
    }
  }
}
END_TEST

START_TEST(count_to_end_of_cell_exact_and_rises) {
  uint64_t seed = 2, before = 0;
  fill(&seed, DURATIONS);
  for (uint32_t cell = 0, below = 0; cell < FC_HISTOGRAM_CELLS; cell++) {
    uint64_t end_ns = fc_histogram_cell_max_ns(cell);
    while (below < DURATIONS && durations[below] <= end_ns)
      below++;
    ck_assert_uint_eq(fc_histogram_count_to(&histogram, end_ns), below);
  }
  for (uint64_t ns = 1; ns < UINT64_C(1) << FC_HISTOGRAM_BITS; ns = ns * 10 / 7 + 1) {
    uint64_t count = fc_histogram_count_to(&histogram, ns);
    ck_assert_uint_ge(count, before);
    ck_assert_uint_ge(count, fc_histogram_count_to(&histogram, ns - ns / FC_HISTOGRAM_SUB_CELLS));
    before = count;
  }
  ck_assert_uint_eq(fc_histogram_count_to(&histogram, UINT64_MAX), histogram.count);
}
END_TEST

START_TEST(merge_then_subtract_gives_the_second_part) {
  static struct fc_histogram first, second, all;
  uint64_t seed = 3;
  memset(&all, 0, sizeof all);
  fill(&seed, DURATIONS);
  first = histogram;
  fill(&seed, DURATIONS / 3);
  second = histogram;
  fc_histogram_merge(&all, &first);
  fc_histogram_merge(&all, &second);
  ck_assert_uint_eq(all.count, DURATIONS + DURATIONS / 3);
  ck_assert_uint_eq(all.sum_ns, first.sum_ns + second.sum_ns);
  ck_assert(fc_histogram_subtract(&all, &first));
  ck_assert_mem_eq(all.cells, second.cells, sizeof all.cells);
  ck_assert_uint_eq(all.count, second.count);
  ck_assert_uint_eq(all.sum_ns, second.sum_ns);
  ck_assert_uint_ge(all.max_ns, second.max_ns); /* known as well as a quantile */
  ck_assert_uint_le(all.max_ns - second.max_ns, second.max_ns / FC_HISTOGRAM_SUB_CELLS);
}
END_TEST

START_TEST(subtract_reading_of_before_a_reset_refused) {
  memset(&histogram, 0, sizeof histogram);
  memset(&other, 0, sizeof other);
  fc_histogram_add(&other, 1000);
  fc_histogram_add(&histogram, 2000);
  ck_assert(!fc_histogram_subtract(&histogram, &other));
  ck_assert_uint_eq(histogram.count, 1);
  ck_assert_uint_eq(fc_histogram_quantile(&histogram, 5000, 10000), 2000);
}
END_TEST

START_TEST(extremes_counted_and_sums_saturate) {
  memset(&histogram, 0, sizeof histogram);
  ck_assert_uint_eq(fc_histogram_quantile(&histogram, 9990, 10000), 0);
  fc_histogram_add(&histogram, 0);
  ck_assert_uint_eq(fc_histogram_quantile(&histogram, 10000, 10000), 0);
  fc_histogram_add(&histogram, UINT64_MAX);
  fc_histogram_add(&histogram, UINT64_MAX);
  ck_assert_uint_eq(histogram.sum_ns, UINT64_MAX);
  ck_assert_uint_eq(fc_histogram_quantile(&histogram, 9990, 10000), UINT64_MAX);
  other = histogram;
  fc_histogram_merge(&histogram, &other);
  ck_assert_uint_eq(histogram.sum_ns, UINT64_MAX);
  ck_assert_uint_eq(histogram.count, 6);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("histogram");
  TCase *test_case = tcase_create("histogram");
  tcase_add_test(test_case, cells_next_to_each_other_none_wider_than_bound);
  tcase_add_test(test_case, quantile_random_durations_within_error_of_sorted_list);
  tcase_add_test(test_case, count_to_end_of_cell_exact_and_rises);
  tcase_add_test(test_case, merge_then_subtract_gives_the_second_part);
  tcase_add_test(test_case, subtract_reading_of_before_a_reset_refused);
  tcase_add_test(test_case, extremes_counted_and_sums_saturate);
  suite_add_tcase(suite, test_case);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
