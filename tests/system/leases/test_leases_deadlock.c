/* Workers whose computations wait for other threads and processes that use the cache: each wait
 * ends before a lease's term, which is a minute here. Workers with independent threads compute each
 * key once. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"

#define SPACE "circles"
#define TIMEOUT_MS 30000u
#define MOST_NS UINT64_C(20000000000) /* far less than a term, and enough for a busy machine */
#define TERM_MS 60000u

struct board {
  _Atomic uint32_t computing; /* workers that hold their lease */
  _Atomic uint32_t nested;    /* computations of nested lookups */
  _Atomic uint32_t computed;  /* by independent threads */
  _Atomic uint32_t ready;     /* processes whose threads may begin */
};

static struct daemon served;
static struct board *board;

static void start(void) {
  harness_start(&served, NULL);
  board = child_shared(sizeof *board);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static struct fcache *open_handle(void) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache = NULL;
  options.socket = served.socket;
  options.name_space = SPACE;
  options.deadline_ms = LIBRARY_PATIENT_MS;
  options.lease_ms = TERM_MS;
  return fcache_open(&options, &cache, NULL) == FCACHE_OK && fcache_connected(cache) ? cache : NULL;
}

static int compute_nested(void *unused, struct fcache_value *value) {
  (void)unused;
  atomic_fetch_add(&board->nested, 1);
  return fcache_value_set(value, "nested", 6);
}

