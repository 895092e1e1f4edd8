/* Scoring time, with real processes: overlapping waits count once, the trace shows the time that
 * was counted, and no client's time exceeds that of its connection. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/trace_lines.h"

#define SPACE "walls"
#define WORKERS 4u
#define BATCH 48u
#define APART 12u /* the distance between the batches of two workers, in keys */
#define SLOW_NS 200000000u
#define KEYS 60u
#define STEPS 600u
#define TIMEOUT_MS 30000u
#define MS_NS 1000000u

struct report {
  struct fcache_counters counters;
  uint64_t connected_ns;
};

struct board {
  _Atomic uint32_t arrived;
  struct report reports[WORKERS];
};

static struct daemon served;
static struct fcache *watch; /* for statistics */
static struct board *board;
static char trace[TRACE_PATH_SIZE];

static void start(void) {
  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, NULL);
  watch = library_open(served.socket, SPACE, "watch", 0);
  board = child_shared(sizeof *board);
}

static void stop(void) {
  if (watch)
    fcache_close(watch);
  watch = NULL;
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- a worker ---- */

struct worker {
  uint32_t number;
  struct fcache *cache;
  uint64_t opened_ns;
  uint64_t random;
};

static bool all_are_here(void *unused) {
  (void)unused;
  return atomic_load(&board->arrived) >= WORKERS;
}

static bool open_worker(struct worker *worker, const char *name) {
  worker->opened_ns = harness_now_ns();
  worker->cache = library_open_in_child(served.socket, SPACE, name, LIBRARY_PATIENT_MS);
  return worker->cache && fcache_connected(worker->cache);
}

static void close_worker(struct worker *worker) {
  struct report *report = &board->reports[worker->number];

  report->counters = library_counters(worker->cache);
  fcache_close(worker->cache);
  report->connected_ns = harness_now_ns() - worker->opened_ns;
}

/* A computation that takes so long. */
static void work(uint64_t ns) {
  struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u),
                          .tv_nsec = (long)(ns % 1000000000u)};

  (void)nanosleep(&time, NULL); /* a signal may shorten it, which does not matter */
}

static struct fcache_hash prompt_of(uint32_t key) {
  return fcache_hash(&key, sizeof key);
}

static struct fcache_key key_of(uint32_t key) {
  return (struct fcache_key){.op = "op", .view = "view", .prompt = prompt_of(key)};
}

static void name_of(uint32_t number, char name[16]) {
  (void)snprintf(name, 16, "worker-%u", number);
}

/* ---- what must hold in the end ---- */

struct sums {
  double wall_ms[WORKERS], all_ms, ts[WORKERS];
  uint64_t hits[WORKERS], misses[WORKERS], lines, backwards;
};

static void add_line(void *arg, const struct trace_line *line) {
  struct sums *sums = arg;
  unsigned number = WORKERS;

  sums->all_ms += line->wall_ms;
  sums->lines++;
  if (sscanf(line->client, "worker-%u", &number) != 1 || number >= WORKERS)
    return;
  sums->wall_ms[number] += line->wall_ms;
  sums->hits[number] += line->hit;
  sums->misses[number] += !line->hit;
  sums->backwards += line->ts < sums->ts[number];
  sums->ts[number] = line->ts;
}

/* Tolerance: times are printed to the nanosecond, and added up as doubles. */
static double rounding_ms(const struct sums *sums) {
  return 1e-6 * (double)(sums->lines + 1);
}

static void assert_worker(const struct sums *sums, uint32_t number) {
  const struct report *report = &board->reports[number];
  double own_ms = (double)report->counters.scoring_wall_ns / MS_NS;
  double connected_ms = (double)report->connected_ns / MS_NS;

  ck_assert_uint_eq(sums->hits[number], report->counters.cache_hits);
  ck_assert_uint_eq(sums->misses[number], report->counters.cache_misses);
  ck_assert_double_le(sums->wall_ms[number], own_ms * 1.01 + rounding_ms(sums));
  ck_assert_double_le(own_ms, connected_ms);
  ck_assert_double_le((double)report->counters.lease_wait_ns / MS_NS, connected_ms);
}

