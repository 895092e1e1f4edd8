/* The stop of a daemon answers what it accepted; the end of a client. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/child_process.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"
#include "tests/support/trace_lines.h"

#define ROUNDS (SANITIZER_SLOW ? 10 : 50)

#define END_TIMEOUT_MS 20000u

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

enum { PUTS = 1000 };

/* The daemon is stopped by SIGSTOP: all are in the socket before it reads the first. */
static void send_puts(struct raw *raw) {
  struct fc_buf buf = {0};

  for (uint32_t i = 0; i < PUTS; i++) {
    char prompt[16];

    (void)snprintf(prompt, sizeof prompt, "p%" PRIu32, i);
    struct fc_put put = {
        .key = raw_key("op", "view", 0, prompt), .value = (const uint8_t *)prompt, .value_size = 1};
    ck_assert_int_eq(fc_encode_put_head(&buf, 1000 + i, &put), 0);
    ck_assert_int_eq(fc_buf_append(&buf, put.value, put.value_size), 0);
  }
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
}

/* Receives the final error and the close. */
static void expect_farewell(struct raw *raw) {
  struct fc_reply reply;

  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_uint_eq(reply.id, 0);
  ck_assert_int_eq(reply.error.code, FC_ESHUTDOWN);
  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_CLOSED);
}

static void expect_all_answered(struct raw *raw) {
  struct fc_reply reply;

  for (uint32_t i = 0; i < PUTS; i++) {
    EXPECT_EQUAL(raw_recv(raw, &reply, 5000), RAW_REPLY);
    EXPECT_EQUAL(reply.type, FC_REPLY | FC_PUT);
    EXPECT_EQUAL(reply.id, 1000 + i);
    EXPECT_EQUAL(reply.put, FC_STORED);
  }
  expect_farewell(raw);
}

static void assert_ended_cleanly(void) {
  char lock[HARNESS_PATH_SIZE + 8];
  pid_t pid = served.pid;

  served.pid = 0;
  ck_assert_int_eq(harness_wait(pid, END_TIMEOUT_MS), 0);
  ck_assert(!harness_exists(served.socket));
  (void)snprintf(lock, sizeof lock, "%s.lock", served.socket);
  ck_assert(!harness_exists(lock));
}

static void finish_by(int signal_number) {
  char dir[HARNESS_PATH_SIZE], trace[HARNESS_PATH_SIZE + 8];
  struct raw raw, idle;

  harness_make_dir(dir);
  (void)snprintf(trace, sizeof trace, "%s/trace", dir);
  harness_start(&served, "--trace", trace, NULL);
  raw_open(&raw, served.socket, "life");
  raw_open(&idle, served.socket, "life");
  ck_assert_int_eq(kill(served.pid, SIGSTOP), 0);
  send_puts(&raw);
  ck_assert_int_eq(kill(served.pid, signal_number), 0);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  expect_all_answered(&raw);
  expect_farewell(&idle);
  assert_ended_cleanly();
  ck_assert_uint_eq(trace_lines_read(trace, NULL, NULL), PUTS);
  raw_close(&raw);
  raw_close(&idle);
}

START_TEST(stop_by_sigterm_answers_accepted_requests) {
  finish_by(SIGTERM);
}
END_TEST

START_TEST(stop_by_sigint_answers_accepted_requests) {
  finish_by(SIGINT);
}
END_TEST

/* Sends signals until the daemon exits: the last ones come after its handlers are removed. */
static bool is_signalled_to_its_end(void *arg) {
  pid_t pid = *(pid_t *)arg;
  siginfo_t info = {0};

  for (int i = 0; i < 2000; i++) {
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid)
      return true;
    (void)kill(pid, i % 2 == 0 ? SIGTERM : SIGINT); /* not reaped yet */
  }
  return false;
}