/* Uses its own handle, as another thread or process does. */
static int look_up_nested(const char *prompt) {
  struct fcache_key key = library_key("op", "base", prompt, 0);
  struct fcache_value value = {0};
  struct fcache *cache = open_handle();
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(fcache_cached(cache, &key, compute_nested, NULL, &value) == FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static bool both_compute(void *unused) {
  (void)unused;
  return atomic_load(&board->computing) >= 2;
}

struct worker {
  const char *own, *others;
};

/* compute uses another handle than the call, as another thread would. */
static int compute_with_a_thread(void *arg, struct fcache_value *value) {
  const struct worker *worker = arg;
  atomic_fetch_add(&board->computing, 1);
  CHILD_EXPECT(harness_wait_until(both_compute, NULL, TIMEOUT_MS));
  CHILD_EXPECT(look_up_nested(worker->others) == 0);
  return fcache_value_set(value, "value", 5);
}

static int run_worker(void *arg) {
  const struct worker *worker = arg;
  struct fcache_key key = library_key("op", "base", worker->own, 0);
  struct fcache_value value = {0};
  struct fcache *cache = open_handle();
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(fcache_cached(cache, &key, compute_with_a_thread, arg, &value) == FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static int end_of(pid_t pid) {
  int status;
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  return status;
}

START_TEST(two_workers_want_each_others_key_one_grace) {
  struct worker workers[] = {{"a", "b"}, {"b", "a"}};
  pid_t pids[2];
  start();
  uint64_t start_ns = harness_now_ns();
  for (int i = 0; i < 2; i++)
    pids[i] = child_start(run_worker, &workers[i], NULL);
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(end_of(pids[i]), 0);
  ck_assert_uint_lt(harness_now_ns() - start_ns, MOST_NS);
  ck_assert_uint_eq(board->nested, 1); /* the other one waited for the value */
  stop();
}
END_TEST

/* ---- independent threads ---- */

#define POOLS 4
#define THREADS 8
#define KEYS 200u
#define COMPUTE_NS 10000000 /* less than any grace */

/* The threads of a process divide the keys. All processes have them in the same order. */
struct pool {
  _Atomic uint32_t next;
};

static int compute_alone(void *unused, struct fcache_value *value) {
  struct timespec time = {.tv_nsec = COMPUTE_NS};
  (void)unused;
  atomic_fetch_add(&board->computed, 1);
  (void)nanosleep(&time, NULL); /* a signal may shorten it, which does not matter */
  return fcache_value_set(value, "value", 5);
}

static int look_up_keys(struct pool *pool) {
  struct fcache_value value = {0};
  struct fcache *cache = open_handle();
  CHILD_EXPECT(cache != NULL);
  for (uint32_t i; (i = atomic_fetch_add(&pool->next, 1)) < KEYS;) {
    char prompt[16];
    snprintf(prompt, sizeof prompt, "%u", i);
    struct fcache_key key = library_key("op", "base", prompt, 0);
    CHILD_EXPECT(fcache_cached(cache, &key, compute_alone, NULL, &value) == FCACHE_OK);
  }
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static void *run_thread(void *pool) {
  return look_up_keys(pool) == 0 ? pool : NULL;
}

static bool all_are_ready(void *unused) {
  (void)unused;
  return atomic_load(&board->ready) == POOLS;
}

static int run_pool(void *unused) {
  struct pool pool = {0};
  pthread_t threads[THREADS];
  (void)unused;
  atomic_fetch_add(&board->ready, 1);
  CHILD_EXPECT(harness_wait_until(all_are_ready, NULL, TIMEOUT_MS));
  for (int i = 0; i < THREADS; i++)
    CHILD_EXPECT(pthread_create(&threads[i], NULL, run_thread, &pool) == 0);
  for (int i = 0; i < THREADS; i++) {
    void *result = NULL;
    CHILD_EXPECT(pthread_join(threads[i], &result) == 0);
    CHILD_EXPECT(result != NULL);
  }
  return 0;
}

START_TEST(independent_threads_compute_each_key_once) {
  pid_t pids[POOLS];
  start();
  for (int i = 0; i < POOLS; i++)
    pids[i] = child_start(run_pool, NULL, NULL);
  for (int i = 0; i < POOLS; i++)
    ck_assert_int_eq(end_of(pids[i]), 0);
  ck_assert_uint_eq(board->computed, KEYS);
  stop();
}
END_TEST

/* ---- children ---- */

/* A child with its own handle, or with the inherited one. */
static int compute_with_a_child(void *arg, struct fcache_value *value) {
  struct fcache *inherited = arg;
  struct fcache_key key = library_key("op", "base", "a", 0);
  struct fcache_value its = {0};
  pid_t pid = fork();
  if (pid == 0 && inherited == NULL)
    _exit(look_up_nested("a"));
  if (pid == 0)
    _exit(fcache_cached(inherited, &key, compute_nested, NULL, &its));
  int status;
  CHILD_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
  return fcache_value_set(value, "value", 5);
}

START_TEST(child_of_computation_wants_its_key_refused) {
  struct fcache_key key = library_key("op", "base", "a", 0);
  struct fcache_value value = {0};
  start();
  struct fcache *cache = open_handle();
  ck_assert_ptr_nonnull(cache);
  uint64_t start_ns = harness_now_ns();
  ck_assert_int_eq(fcache_cached(cache, &key, compute_with_a_child, _i == 0 ? NULL : cache, &value),
                   0);
  ck_assert_uint_lt(harness_now_ns() - start_ns, MOST_NS);
  ck_assert_uint_eq(board->nested, 1);
  fcache_value_free(&value);
  fcache_close(cache);
  stop();
}
END_TEST

/* ---- workers ---- */

static bool one_waits(void *arg) {
  return library_stat(arg, "lease_waits") == 1;
}

static bool one_is_there(void *unused) {
  (void)unused;
  return atomic_load(&board->computing) >= 1;
}

static int look_up(void *unused) {
  (void)unused;
  atomic_fetch_add(&board->computing, 1);
  CHILD_EXPECT(harness_wait_until(both_compute, NULL, TIMEOUT_MS));
  return look_up_nested("a");
}

/* A process that was created before the computation is no child of it: both miss, and one computes.
 */
START_TEST(worker_created_before_computation_waits) {
  struct fcache_key key = library_key("op", "base", "a", 0);
  struct fcache_value value = {0};
  start();
  struct fcache *cache = open_handle();
  ck_assert_ptr_nonnull(cache);
  pid_t pid = child_start(look_up, NULL, NULL);
  ck_assert(harness_wait_until(one_is_there, NULL, TIMEOUT_MS));
  harness_outlive_tick();
  ck_assert_int_eq(fcache_get(cache, &key, FCACHE_LEASE, &value), FCACHE_LEASED);
  atomic_fetch_add(&board->computing, 1);
  ck_assert(harness_wait_until(one_waits, cache, TIMEOUT_MS));
  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 1, 0), FCACHE_OK);
  ck_assert_int_eq(end_of(pid), 0);
  ck_assert_uint_eq(board->nested, 0);
  fcache_value_free(&value);
  fcache_close(cache);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_deadlock");
  TCase *tcase = tcase_create("leases_deadlock");
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, two_workers_want_each_others_key_one_grace);
  tcase_add_test(tcase, independent_threads_compute_each_key_once);
  tcase_add_loop_test(tcase, child_of_computation_wants_its_key_refused, 0, 2);
  tcase_add_test(tcase, worker_created_before_computation_waits);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
