/* The library when its daemon is absent, killed, stopped or restarted. Every call returns the
 * computed value, at the cost of one deadline. Sharing resumes by itself, and one log line has the
 * reason why it was off. After a fork both processes can use the handle. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"

#define TIMEOUT_MS 20000u
#define DEADLINE_MS 2000u /* long, so that only a deadline takes that long */

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- a worker that records the log lines ---- */

struct worker {
  struct fcache *cache;
  unsigned lines;
  char line[1024]; /* the last one */
  uint32_t deadline_ms;
  unsigned calls, computed, slow; /* of `call_cached` */
  struct fcache_value value;
};

static void record_line(void *arg, const char *line) {
  struct worker *worker = arg;

  worker->lines++;
  (void)snprintf(worker->line, sizeof worker->line, "%s", line);
}

static void open_worker(struct worker *worker, const char *socket, uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;

  *worker = (struct worker){.deadline_ms = deadline_ms};
  options.socket = socket;
  options.name_space = "open";
  options.deadline_ms = deadline_ms;
  options.log = record_line;
  options.log_arg = worker;
  ck_assert_int_eq(fcache_open(&options, &worker->cache, NULL), FCACHE_OK);
}

static void close_worker(struct worker *worker) {
  fcache_close(worker->cache);
  fcache_value_free(&worker->value);
}

static uint64_t now_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct computation {
  struct worker *worker;
  unsigned number;
};

static int compute(void *arg, struct fcache_value *value) {
  struct computation *computation = arg;

  computation->worker->computed++;
  return fcache_value_set(value, &computation->number, sizeof computation->number);
}

static struct fcache_key key_of(unsigned number) {
  return (struct fcache_key){
      .op = "op", .view = "view", .prompt = fcache_hash(&number, sizeof number)};
}

/* Calls fcache_cached once. Returns whether the value is right. Counts calls that took a deadline.
 */
static bool call_cached(struct worker *worker, unsigned number) {
  struct computation computation = {worker, number};
  struct fcache_key key = key_of(number);
  uint64_t start_ms = now_ms();
  int rc = fcache_cached(worker->cache, &key, compute, &computation, &worker->value);

  worker->calls++;
  worker->slow += worker->deadline_ms > 0 && now_ms() - start_ms >= worker->deadline_ms;
  return rc == FCACHE_OK && worker->value.size == sizeof number &&
         memcmp(worker->value.data, &number, sizeof number) == 0;
}

static void call_cached_many(struct worker *worker, unsigned first, unsigned n) {
  for (unsigned i = 0; i < n; i++)
    ck_assert_msg(call_cached(worker, first + i), "value %u is wrong", first + i);
}

/* Calls fcache_cached until the worker is connected again. */
static bool reconnects(void *arg) {
  struct worker *worker = arg;

  ck_assert(call_cached(worker, 1000000));
  return fcache_connected(worker->cache);
}

/* Each key is computed by one of the workers only. */
static void assert_sharing(struct worker *worker, unsigned number) {
  struct worker other;

  open_worker(&other, served.socket, LIBRARY_PATIENT_MS);
  ck_assert(call_cached(worker, number));
  ck_assert(call_cached(&other, number));
  ck_assert_uint_eq(other.computed, 0);
  ck_assert_uint_eq(other.lines, 0);
  close_worker(&other);
}

static struct fcache_counters counters_of(const struct worker *worker) {
  struct fcache_counters counters;

  fcache_get_counters(worker->cache, &counters);
  return counters;
}

/* ---- absent, killed, stopped, restarted ---- */

START_TEST(daemon_absent_logged_once) {
  struct worker worker;
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 16];

  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/none", dir);
  open_worker(&worker, path, LIBRARY_PATIENT_MS); /* no call waits for the daemon */
  ck_assert(!fcache_connected(worker.cache));
  call_cached_many(&worker, 0, 50);
  ck_assert_uint_eq(worker.computed, 50);
  ck_assert_uint_eq(worker.slow, 0);
  ck_assert_uint_eq(worker.lines, 1);
  ck_assert_ptr_nonnull(strstr(worker.line, "sharing is off"));
  ck_assert_ptr_nonnull(strstr(worker.line, path));
  struct fcache_counters counters = counters_of(&worker);
  ck_assert_uint_eq(counters.cache_misses, 50);
  ck_assert_uint_eq(counters.forward_passes, 50);
  ck_assert_uint_eq(counters.cache_hits, 0);
  ck_assert_uint_ge(counters.degraded, 50);
  uint64_t removed;
  ck_assert_int_eq(fcache_clear(worker.cache, NULL, NULL, &removed), FCACHE_EUNAVAILABLE);
  ck_assert_ptr_nonnull(strstr(fcache_last_error(worker.cache), path));
  close_worker(&worker);
}
END_TEST

