/* The noise of a run, and medians that are finer than a step of the clock. */
#include "tests/bench/noise.h"
#include "tests/support/runner.h"

#include <check.h>
#include <math.h>

static const char stat_text[] = "cpu  100 2 30 4000 5 6 7 80 9 10\n"
                                "cpu0 50 1 15 2000 2 3 3 40 4 5\n"
                                "intr 12345 0 9\n"
                                "ctxt 987654321\n"
                                "btime 1700000000\n";

START_TEST(counters_of_the_machine_parsed) {
  struct machine_counters counters;
  ck_assert_int_eq(noise_parse(stat_text, &counters), 0);
  ck_assert_uint_eq(counters.cpu, 100 + 2 + 30 + 4000 + 5 + 6 + 7 + 80);
  ck_assert_uint_eq(counters.stolen, 80);
  ck_assert_uint_eq(counters.switches, 987654321);
}
END_TEST

static const char *const broken[] = {
    "",
    "cpu",
    "cpu0 1 2 3 4 5 6 7 8 9 10\nctxt 1\n",
    "cpu  1 2 3 4 5 6 7\nctxt 1\n",
    "cpu  1 2 3 4 5 6 7 8 9 10\n",
    "cpu  1 2 3 4 5 6 7 8 9 10\nctxt \n",
};

START_TEST(counters_that_are_missing_refused) {
  struct machine_counters counters;
  ck_assert_int_eq(noise_parse(broken[_i], &counters), -1);
}
END_TEST

static void add(struct samples *samples, uint64_t ns, int times) {
  for (int i = 0; i < times; i++)
    ck_assert_int_eq(samples_add(samples, ns), 0);
}

START_TEST(noise_summed_up) {
  struct noise noise = {
      .preempted = 5, .before = {.cpu = 1000, .stolen = 10, .switches = 500}, .load = 1.5};
  add(&noise.spins, 50000, 985);
  add(&noise.spins, 75000, 14);
  add(&noise.spins, 4000000, 1);
  samples_sort(&noise.spins);
  const struct machine_counters after = {.cpu = 1400, .stolen = 30, .switches = 2500};
  struct noise_summary sum = noise_sum_up(&noise, &after, 4);
  ck_assert_uint_eq(sum.spins, 1000);
  ck_assert_double_eq_tol(sum.spin_us, 50, 1e-9);
  ck_assert_double_eq_tol(sum.p99, 1.5, 1e-9);
  ck_assert_double_eq_tol(sum.worst, 80, 1e-9);
  ck_assert_double_eq_tol(sum.preempted, 0.005, 1e-9);
  ck_assert_double_eq_tol(sum.stolen, 0.05, 1e-9);
  ck_assert_double_eq_tol(sum.switches_per_s, 500, 1e-9);
  ck_assert_double_eq_tol(sum.load, 1.5, 1e-9);
  noise_deinit(&noise);
}
END_TEST

START_TEST(noise_of_a_run_measured) {
  struct noise noise;
  ck_assert_int_eq(noise_begin(&noise), 0);
  ck_assert_int_eq(noise_spin(&noise), 0);
  struct noise_summary sum = noise_end(&noise);
  ck_assert_uint_gt(sum.spins, 0);
  ck_assert_double_gt(sum.spin_us, 0);
  ck_assert_double_ge(sum.p99, 1);
  ck_assert_double_ge(sum.worst, sum.p99);
  noise_deinit(&noise);
}
END_TEST

START_TEST(percentile_is_the_nearest_rank) {
  struct samples samples = {0};
  for (uint64_t i = 100; i > 0; i--)
    add(&samples, i * 1000, 1);
  samples_sort(&samples);
  ck_assert_double_eq_tol(samples_percentile_us(&samples, 0.5), 50, 1e-9);
  ck_assert_double_eq_tol(samples_percentile_us(&samples, 0.99), 99, 1e-9);
  ck_assert_double_eq_tol(samples_percentile_us(&samples, 0.999), 100, 1e-9);
  ck_assert_double_eq_tol(samples_percentile_us(&samples, 0), 1, 1e-9);
  samples_deinit(&samples);
}
END_TEST

/* 123 ns, by a clock with steps of 10 ns: 120 in 7 of 10 samples, and 130 in 3. A few slow samples
 * do not matter. */
START_TEST(median_is_finer_than_a_step_of_the_clock) {
  struct samples samples = {0};
  add(&samples, 120, 700);
  add(&samples, 130, 300);
  add(&samples, 5000, 20);
  samples_sort(&samples);
  ck_assert_double_eq_tol(samples_median_us(&samples, 12), 0.123, 1e-9);
  ck_assert_double_eq_tol(samples_median_us(&samples, 0), 0.120, 1e-9);
  samples_deinit(&samples);
  add(&samples, 7, 1);
  ck_assert_double_eq_tol(samples_median_us(&samples, 12), 0.007, 1e-9);
  samples_deinit(&samples);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("bench_noise");
  TCase *tc = tcase_create("noise");
  tcase_add_test(tc, counters_of_the_machine_parsed);
  tcase_add_loop_test(tc, counters_that_are_missing_refused, 0, sizeof broken / sizeof broken[0]);
  tcase_add_test(tc, noise_summed_up);
  tcase_add_test(tc, noise_of_a_run_measured);
  tcase_add_test(tc, percentile_is_the_nearest_rank);
  tcase_add_test(tc, median_is_finer_than_a_step_of_the_clock);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