/* Returns the daemon's scoring time, in ms. */
static double assert_all(void) {
  struct library_stats stats = {0};
  struct sums sums = {.lines = 0};
  double own_ms = 0, waited_ms = 0, connected_ms = 0;

  library_stats_read(watch, &stats);
  double scoring_ms = library_stats_real(&stats, NULL, "scoring_wall_s") * 1e3;
  double wait_ms = library_stats_real(&stats, NULL, "lease_wait_s") * 1e3;
  ck_assert_double_eq(library_stats_real(&stats, SPACE, "scoring_wall_s") * 1e3, scoring_ms);
  ck_assert_double_eq(library_stats_real(&stats, SPACE, "lease_wait_s") * 1e3, wait_ms);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "trace_lost"), 0);
  library_stats_free(&stats);
  stop(); /* all lines are in the file */
  ck_assert_uint_gt(trace_lines_read(trace, add_line, &sums), 0);
  for (uint32_t i = 0; i < WORKERS; i++) {
    assert_worker(&sums, i);
    own_ms += (double)board->reports[i].counters.scoring_wall_ns / MS_NS;
    waited_ms += (double)board->reports[i].counters.lease_wait_ns / MS_NS;
    connected_ms += (double)board->reports[i].connected_ns / MS_NS;
  }
  ck_assert_uint_eq(sums.backwards, 0);
  ck_assert_double_le(scoring_ms, own_ms * 1.01);
  ck_assert_double_le(wait_ms, waited_ms * 1.01);
  ck_assert_double_le(scoring_ms, connected_ms);
  ck_assert_double_eq_tol(sums.all_ms, scoring_ms, rounding_ms(&sums));
  return scoring_ms;
}

/* ---- one batch each, which overlap ---- */

static int compute_slowly(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  (void)arg;
  (void)misses;
  work(SLOW_NS);
  for (size_t i = 0; i < n; i++)
    if (fcache_batch_add(batch, "v", 1) < 0)
      return 1;
  return 0;
}

static int run_batch(void *arg) {
  struct worker worker = {.number = *(uint32_t *)arg};
  struct fcache_hash prompts[BATCH];
  struct fcache_value values[BATCH] = {{0}};
  char name[16];

  name_of(worker.number, name);
  for (uint32_t i = 0; i < BATCH; i++)
    prompts[i] = prompt_of(worker.number * APART + i);
  CHILD_EXPECT(open_worker(&worker, name));
  atomic_fetch_add(&board->arrived, 1);
  CHILD_EXPECT(harness_wait_until(all_are_here, NULL, TIMEOUT_MS));
  CHILD_EXPECT(fcache_cached_batch(worker.cache, "op", "view", 0, prompts, BATCH, compute_slowly,
                                   NULL, values) == FCACHE_OK);
  for (uint32_t i = 0; i < BATCH; i++)
    fcache_value_free(&values[i]);
  close_worker(&worker);
  return 0;
}

static void run_workers(int (*fn)(void *arg)) {
  uint32_t numbers[WORKERS];
  pid_t pids[WORKERS];

  for (uint32_t i = 0; i < WORKERS; i++) {
    numbers[i] = i;
    pids[i] = child_start(fn, &numbers[i], NULL);
  }
  for (uint32_t i = 0; i < WORKERS; i++)
    ck_assert_int_eq(harness_wait(pids[i], 2 * TIMEOUT_MS), 0);
}

START_TEST(batch_waits_overlapping_count_once) {
  uint64_t start_ns = harness_now_ns();

  run_workers(run_batch);
  double run_ms = (double)(harness_now_ns() - start_ns) / MS_NS;
  double scoring_ms = assert_all();
  ck_assert_double_le(scoring_ms, run_ms * WORKERS);
  /* One worker computed, and the other waited. */
  ck_assert_double_ge(scoring_ms, 2.0 * SLOW_NS / MS_NS * 0.9);
}
END_TEST

/* ---- all kinds of calls, at random ---- */

static uint32_t below(struct worker *worker, uint32_t n) {
  worker->random ^= worker->random << 13;
  worker->random ^= worker->random >> 7;
  worker->random ^= worker->random << 17;
  return (uint32_t)((worker->random >> 20) % n);
}

static int compute_one(void *arg, struct fcache_value *value) {
  struct worker *worker = arg;
  struct fcache_value nested = {0};
  struct fcache_key key = key_of(below(worker, KEYS));
  int rc = 0;

  work((uint64_t)below(worker, 3) * MS_NS);
  if (below(worker, 4) == 0) /* nested, on the same handle */
    rc = fcache_cached(worker->cache, &key, compute_one, worker, &nested);
  fcache_value_free(&nested);
  return rc == 0 ? fcache_value_set(value, "v", 1) : rc;
}

static int compute_many(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  struct fcache_value value = {0};
  int rc = compute_one(arg, &value);

  (void)misses;
  for (size_t i = 0; rc == 0 && i < n; i++)
    rc = fcache_batch_add(batch, value.data, value.size);
  fcache_value_free(&value);
  return rc;
}