/* Without a configured socket the library tries the default paths, and the log line names each. */
START_TEST(daemon_absent_all_sockets_named) {
  struct worker worker;
  char dir[HARNESS_PATH_SIZE];
  struct stat status;

  if (stat("/run/fcached/fcached.sock", &status) == 0) {
    printf("skipped: a daemon of this machine may serve the default socket\n");
    return;
  }
  harness_make_dir(dir);
  ck_assert_int_eq(unsetenv("FCACHE_SOCKET"), 0);
  ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", dir, 1), 0);
  open_worker(&worker, NULL, DEADLINE_MS);
  call_cached_many(&worker, 0, 3);
  ck_assert_uint_eq(worker.lines, 1);
  ck_assert_ptr_nonnull(strstr(worker.line, dir));
  ck_assert_ptr_nonnull(strstr(worker.line, "/run/fcached/fcached.sock"));
  close_worker(&worker);
}
END_TEST

START_TEST(daemon_started_later_found) {
  struct worker worker;

  harness_start(&served, NULL);
  harness_kill9(&served); /* a stale socket: no process listens there */
  open_worker(&worker, served.socket, LIBRARY_PATIENT_MS);
  call_cached_many(&worker, 0, 5);
  harness_start(&served, NULL);
  ck_assert(harness_wait_until(reconnects, &worker, TIMEOUT_MS));
  assert_sharing(&worker, 7);
  ck_assert_uint_eq(worker.lines, 1);
  ck_assert_uint_eq(counters_of(&worker).reconnects, 0); /* it is its first connection */
  close_worker(&worker);
}
END_TEST

START_TEST(daemon_killed_computes) {
  struct worker worker;

  harness_start(&served, NULL);
  open_worker(&worker, served.socket, LIBRARY_PATIENT_MS);
  call_cached_many(&worker, 0, 20);
  ck_assert_uint_eq(worker.lines, 0);
  harness_kill9(&served);
  worker.slow = worker.computed = 0;
  call_cached_many(&worker, 0, 20);
  ck_assert_uint_eq(worker.computed, 20);
  ck_assert_uint_eq(worker.slow, 0); /* a closed connection needs no deadline */
  ck_assert_uint_eq(worker.lines, 1);
  close_worker(&worker);
}
END_TEST

START_TEST(daemon_restarted_reconnects) {
  struct worker worker;

  harness_start(&served, NULL);
  open_worker(&worker, served.socket, LIBRARY_PATIENT_MS);
  for (unsigned round = 1; round <= 4; round++) {
    call_cached_many(&worker, round * 100, 10);
    assert_sharing(&worker, round);
    if (round % 2 == 0)
      harness_kill9(&served);
    else
      ck_assert_int_eq(harness_stop(&served), 0);
    call_cached_many(&worker, round * 100, 10);
    harness_start(&served, NULL);
    ck_assert(harness_wait_until(reconnects, &worker, TIMEOUT_MS));
    ck_assert_uint_eq(counters_of(&worker).reconnects, round);
  }
  ck_assert_uint_eq(worker.lines, 1); /* once per handle */
  close_worker(&worker);
}
END_TEST

START_TEST(daemon_stopped_costs_one_deadline) {
  struct worker worker;

  harness_start(&served, NULL);
  open_worker(&worker, served.socket, DEADLINE_MS);
  call_cached_many(&worker, 0, 5);
  worker.slow = 0;
  ck_assert(harness_freeze(&served));
  /* over several back-offs: the handle connects to the stopped daemon again, and does not wait */
  uint64_t end_ms = now_ms() + 5 * DEADLINE_MS / 2;
  for (unsigned i = 0; now_ms() < end_ms; i++)
    ck_assert(call_cached(&worker, 100 + i % 50));
  ck_assert_uint_eq(worker.slow, 1);
  ck_assert_uint_eq(worker.lines, 1);
  ck_assert_ptr_nonnull(strstr(worker.line, served.socket));
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  ck_assert(harness_wait_until(reconnects, &worker, TIMEOUT_MS));
  assert_sharing(&worker, 7);
  ck_assert_uint_eq(worker.lines, 1);
  close_worker(&worker);
}
END_TEST

