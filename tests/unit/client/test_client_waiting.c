/* The callback of a wait (fcache_options.waiting): its times, and the state after it has cancelled
 * a call. The connection is usable, no lease is held, and no reply is left that a later call could
 * mistake for its own. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_leases.h"

#define LONG_MS 20000u /* no test reaches it */
#define DEADLINE_MS 400u
#define WAIT_MS 60000u
#define CANCEL_CODE 1234

static struct scripted_leases *leases;

struct program {
  atomic_uint asked;
  unsigned lines;   /* logged */
  unsigned ends_at; /* number of the call that cancels, from 1; 0: none */
  bool forks;       /* at its first call */
  pid_t child;      /* 0 in the child */
};
static struct program program;

static void ignore(int number) {
  (void)number;
}

static void set_up(void) {
  leases = scripted_leases_start();
  memset(&program, 0, sizeof program);
  program.child = -1;
}

static void tear_down(void) {
  scripted_leases_stop(leases);
}

static int waiting(void *arg) {
  ck_assert_ptr_eq(arg, &program);
  unsigned asked = atomic_fetch_add(&program.asked, 1) + 1;
  if (asked == 1 && program.forks)
    program.child = fork();
  return asked == program.ends_at ? CANCEL_CODE : 0;
}

static void count_line(void *arg, const char *line) {
  (void)arg;
  (void)line;
  program.lines++;
}

static struct fcache *open_one(uint32_t deadline_ms) {
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  options.socket = leases->scripted.path;
  options.name_space = "test";
  options.deadline_ms = deadline_ms;
  options.lease_ms = SCRIPTED_LEASE_MS;
  options.wait_ms = WAIT_MS;
  options.log = count_line;
  options.waiting = waiting;
  options.waiting_arg = &program;
  for (;;) { /* a busy machine may miss a short deadline in the handshake */
    ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
    if (fcache_connected(cache))
      return cache;
    fcache_close(cache);
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  }
}

static struct fcache_key key_of(uint32_t number) {
  return (struct fcache_key){.op = "op", .view = "base", .prompt = lease_prompt(number)};
}

static int get(struct fcache *cache, uint32_t number, unsigned flags, uint32_t wait_ms) {
  struct fcache_key key = key_of(number);
  struct fcache_value value = {0};
  int rc = fcache_get_wait(cache, &key, flags, wait_ms, &value);
  fcache_value_free(&value);
  return rc;
}

static int compute(void *arg, struct fcache_value *value) {
  ++*(unsigned *)arg;
  return fcache_value_set(value, "mine", 4);
}

static int cached(struct fcache *cache, uint32_t number, unsigned *computed) {
  struct fcache_key key = key_of(number);
  struct fcache_value value = {0};
  int rc = fcache_cached(cache, &key, compute, computed, &value);
  fcache_value_free(&value);
  return rc;
}

static int compute_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  (void)misses;
  ++*(unsigned *)arg;
  for (size_t i = 0; i < n; i++)
    ck_assert_int_eq(fcache_batch_add(batch, "mine", 4), FCACHE_OK);
  return 0;
}