START_TEST(stop_by_many_signals_is_clean) {
  char dir[HARNESS_PATH_SIZE], trace[HARNESS_PATH_SIZE + 8];

  harness_make_dir(dir);
  (void)snprintf(trace, sizeof trace, "%s/trace", dir);
  for (int round = 0; round < ROUNDS; round++) {
    harness_start(&served, "--trace-dir", dir, NULL);
    const char *const on[] = {harness_fcachectl(), "-S", served.socket, "trace", "on", trace, NULL};
    ck_assert_int_eq(harness_run(on, NULL, NULL), 0);
    struct fcache *cache = library_open(served.socket, "life", NULL, 0);
    struct fcache_key key = library_key("op", "view", "prompt", 0);
    ck_assert_int_eq(fcache_put(cache, &key, "x", 1, 0, 0), FCACHE_OK); /* a line to be written */
    fcache_close(cache);
    ck_assert(harness_wait_until(is_signalled_to_its_end, &served.pid, END_TIMEOUT_MS));
    assert_ended_cleanly();
    ck_assert_uint_eq(trace_lines_read(trace, NULL, NULL), 1);
    ck_assert_int_eq(unlink(trace), 0);
  }
}
END_TEST

START_TEST(stop_by_request_answers_accepted_requests) {
  struct raw raw, busy;
  struct fc_buf buf = {0};
  struct fc_reply reply;

  harness_start(&served, NULL);
  raw_open(&raw, served.socket, NULL);
  raw_open(&busy, served.socket, "life");
  ck_assert_int_eq(kill(served.pid, SIGSTOP), 0);
  send_puts(&busy);
  ck_assert_int_eq(fc_encode_simple(&buf, FC_SHUTDOWN, 7), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_SHUTDOWN);
  ck_assert_uint_eq(reply.id, 7);
  expect_farewell(&raw);
  expect_all_answered(&busy);
  assert_ended_cleanly();
  raw_close(&raw);
  raw_close(&busy);
  fc_buf_free(&buf);
}
END_TEST