/* Looks up keys that are not in the region until the worker is connected again. */
static bool reconnects_by_misses(void *arg) {
  static unsigned number = 2000000;
  struct worker *worker = arg;

  ck_assert(call_cached(worker, number++));
  return fcache_connected(worker->cache);
}

/* All clients keep their lingering connections, whose rings the daemon may still read, and
 * --max-clients is reached. */
START_TEST(daemon_full_and_stopped_clients_reconnect) {
  struct worker workers[2];

  harness_start(&served, "--max-clients", "2", NULL);
  for (int i = 0; i < 2; i++) {
    open_worker(&workers[i], served.socket, DEADLINE_MS);
    call_cached_many(&workers[i], 0, 5);
  }
  ck_assert_int_eq(kill(served.pid, SIGSTOP), 0);
  for (unsigned i = 0; i < 2; i++) {
    ck_assert(call_cached(&workers[i], 100 + i));
    ck_assert(!fcache_connected(workers[i].cache));
  }
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  for (int i = 0; i < 2; i++)
    ck_assert(harness_wait_until(reconnects_by_misses, &workers[i], TIMEOUT_MS));
  for (int i = 0; i < 2; i++) {
    ck_assert_uint_eq(counters_of(&workers[i]).unrecorded, 0);
    close_worker(&workers[i]);
  }
}
END_TEST

START_TEST(daemon_stopped_at_open_costs_one_deadline) {
  struct worker worker;

  harness_start(&served, NULL);
  ck_assert(harness_freeze(&served));
  open_worker(&worker, served.socket, DEADLINE_MS); /* this line has the error */
  ck_assert(!fcache_connected(worker.cache));
  uint64_t end_ms = now_ms() + 2 * DEADLINE_MS;
  for (unsigned i = 0; now_ms() < end_ms; i++)
    ck_assert(call_cached(&worker, i % 50));
  ck_assert_uint_eq(worker.slow, 0);
  ck_assert_uint_eq(worker.lines, 1);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  ck_assert(harness_wait_until(reconnects, &worker, TIMEOUT_MS));
  close_worker(&worker);
}
END_TEST

/* ---- batches ---- */

static int compute_all(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  struct worker *worker = arg;
  int rc = 0;

  for (size_t i = 0; i < n && rc == 0; i++) {
    unsigned number = (unsigned)misses[i];

    worker->computed++;
    rc = fcache_batch_add(batch, &number, sizeof number);
  }
  return rc;
}

/* Entries of a stopped daemon are still read from its region, those of a dead one are not. */
START_TEST(daemon_killed_batch_computes_rest) {
  enum { N = 40, ROUNDS = 4 };
  static const unsigned computed[ROUNDS] = {N, N + N / 2, N + N, N + N + N};
  struct worker worker;
  struct fcache_hash prompts[N];
  struct fcache_value values[N] = {0};

  for (unsigned i = 0; i < N; i++)
    prompts[i] = key_of(i).prompt;
  harness_start(&served, NULL);
  open_worker(&worker, served.socket, DEADLINE_MS);
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (unsigned i = N / 2; i < N && round == 1; i++)
      prompts[i] = key_of(1000 + i).prompt; /* half of them are not stored */
    if (round == 1)
      ck_assert(harness_freeze(&served));
    if (round == 3)
      harness_kill9(&served);
    ck_assert_int_eq(fcache_cached_batch(worker.cache, "op", "view", 0, prompts, N, compute_all,
                                         &worker, values),
                     FCACHE_OK);
    ck_assert_uint_eq(worker.computed, computed[round]);
    for (unsigned i = 0; i < N; i++)
      ck_assert_mem_eq(values[i].data, &i, sizeof i);
  }
  ck_assert_uint_eq(worker.lines, 1);
  for (unsigned i = 0; i < N; i++)
    fcache_value_free(&values[i]);
  close_worker(&worker);
}
END_TEST

/* ---- the log line ---- */