static int cached_batch(struct fcache *cache, uint32_t n, unsigned *computed) {
  struct fcache_hash prompts[8];
  struct fcache_value values[8] = {{0}};
  for (uint32_t i = 0; i < n; i++)
    prompts[i] = lease_prompt(i);
  int rc =
      fcache_cached_batch(cache, "op", "base", 0, prompts, n, compute_misses, computed, values);
  for (uint32_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
  return rc;
}

/* The last message gave up all leases. The connection is in step: the next call gets its own reply.
 */
static void check_over(struct fcache *cache, unsigned n_seen) {
  ck_assert_uint_eq(lease_n_seen(leases), n_seen);
  struct lease_seen last = lease_seen(leases, n_seen - 1);
  ck_assert_uint_eq(last.type, FC_GIVE_UP);
  ck_assert(last.all);
  ck_assert(fcache_connected(cache));
  leases->answers[9] = "H";
  leases->answers[10] = "N";
  ck_assert_int_eq(get(cache, 9, 0, 0), FCACHE_OK);
  ck_assert_int_eq(get(cache, 10, 0, 0), FCACHE_MISS);
}

/* Replies after the cancellation: a late value, a late lease, none. */
static const char *const endings[] = {"TPW", "TPG", "TPN"};

START_TEST(waiting_called_once_per_deadline) {
  struct fcache *cache = open_one(DEADLINE_MS);
  leases->answers[1] = "TPW";
  leases->pings_wanted = 12; /* one per quarter of a deadline without a message */
  unsigned computed = 0;
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(cached(cache, 1, &computed), FCACHE_OK);
  uint64_t deadlines = (runner_now_ms() - start_ms) / DEADLINE_MS;
  ck_assert_uint_eq(computed, 0);
  ck_assert_uint_ge(program.asked, 1);
  ck_assert_uint_le(program.asked, deadlines);
  fcache_close(cache);
}
END_TEST

START_TEST(waiting_cancels_get_no_lease) {
  struct fcache *cache = open_one(DEADLINE_MS);
  leases->answers[1] = endings[_i];
  leases->pings_wanted = 1000000;
  program.ends_at = 2;
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, WAIT_MS), CANCEL_CODE);
  ck_assert_uint_eq(program.asked, 2);
  check_over(cache, 3);
  struct fcache_key key = key_of(1);
  ck_assert_int_eq(fcache_put(cache, &key, "x", 1, 1, 0), FCACHE_OK);
  ck_assert_uint_eq(lease_seen(leases, lease_n_seen(leases) - 1).flags, 0); /* without a lease */
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.leases_granted, 0);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_uint_gt(counters.lease_wait_ns, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(waiting_cancels_cached_no_lease) {
  struct fcache *cache = open_one(DEADLINE_MS);
  unsigned computed = 0;
  leases->answers[1] = endings[_i];
  leases->pings_wanted = 1000000;
  program.ends_at = 1;
  ck_assert_int_eq(cached(cache, 1, &computed), CANCEL_CODE);
  ck_assert_uint_eq(computed, 0);
  check_over(cache, 3);
  fcache_close(cache);
}
END_TEST

/* Values that were computed before the cancellation are stored. */
START_TEST(waiting_cancels_batch_no_lease) {
  struct fcache *cache = open_one(DEADLINE_MS);
  unsigned computed = 0;
  leases->answers[0] = "G";
  leases->answers[1] = leases->answers[2] = endings[_i];
  leases->pings_wanted = 1000000;
  program.ends_at = 1;
  ck_assert_int_eq(cached_batch(cache, 3, &computed), CANCEL_CODE);
  ck_assert_uint_eq(computed, 1);
  ck_assert_uint_eq(lease_seen(leases, 1).type, FC_PUT_MANY);
  check_over(cache, 5);
  fcache_close(cache);
}
END_TEST

/* Sends signals to the test's thread until the callback was called. */
struct signals {
  pthread_t to, thread;
};

static void *send_signals(void *arg) {
  const struct signals *signals = arg;
  while (atomic_load(&program.asked) == 0 && pthread_kill(signals->to, SIGUSR1) == 0)
    (void)poll(NULL, 0, 5);
  return NULL;
}

static void signals_start(struct signals *signals) {
  struct sigaction action = {.sa_handler = ignore};
  ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
  signals->to = pthread_self();
  ck_assert_int_eq(pthread_create(&signals->thread, NULL, send_signals, signals), 0);
}

/* A daemon that does not reply to the cancellation costs one deadline. */
START_TEST(waiting_cancels_daemon_silent_one_deadline) {
  struct fcache *cache = open_one(2000);
  leases->answers[1] = "TS";
  program.ends_at = 1;
  struct signals signals;
  uint64_t start_ms = runner_now_ms();
  signals_start(&signals);
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, WAIT_MS), CANCEL_CODE);
  ck_assert_uint_lt(runner_now_ms() - start_ms, 4000);
  ck_assert_int_eq(pthread_join(signals.thread, NULL), 0);
  ck_assert(!fcache_connected(cache));
  fcache_close(cache);
}
END_TEST