static int step_batch(struct worker *worker) {
  struct fcache_hash prompts[16];
  struct fcache_value values[16] = {{0}};
  uint32_t n = 1 + below(worker, 16);

  for (uint32_t i = 0; i < n; i++)
    prompts[i] = prompt_of(below(worker, KEYS));
  int rc =
      fcache_cached_batch(worker->cache, "op", "view", 0, prompts, n, compute_many, worker, values);
  for (uint32_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
  return rc;
}

static int step_many(struct worker *worker, bool puts) {
  struct fcache_hash prompts[16];
  struct fcache_bytes bytes[16];
  struct fcache_value values[16] = {{0}};
  bool hit[16];
  uint32_t n = 1 + below(worker, 16);

  for (uint32_t i = 0; i < n; i++) {
    prompts[i] = prompt_of(below(worker, KEYS));
    bytes[i] = (struct fcache_bytes){"v", 1};
  }
  int rc = puts ? fcache_put_many(worker->cache, "op", "view", 0, prompts, bytes, n, 1 + n, 0)
                : fcache_get_many(worker->cache, "op", "view", 0, prompts, n, 0, values, hit);
  for (uint32_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
  return rc == FCACHE_NOT_STORED ? 0 : rc;
}

static int step(struct worker *worker, struct fcache_value *value) {
  struct fcache_key key = key_of(below(worker, KEYS));

  switch (below(worker, 8)) {
  case 0:
    return step_batch(worker);
  case 1:
    return step_many(worker, below(worker, 8) == 0);
  case 2:
    return below(worker, 10) == 0 ? fcache_clear(worker->cache, NULL, NULL, NULL) : 0;
  case 3:
  case 4:
    return fcache_cached(worker->cache, &key, compute_one, worker, value);
  default: /* a miss is allowed */
    return fcache_get(worker->cache, &key, 0, value) < 0;
  }
}

static int run_steps(void *arg) {
  struct worker worker = {.number = *(uint32_t *)arg};
  struct fcache_value value = {0};
  char name[16];

  name_of(worker.number, name);
  worker.random = worker.number * 77u + 1000003u;
  if (worker.number % 2 == 1) /* one half has a ring, the other uses messages only */
    CHILD_EXPECT(setenv("FCACHE_REGION", "0", 1) == 0);
  CHILD_EXPECT(open_worker(&worker, name));
  atomic_fetch_add(&board->arrived, 1);
  CHILD_EXPECT(harness_wait_until(all_are_here, NULL, TIMEOUT_MS));
  for (unsigned i = 0; i < STEPS; i++)
    CHILD_EXPECT(step(&worker, &value) == 0);
  fcache_value_free(&value);
  close_worker(&worker);
  return 0;
}

START_TEST(trace_of_client_adds_up_in_order) {
  run_workers(run_steps);
  ck_assert_uint_gt(library_stat(watch, "coalesced_hits"), 0);
  ck_assert_uint_gt(library_stat(watch, "hits_region"), 0);
  ck_assert_uint_gt(library_stat(watch, "hits_socket"), 0);
  ck_assert_double_gt(assert_all(), 0);
}
END_TEST

/* ---- computations alone: to the nanosecond ---- */

static int compute_nested(void *arg, struct fcache_value *value) {
  struct worker *worker = arg;
  struct fcache_key key = key_of(++worker->number);

  work(20u * MS_NS);
  if (worker->number < 4 &&
      fcache_cached(worker->cache, &key, compute_nested, worker, value) != FCACHE_OK)
    return 1;
  return fcache_value_set(value, "v", 1);
}

/* Nested time is not part of the outer computation, in client and daemon. */
START_TEST(computation_nested_counts_once) {
  struct worker worker = {.cache = watch};
  struct fcache_key key = key_of(0);
  struct fcache_value value = {0};
  struct library_stats stats = {0};
  struct sums sums = {.lines = 0};
  uint64_t start_ns = harness_now_ns();

  ck_assert_int_eq(fcache_cached(watch, &key, compute_nested, &worker, &value), FCACHE_OK);
  fcache_value_free(&value);
  uint64_t took_ns = harness_now_ns() - start_ns;
  struct fcache_counters counters = library_counters(watch);
  ck_assert_uint_eq(counters.forward_passes, 4);
  ck_assert_uint_le(counters.scoring_wall_ns, took_ns);
  ck_assert_uint_ge(counters.scoring_wall_ns, 4u * 20u * MS_NS);
  library_stats_read(watch, &stats);
  ck_assert_double_eq_tol(library_stats_real(&stats, SPACE, "scoring_wall_s"),
                          (double)counters.scoring_wall_ns / 1e9, 1e-9);
  library_stats_free(&stats);
  stop();
  ck_assert_uint_eq(trace_lines_read(trace, add_line, &sums), 4);
  ck_assert_double_eq_tol(sums.all_ms, (double)counters.scoring_wall_ns / MS_NS,
                          rounding_ms(&sums));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("wall_times");
  TCase *tcase = tcase_create("wall_times");
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, batch_waits_overlapping_count_once);
  tcase_add_test(tcase, trace_of_client_adds_up_in_order);
  tcase_add_test(tcase, computation_nested_counts_once);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