START_TEST(disabled_nothing_logged) {
  struct worker worker;

  harness_start(&served, NULL);
  struct fcache *look = library_open(served.socket, "look", NULL, 0);
  ck_assert_int_eq(setenv("FCACHE_DISABLE", "1", 1), 0);
  open_worker(&worker, served.socket, DEADLINE_MS);
  ck_assert_int_eq(unsetenv("FCACHE_DISABLE"), 0);
  call_cached_many(&worker, 0, 20);
  call_cached_many(&worker, 0, 20);
  ck_assert_uint_eq(worker.computed, 40);
  ck_assert_uint_eq(worker.lines, 0);
  ck_assert_uint_eq(counters_of(&worker).degraded, 0);
  ck_assert(!fcache_connected(worker.cache));
  ck_assert_uint_eq(library_stat(look, "connections"), 1); /* of the test's handle */
  close_worker(&worker);
  fcache_close(look);
}
END_TEST

static int speak_on_stderr(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct worker worker = {0};

  CHILD_EXPECT(dup2(*(int *)arg, STDERR_FILENO) == STDERR_FILENO);
  options.socket = "/nowhere/s";
  options.name_space = "open";
  CHILD_EXPECT(fcache_open(&options, &worker.cache, NULL) == FCACHE_OK);
  for (unsigned i = 0; i < 10; i++)
    CHILD_EXPECT(call_cached(&worker, i));
  fcache_close(worker.cache);
  return 0;
}

START_TEST(no_log_callback_line_on_stderr) {
  int fd = memfd_create("stderr", MFD_CLOEXEC);
  char text[2048];

  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(child_run(speak_on_stderr, &fd, NULL), 0);
  ssize_t size = pread(fd, text, sizeof text - 1, 0);
  ck_assert_int_gt(size, 0);
  text[size] = '\0';
  ck_assert_ptr_nonnull(strstr(text, "/nowhere/s"));
  ck_assert_ptr_eq(strchr(text, '\n'), text + size - 1); /* one line, and nothing else */
  (void)close(fd);
}
END_TEST

/* ---- fork ---- */

static int work_as_child(void *arg) {
  struct worker *worker = arg;
  struct fcache_counters counters = counters_of(worker);

  CHILD_EXPECT(counters.cache_hits == 0 && counters.cache_misses == 0);
  worker->computed = 0;
  for (unsigned i = 0; i < 20; i++)
    CHILD_EXPECT(call_cached(worker, i)); /* the parent computed those */
  CHILD_EXPECT(worker->computed == 0);
  for (unsigned i = 100; i < 120; i++)
    CHILD_EXPECT(call_cached(worker, i));
  CHILD_EXPECT(worker->computed == 20);
  counters = counters_of(worker);
  CHILD_EXPECT(counters.cache_hits == 20 && counters.cache_misses == 20);
  CHILD_EXPECT(counters.degraded == 0 && worker->lines == 0);
  fcache_close(worker->cache);
  return 0;
}

START_TEST(fork_parent_and_child_go_on) {
  struct worker worker;

  harness_start(&served, NULL);
  open_worker(&worker, served.socket, LIBRARY_PATIENT_MS);
  call_cached_many(&worker, 0, 20);
  pid_t child = child_start(work_as_child, &worker, NULL);
  for (unsigned round = 0; round < 10; round++) /* while the parent uses its own */
    call_cached_many(&worker, 0, 20);
  ck_assert_int_eq(harness_wait(child, TIMEOUT_MS), 0);
  ck_assert_uint_eq(worker.computed, 20);
  call_cached_many(&worker, 100, 20); /* the child computed those */
  ck_assert_uint_eq(worker.computed, 20);
  struct fcache_counters counters = counters_of(&worker);
  ck_assert_uint_eq(counters.cache_hits, 220);
  ck_assert_uint_eq(counters.cache_misses, 20);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_uint_eq(counters.reconnects, 0);
  ck_assert_uint_eq(worker.lines, 0);
  struct library_stats stats = {0};
  library_stats_read(worker.cache, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_hits"), 240);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_misses"), 40);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "dropped"), 0);
  library_stats_free(&stats);
  close_worker(&worker);
}
END_TEST

/* Forked while the parent computes; both finish that call. */
static pid_t forked;

