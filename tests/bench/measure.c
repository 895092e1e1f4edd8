#include "tests/bench/measure.h"

#include <time.h>

/* The clock of some virtual machines advances in steps of 10 ns, and its nanoseconds are rounded.
 */
enum { MIN_SAMPLES = 3, CLOCK_STEP_NS = 12 };

uint64_t measure_now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t measure_cpu_ns(void) {
  struct timespec spent;
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent); /* cannot fail with this clock */
  return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

/* A run of one operation, for its samples. */
struct run {
  struct samples *samples;
  measure_fn *fn;
  void *arg;
  uint64_t i; /* operations so far */
};

static int operate(struct run *run, uint32_t n) {
  for (uint32_t k = 0; k < n; k++) {
    if (run->fn(run->arg, run->i++) != 0)
      return -1;
  }
  return 0;
}

static int warm_up(struct run *run, uint64_t ns) {
  uint64_t start_ns = measure_now_ns();
  do {
    if (operate(run, 1) != 0)
      return -1;
  } while (measure_now_ns() - start_ns < ns);
  return 0;
}

/* Takes samples of `block` operations each for `ns`, and sorts them. Sets *elapsed_ns, and *cpu_ns
 * to the CPU time of this thread. */
static int run_burst(struct run *run, uint64_t ns, uint32_t block, uint64_t *elapsed_ns,
                     uint64_t *cpu_ns) {
  struct samples *samples = run->samples;
  samples->n = 0;
  uint64_t cpu_before_ns = measure_cpu_ns();
  uint64_t start_ns = measure_now_ns();
  uint64_t last_ns = start_ns;
  do {
    if (operate(run, block) != 0)
      return -1;
    uint64_t now_ns = measure_now_ns();
    if (samples_add(samples, now_ns - last_ns) != 0)
      return -1;
    /* Read again, so that no sample has the cost of the bookkeeping. */
    last_ns = measure_now_ns();
  } while (last_ns - start_ns < ns || samples->n < MIN_SAMPLES);
  *elapsed_ns = last_ns - start_ns;
  *cpu_ns = measure_cpu_ns() - cpu_before_ns;
  samples_sort(samples);
  return 0;
}

/* Reads the clock often, and sets *us to the time between two reads with nothing between them. */
static int clock_cost(double *us) {
  enum { READINGS = 1001 };
  struct samples apart = {0};
  int result = 0;
  for (int i = 0; result == 0 && i < READINGS; i++) {
    uint64_t first_ns = measure_now_ns();
    result = samples_add(&apart, measure_now_ns() - first_ns);
  }
  samples_sort(&apart);
  if (result == 0)
    *us = samples_median_us(&apart, CLOCK_STEP_NS);
  samples_deinit(&apart);
  return result;
}

static double less(double us, double cost_us) {
  return us > cost_us ? us - cost_us : 0;
}

/* Times single operations that take little more than a read of the clock. */
static int run_singles(struct run *run, uint64_t ns, struct measure *out) {
  uint64_t elapsed_ns = 0;
  uint64_t cpu_ns = 0;
  double cost_us = 0;
  if (run_burst(run, ns, 1, &elapsed_ns, &cpu_ns) != 0 || clock_cost(&cost_us) != 0)
    return -1;
  out->of[METRIC_P50] = less(samples_median_us(run->samples, CLOCK_STEP_NS), cost_us);
  out->of[METRIC_P99] = less(samples_percentile_us(run->samples, 0.99), cost_us);
  out->of[METRIC_P999] = less(samples_percentile_us(run->samples, 0.999), cost_us);
  return 0;
}

int measure_burst(struct samples *samples, measure_fn *fn, void *arg, const struct burst *burst,
                  struct measure *out) {
  struct run run = {.samples = samples, .fn = fn, .arg = arg};
  uint32_t block = burst->blocks ? MEASURE_BLOCK : 1;
  uint64_t ns = burst->blocks ? burst->ns / 2 : burst->ns;
  uint64_t elapsed_ns = 0;
  uint64_t cpu_ns = 0;
  if (warm_up(&run, burst->ns / 10) != 0 || run_burst(&run, ns, block, &elapsed_ns, &cpu_ns) != 0)
    return -1;
  double units = (double)samples->n * block * burst->units;
  out->of[METRIC_PER_S] = units / ((double)elapsed_ns / 1e9);
  if (burst->blocks) {
    out->of[METRIC_PER_CPU_S] = units / ((double)cpu_ns / 1e9);
    return run_singles(&run, ns, out);
  }
  out->of[METRIC_P50] = samples_percentile_us(samples, 0.5);
  out->of[METRIC_P99] = samples_percentile_us(samples, 0.99);
  out->of[METRIC_P999] = samples_percentile_us(samples, 0.999);
  return 0;
}