static void send_simple(struct raw *raw, struct fc_buf *buf, uint32_t type) {
  struct fc_reply reply;

  ck_assert_int_eq(raw_send_buf(raw, buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
  ck_assert_uint_eq(reply.type, FC_REPLY | type);
}

static void expect_logged(const char *before, const char *after) {
  char *log = harness_log(&served), line[256];

  (void)snprintf(line, sizeof line, "%s by test (pid %ld, user %ld)%s", before, (long)getpid(),
                 (long)geteuid(), after);
  ck_assert_msg(strstr(log, line) != NULL, "no \"%s\" in %s", line, log);
  free(log);
}

START_TEST(admin_requests_are_logged) {
  char dir[HARNESS_PATH_SIZE], trace[HARNESS_PATH_SIZE + 8];
  struct raw raw;
  struct fc_buf buf = {0};
  struct fc_trace on = {.action = FC_TRACE_ON}, off = {.action = FC_TRACE_OFF};
  struct fc_clear select = {.select.name_space = fc_str_of("life"),
                            .select.view = fc_str_of("base")};

  harness_make_dir(dir);
  (void)snprintf(trace, sizeof trace, "%s/trace", dir);
  on.path = fc_str_of(trace);
  harness_start(&served, "--verbose", "--trace-dir", dir, NULL);
  raw_open(&raw, served.socket, "life");
  (void)fc_encode_trace(&buf, 1, &on); /* the send checks `failed` */
  send_simple(&raw, &buf, FC_TRACE);
  expect_logged("trace turned on", ": /");
  (void)fc_encode_trace(&buf, 2, &off);
  send_simple(&raw, &buf, FC_TRACE);
  expect_logged("trace turned off", "\n");
  (void)fc_encode_clear(&buf, 3, &select);
  send_simple(&raw, &buf, FC_CLEAR);
  expect_logged("cleared", ": 0 entries of namespace life, view base, op any\n");
  (void)fc_encode_simple(&buf, FC_SHUTDOWN, 4);
  send_simple(&raw, &buf, FC_SHUTDOWN);
  expect_logged("shut down", "\n");
  assert_ended_cleanly();
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* More requests than one turn handles, and more bytes than one read. */
START_TEST(stop_answers_all_received_bytes) {
  enum { PINGS = 8000 };
  struct raw raw;
  struct fc_buf buf = {0};
  struct fc_reply reply;

  harness_start(&served, NULL);
  raw_open(&raw, served.socket, NULL);
  for (uint32_t i = 0; i < PINGS; i++)
    ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, i), 0);
  ck_assert_int_eq(kill(served.pid, SIGSTOP), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  ck_assert_int_eq(kill(served.pid, SIGTERM), 0);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  for (uint32_t i = 0; i < PINGS; i++) {
    EXPECT_EQUAL(raw_recv(&raw, &reply, 5000), RAW_REPLY);
    EXPECT_EQUAL(reply.type, FC_REPLY | FC_PING);
    EXPECT_EQUAL(reply.id, i);
  }
  expect_farewell(&raw);
  assert_ended_cleanly();
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* Unread replies delay the stop by DRAIN_MAX_MS at most. */
START_TEST(stop_does_not_wait_for_stalled_client) {
  static uint8_t value[1 << 20];
  struct raw raw;
  struct fc_reply reply;
  struct fc_buf buf = {0};
  struct fc_put put = {
      .key = raw_key("op", "view", 0, "large"), .value = value, .value_size = sizeof value};
  struct fc_get get = {.key = put.key};

  harness_start(&served, NULL);
  raw_open(&raw, served.socket, "life");
  ck_assert_int_eq(raw_put(&raw, &put, &reply), RAW_REPLY);
  for (uint32_t i = 0; i < 20; i++)
    ck_assert_int_eq(fc_encode_get(&buf, i, &get), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert(!harness_exists(served.socket));
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

START_TEST(closed_client_requests_are_executed) {
  struct raw raw;

  harness_start(&served, NULL);
  struct fcache *cache = library_open(served.socket, "life", NULL, 0);
  raw_open(&raw, served.socket, "life");
  ck_assert_int_eq(kill(served.pid, SIGSTOP), 0);
  send_puts(&raw);
  raw_close(&raw); /* not even the first reply has a reader */
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  library_wait_stat(cache, "cache_misses", PUTS);
  library_wait_stat(cache, "entries", PUTS);
  library_wait_stat(cache, "clients", 1);
  fcache_close(cache);
}
END_TEST

/* Connects and forks a child, which inherits the connection and outlives this process. */
static int connect_and_fork(void *arg) {
  struct raw raw;

  CHILD_EXPECT(raw_connect(&raw, served.socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "worker", "life") == 0);
  CHILD_EXPECT(kill(served.pid, SIGSTOP) == 0);
  send_puts(&raw);
  CHILD_EXPECT(heir_leave(arg));
  for (;;)
    (void)pause();
}

START_TEST(dead_client_socket_held_by_child_is_closed) {
  struct heir heir;

  harness_start(&served, NULL);
  struct fcache *cache = library_open(served.socket, "life", NULL, 0);
  heir_init(&heir);
  pid_t worker = child_start(connect_and_fork, &heir, NULL);
  pid_t heirs = heir_pid(&heir);
  ck_assert_int_eq(kill(worker, SIGKILL), 0);
  ck_assert_int_eq(harness_wait(worker, END_TIMEOUT_MS), 128 + SIGKILL);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  library_wait_stat(cache, "clients", 1);
  library_wait_stat(cache, "cache_misses", PUTS); /* its requests are executed */
  ck_assert(!harness_is_gone(&heirs));            /* the child still holds the socket */
  heir_end(&heir, heirs);
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stop");
  TCase *tests = tcase_create("stop");

  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, NULL, stop);
  tcase_add_test(tests, stop_by_sigterm_answers_accepted_requests);
  tcase_add_test(tests, stop_by_sigint_answers_accepted_requests);
  tcase_add_test(tests, stop_by_many_signals_is_clean);
  tcase_add_test(tests, stop_by_request_answers_accepted_requests);
  tcase_add_test(tests, admin_requests_are_logged);
  tcase_add_test(tests, stop_answers_all_received_bytes);
  tcase_add_test(tests, stop_does_not_wait_for_stalled_client);
  tcase_add_test(tests, closed_client_requests_are_executed);
  tcase_add_test(tests, dead_client_socket_held_by_child_is_closed);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