static int fork_and_compute(void *arg, struct fcache_value *value) {
  (void)fflush(NULL);
  forked = fork();
  return compute(arg, value);
}

static bool finish_forked_call(struct worker *worker) {
  struct computation computation = {worker, 500};
  struct fcache_key key = key_of(500);
  int rc = fcache_cached(worker->cache, &key, fork_and_compute, &computation, &worker->value);

  return rc == FCACHE_OK && memcmp(worker->value.data, &computation.number, sizeof(unsigned)) == 0;
}

START_TEST(fork_in_compute_both_go_on) {
  struct worker worker;

  harness_start(&served, NULL);
  open_worker(&worker, served.socket, LIBRARY_PATIENT_MS);
  bool right = finish_forked_call(&worker);
  if (forked == 0)
    _exit(right && call_cached(&worker, 501) ? 0 : 1);
  ck_assert_int_gt(forked, 0);
  ck_assert_int_eq(harness_wait(forked, TIMEOUT_MS), 0);
  ck_assert(right);
  call_cached_many(&worker, 501, 1);
  ck_assert_uint_eq(worker.computed, 1); /* 501 came from the child */
  ck_assert_uint_eq(counters_of(&worker).reconnects, 0);
  close_worker(&worker);
}
END_TEST

/* ---- all failures at once ---- */

struct busy {
  const char *socket;
  volatile bool *end; /* shared with the test */
};

static int stay_busy(void *arg) {
  struct busy *busy = arg;
  struct worker worker = {0};
  struct fcache_options options = FCACHE_OPTIONS_INIT;

  options.socket = busy->socket;
  options.name_space = "open";
  options.log = record_line;
  options.log_arg = &worker;
  CHILD_EXPECT(fcache_open(&options, &worker.cache, NULL) == FCACHE_OK);
  for (unsigned i = 0; !*busy->end; i++)
    CHILD_EXPECT(call_cached(&worker, i % 200));
  CHILD_EXPECT(worker.lines <= 1);              /* none if each restart took less than a deadline */
  CHILD_EXPECT(worker.computed < worker.calls); /* some were shared */
  fcache_close(worker.cache);
  return 0;
}

/* The workers are connected again, and find the values of the others. */
static bool workers_share(void *arg) {
  return library_stat(arg, "shared_hits") >= 100;
}

START_TEST(daemon_killed_repeatedly_workers_go_on) {
  enum { WORKERS = 3, DEATHS = 8 };
  pid_t pids[WORKERS];
  volatile bool *end =
      mmap(NULL, sizeof *end, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne((void *)(uintptr_t)end, MAP_FAILED);
  harness_start(&served, NULL);
  struct busy busy = {served.socket, end};
  for (int i = 0; i < WORKERS; i++)
    pids[i] = child_start(stay_busy, &busy, NULL);
  for (int i = 0; i < DEATHS; i++) {
    struct fcache *look = library_open(served.socket, "look", NULL, 0);

    ck_assert(harness_wait_until(workers_share, look, TIMEOUT_MS));
    fcache_close(look);
    harness_kill9(&served);
    harness_start(&served, NULL);
  }
  *end = true;
  for (int i = 0; i < WORKERS; i++)
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 0);
  ck_assert_int_eq(munmap((void *)(uintptr_t)end, sizeof *end), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fail open");
  TCase *tcase = tcase_create("library");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, daemon_absent_logged_once);
  tcase_add_test(tcase, daemon_absent_all_sockets_named);
  tcase_add_test(tcase, daemon_started_later_found);
  tcase_add_test(tcase, daemon_killed_computes);
  tcase_add_test(tcase, daemon_restarted_reconnects);
  tcase_add_test(tcase, daemon_stopped_costs_one_deadline);
  tcase_add_test(tcase, daemon_full_and_stopped_clients_reconnect);
  tcase_add_test(tcase, daemon_stopped_at_open_costs_one_deadline);
  tcase_add_test(tcase, daemon_killed_batch_computes_rest);
  tcase_add_test(tcase, disabled_nothing_logged);
  tcase_add_test(tcase, no_log_callback_line_on_stderr);
  tcase_add_test(tcase, fork_parent_and_child_go_on);
  tcase_add_test(tcase, fork_in_compute_both_go_on);
  tcase_add_test(tcase, daemon_killed_repeatedly_workers_go_on);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