/* The daemon is gone. The call does not wait for the next one, and does not give it up either: the
 * next call does. */
START_TEST(waiting_cancels_without_daemon_at_once) {
  struct fcache *cache = open_one(LONG_MS);
  char away[SCRIPTED_PATH_SIZE + 8];
  struct signals signals;
  (void)snprintf(away, sizeof away, "%s.away", leases->scripted.path);
  ck_assert_int_eq(rename(leases->scripted.path, away), 0);
  leases->answers[1] = "TX";
  leases->answers[2] = "H";
  program.ends_at = 1;
  signals_start(&signals);
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, WAIT_MS), CANCEL_CODE);
  ck_assert_int_eq(pthread_join(signals.thread, NULL), 0);
  ck_assert_uint_eq(program.lines, 0);
  ck_assert(!fcache_connected(cache));
  ck_assert_int_eq(rename(away, leases->scripted.path), 0);
  ck_assert_int_eq(get(cache, 2, 0, 0), FCACHE_OK);
  ck_assert_uint_eq(program.lines, 0);
  fcache_close(cache);
}
END_TEST

/* The signal ends the poll at once, long before the deadline. */
START_TEST(waiting_called_after_signal) {
  struct fcache *cache = open_one(LONG_MS);
  leases->answers[1] = "TPN";
  program.ends_at = 1;
  struct signals signals;
  uint64_t start_ms = runner_now_ms();
  signals_start(&signals);
  ck_assert_int_eq(get(cache, 1, FCACHE_LEASE, WAIT_MS), CANCEL_CODE);
  ck_assert_uint_lt(runner_now_ms() - start_ms, LONG_MS / 4);
  ck_assert_int_eq(pthread_join(signals.thread, NULL), 0);
  check_over(cache, 3);
  fcache_close(cache);
}
END_TEST

/* The child has a handle like any child, and does not wait. The parent's wait goes on. */
START_TEST(waiting_forks_child_call_ends) {
  struct fcache *cache = open_one(DEADLINE_MS);
  unsigned computed = 0;
  int status;
  leases->answers[1] = "TPW";
  leases->answers[9] = "H";
  leases->pings_wanted = 8;
  program.forks = true;
  program.ends_at = _i == 0 ? 0 : 1;
  int rc = cached(cache, 1, &computed);
  if (program.child == 0) {
    bool right = _i == 0 ? rc == FCACHE_OK && computed == 1 : rc == CANCEL_CODE && computed == 0;
    right = right && get(cache, 9, 0, 0) == FCACHE_OK; /* over a connection of its own */
    struct fcache_counters counters;
    fcache_get_counters(cache, &counters);
    right = right && counters.cache_hits == 1;
    fcache_close(cache);
    _exit(right ? 0 : 1);
  }
  ck_assert_int_gt(program.child, 0);
  ck_assert_int_eq(rc, _i == 0 ? FCACHE_OK : CANCEL_CODE);
  ck_assert_uint_eq(computed, 0);
  ck_assert_int_eq(waitpid(program.child, &status, 0), program.child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
  ck_assert(fcache_connected(cache));
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_waiting");
  TCase *tcase = tcase_create("waiting");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, waiting_called_once_per_deadline);
  tcase_add_loop_test(tcase, waiting_cancels_get_no_lease, 0, 3);
  tcase_add_loop_test(tcase, waiting_cancels_cached_no_lease, 0, 3);
  tcase_add_loop_test(tcase, waiting_cancels_batch_no_lease, 0, 3);
  tcase_add_test(tcase, waiting_cancels_daemon_silent_one_deadline);
  tcase_add_test(tcase, waiting_cancels_without_daemon_at_once);
  tcase_add_test(tcase, waiting_called_after_signal);
  tcase_add_loop_test(tcase, waiting_forks_child_call_ends, 0, 2);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
