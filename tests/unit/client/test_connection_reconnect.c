/* Reconnection after a back-off, forks, and signals. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/client_fixture.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

#define SLACK_MS 10000u /* a loaded machine, or one under valgrind; still bounded */

static void serve_then_hang_up(struct scripted_daemon *scripted, int fd, unsigned nth) {
  if (nth > 0)
    client_serve_hits(scripted, fd, nth);
  else
    (void)scripted_handshake(scripted, fd);
}

START_TEST(connection_closed_reconnects_at_once) {
  struct scripted_daemon scripted;
  struct fcache_counters counters;
  scripted_start(&scripted, serve_then_hang_up, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.reconnects, 1);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_uint_eq(counters.cache_hits, 1);
  ck_assert(fcache_connected(cache));
  ck_assert_uint_eq(client_lines.n, 0);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

static void serve_hang_up(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)scripted;
  (void)fd;
  (void)nth;
}

START_TEST(backoff_daemon_hangs_up_doubles) {
  struct scripted_daemon scripted;
  uint64_t at_ms[4] = {0}, start_ms = runner_now_ms();
  unsigned seen = 0;
  scripted_start(&scripted, serve_hang_up, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (seen < 4 && runner_now_ms() < end_ms) {
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
    for (unsigned n = atomic_load(&scripted.accepted); seen < n && seen < 4; seen++)
      at_ms[seen] = runner_now_ms();
    (void)poll(NULL, 0, 1);
  }
  ck_assert_uint_eq(seen, 4);
  /* 100, 200 and 400 ms apart. The test may see each try late, never early, so it counts from the
   * start. */
  ck_assert_uint_ge(at_ms[1] - start_ms, 99);
  ck_assert_uint_ge(at_ms[2] - start_ms, 299);
  ck_assert_uint_ge(at_ms[3] - start_ms, 699);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

/* Welcomes the second connection only, and answers its clears: 42, and 43 for a local one. */
static void serve_clears(struct scripted_daemon *scripted, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  if (!scripted_handshake(scripted, fd) || nth == 0)
    return;
  while (scripted_read(scripted, fd, &body, &request)) {
    struct fc_buf buf = {0};
    free(body);
    if (request.type == FC_CLEAR &&
        fc_encode_cleared(&buf, request.id, request.clear.local ? 43 : 42) == 0)
      scripted_send(fd, &buf);
  }
}

START_TEST(clear_during_backoff_connects) {
  struct scripted_daemon scripted;
  uint64_t removed = 0;
  scripted_start(&scripted, serve_clears, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  ck_assert_int_eq(client_get(cache, "a"),
                   FCACHE_MISS); /* the daemon closed it: the back-off begins */
  ck_assert_int_eq(fcache_clear(cache, NULL, "op", &removed), FCACHE_OK);
  ck_assert_uint_eq(removed, 42);
  ck_assert_int_eq(fcache_clear_local(cache, NULL, "op", &removed), FCACHE_OK);
  ck_assert_uint_eq(removed, 43);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

static int in_child(struct fcache *cache, const char *path) {
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  if (counters.cache_hits != 0 || fcache_connected(cache))
    return 1;
  if (client_get(cache, "a") != FCACHE_OK) /* its first call waits for its own welcome */
    return 2;
  fcache_get_counters(cache, &counters);
  if (counters.cache_hits != 1 || counters.degraded != 0 || counters.reconnects != 0)
    return 3;
  if (client_sockets_to(path, NULL) != 1) /* its copy of the parent's is closed */
    return 4;
  fcache_close(cache);
  return 0;
}

START_TEST(fork_child_opens_own_connection) {
  struct scripted_daemon scripted;
  struct fcache_counters counters;
  scripted_start(&scripted, client_serve_hits, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK);
  for (int i = 0; i < 3; i++) {
    scripted_wait_idle(&scripted);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
      _exit(in_child(cache, scripted.path));
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK); /* while the parent is connected */
    client_check_child(child);
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK);
  }
  scripted_wait_idle(&scripted);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) { /* closes a handle that it never used */
    fcache_close(cache);
    _exit(0);
  }
  client_check_child(child);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK);
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(counters.cache_hits, 8);
  ck_assert_uint_eq(counters.reconnects, 0);
  ck_assert_uint_eq(atomic_load(&scripted.accepted), 4);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

static atomic_uint alarms;

static void count_alarm(int signal) {
  (void)signal;
  atomic_fetch_add(&alarms, 1);
}

/* Replies to a get after some signals have arrived. */
static void serve_after_alarms(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!scripted_handshake(scripted, fd))
    return;
  while (scripted_read(scripted, fd, &body, &request)) {
    free(body);
    unsigned end = atomic_load(&alarms) + 5;
    while (atomic_load(&alarms) < end && !atomic_load(&scripted->stopping))
      (void)poll(NULL, 0, 1);
    scripted_send_hit(fd, request.id, "value", 5);
  }
}

static void ring_every_5_ms(bool on) {
  struct itimerval timer = {.it_interval.tv_usec = on ? 5000 : 0,
                            .it_value.tv_usec = on ? 5000 : 0};
  ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

/* Starts a daemon whose threads do not take SIGALRM, which then interrupts only this thread. */
static void start_with_alarms(struct scripted_daemon *scripted, scripted_script *script) {
  struct sigaction action = {.sa_handler = count_alarm};
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGALRM);
  ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
  scripted_start(scripted, script, NULL);
}

static void unblock_alarms(void) {
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGALRM);
  ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
  ring_every_5_ms(true);
}

START_TEST(signals_during_wait_reply_received) {
  struct scripted_daemon scripted;
  start_with_alarms(&scripted, serve_after_alarms);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  unblock_alarms();
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK);
  ring_every_5_ms(false);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

START_TEST(signals_during_wait_deadline_kept) {
  struct scripted_daemon scripted;
  const uint32_t deadline_ms = 1000; /* room for some signals, however late each is */
  start_with_alarms(&scripted, client_serve_nothing);
  struct fcache *cache = client_open_connected(scripted.path, deadline_ms);
  unblock_alarms();
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ring_every_5_ms(false);
  ck_assert_uint_ge(took_ms, deadline_ms - 1);
  ck_assert_uint_lt(took_ms, deadline_ms + SLACK_MS);
  ck_assert_uint_ge(atomic_load(&alarms), 3);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("connection_reconnect");
  TCase *tcase = tcase_create("connection_reconnect");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, client_set_up, client_tear_down);
  tcase_add_test(tcase, connection_closed_reconnects_at_once);
  tcase_add_test(tcase, backoff_daemon_hangs_up_doubles);
  tcase_add_test(tcase, clear_during_backoff_connects);
  tcase_add_test(tcase, fork_child_opens_own_connection);
  tcase_add_test(tcase, signals_during_wait_reply_received);
  tcase_add_test(tcase, signals_during_wait_deadline_kept);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
