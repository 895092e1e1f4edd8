/* How a daemon begins and ends: one at a time on a socket, faults 4, 5 and 20; and
 * an end that finishes what was accepted. */
#include <errno.h>
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

static void assert_serves(void) {
  struct raw raw;

  raw_open(&raw, served.socket, "life");
  raw_close(&raw);
}

static bool exists(const char *path) {
  struct stat status;

  return lstat(path, &status) == 0;
}

/* ---- one at a time ---- */

START_TEST(a_second_daemon_is_told_that_one_runs) {
  harness_start(&served, NULL);
  const char *const argv[] = {harness_fcached(), "--socket", served.socket, NULL};
  char *err;
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "already running"));
  ck_assert_ptr_nonnull(strstr(err, served.socket));
  free(err);
  assert_serves();
}
END_TEST

START_TEST(a_stale_socket_of_a_crash_is_replaced) {
  struct raw raw;

  for (int round = 0; round < 3; round++) {
    harness_start(&served, NULL);
    assert_serves();
    harness_kill9(&served);
    ck_assert(exists(served.socket));
    ck_assert_int_eq(raw_connect(&raw, served.socket), -ECONNREFUSED);
  }
  harness_start(&served, NULL);
  assert_serves();
}
END_TEST

static bool one_has_ended(void *arg) {
  pid_t *pids = arg;

  return harness_is_gone(&pids[0]) || harness_is_gone(&pids[1]);
}

static bool answers(void *arg) {
  struct raw raw;
  bool answered;

  (void)arg;
  answered = raw_connect(&raw, served.socket) == 0 && raw_hello(&raw, "race", "race") == 0;
  raw_close(&raw);
  return answered;
}

/* Both are started on a stale socket; the winner is left as stale as the one before. */
static void race(FILE *err) {
  const char *const argv[] = {harness_fcached(), "--socket", served.socket, NULL};
  pid_t pids[2];
  char text[4096];

  rewind(err);
  ck_assert_int_eq(ftruncate(fileno(err), 0), 0);
  for (int i = 0; i < 2; i++)
    pids[i] = harness_spawn(argv, -1, fileno(err));
  ck_assert(harness_wait_until(one_has_ended, pids, END_TIMEOUT_MS));
  int loser = harness_is_gone(&pids[0]) ? 0 : 1;
  ck_assert_int_eq(harness_wait(pids[loser], END_TIMEOUT_MS), 1);
  ck_assert(harness_wait_until(answers, NULL, END_TIMEOUT_MS));
  ck_assert(!harness_is_gone(&pids[!loser]));
  rewind(err);
  text[fread(text, 1, sizeof text - 1, err)] = '\0';
  ck_assert_ptr_nonnull(strstr(text, "already running"));
  ck_assert_int_eq(kill(pids[!loser], SIGKILL), 0);
  ck_assert_int_eq(harness_wait(pids[!loser], END_TIMEOUT_MS), 128 + SIGKILL);
  ck_assert(exists(served.socket));
}

START_TEST(of_two_started_at_once_one_serves) {
  FILE *err = tmpfile();

  ck_assert_ptr_nonnull(err);
  harness_start(&served, NULL);
  harness_kill9(&served);
  if (SANITIZER_SLOW)
    printf("%d rounds instead of 50: a sanitizer build\n", ROUNDS);
  for (int round = 0; round < ROUNDS; round++)
    race(err);
  (void)fclose(err);
  ck_assert_int_eq(unlink(served.socket), 0);
}
END_TEST

/* The number in the first "(N bytes". */
static unsigned long long bytes_in_brackets(const char *text) {
  const char *at = strchr(text, '(');
  char *end;

  ck_assert_ptr_nonnull(at);
  unsigned long long bytes = strtoull(at + 1, &end, 10);
  ck_assert(strncmp(end, " bytes", 6) == 0);
  return bytes;
}

START_TEST(more_memory_than_there_is_is_refused_with_both_numbers) {
  char folder[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 8], *err;
  unsigned long long needed, available;

  harness_folder(folder);
  (void)snprintf(path, sizeof path, "%s/s", folder);
  const char *const argv[] = {harness_fcached(), "--socket", path, "--max-bytes", "100T", NULL};
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "not enough memory"));
  ck_assert_ptr_nonnull(strstr(err, "--max-bytes"));
  const char *second = strstr(err, ", and ");
  ck_assert_ptr_nonnull(second);
  needed = bytes_in_brackets(err);
  available = bytes_in_brackets(second);
  ck_assert_uint_ge(needed, 100ull << 40);
  ck_assert_uint_gt(available, 0);
  ck_assert_uint_lt(available, needed);
  ck_assert(!exists(path));
  free(err);
}
END_TEST

START_TEST(a_mistaken_start_leaves_nothing_behind) {
  char folder[HARNESS_PATH_SIZE], lock[HARNESS_PATH_SIZE + 8], *err;
  const char *const argv[] = {harness_fcached(), "--socket", folder, NULL};

  harness_folder(folder);
  (void)snprintf(lock, sizeof lock, "%s.lock", folder);
  ck_assert_int_eq(harness_run(argv, NULL, &err), 2);
  ck_assert_ptr_nonnull(strstr(err, "not a socket"));
  ck_assert(!exists(lock));
  free(err);
}
END_TEST

/* ---- a socket that is removed while its daemon lives ---- */

static bool can_connect(void *arg) {
  struct raw raw;
  bool connected = raw_connect(&raw, served.socket) == 0;

  (void)arg;
  raw_close(&raw);
  return connected;
}

static void expect_ping(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_reply reply;

  (void)fc_encode_simple(&buf, FC_PING, raw->next_id++); /* raw_send_buf looks */
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PING);
  fc_buf_free(&buf);
}

static bool says_gone(void *arg) {
  char *log = harness_log(&served);
  bool says = strstr(log, "its socket is gone") != NULL && strstr(log, "not a socket") != NULL;

  (void)arg;
  free(log);
  return says;
}

/* _i: the lock file goes too, as by a cleaner of /tmp. */
START_TEST(a_removed_socket_is_made_again) {
  struct raw before, queued, after;
  char lock[HARNESS_PATH_SIZE + 8];

  harness_start(&served, NULL);
  (void)snprintf(lock, sizeof lock, "%s.lock", served.socket);
  raw_open(&before, served.socket, "life");
  /* One that is in the queue when the file goes: the daemon stands still. */
  ck_assert(harness_freeze(&served));
  ck_assert_int_eq(raw_connect(&queued, served.socket), 0);
  ck_assert_int_eq(unlink(served.socket), 0);
  if (_i == 1)
    ck_assert_int_eq(unlink(lock), 0);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  ck_assert(harness_wait_until(can_connect, NULL, END_TIMEOUT_MS));
  ck_assert_int_eq(raw_hello(&queued, "queued", "life"), 0);
  raw_open(&after, served.socket, "life");
  expect_ping(&before);
  expect_ping(&queued);
  expect_ping(&after);
  ck_assert(exists(lock));
  char *log = harness_log(&served);
  ck_assert_ptr_nonnull(strstr(log, "was removed: it is made again"));
  free(log);
  raw_close(&before);
  raw_close(&queued);
  raw_close(&after);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert(!exists(served.socket) && !exists(lock));
}
END_TEST

START_TEST(a_second_daemon_says_that_the_socket_is_gone) {
  char *err;

  harness_start(&served, NULL);
  const char *const argv[] = {harness_fcached(), "--socket", served.socket, NULL};
  ck_assert(harness_freeze(&served));
  ck_assert_int_eq(unlink(served.socket), 0);
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  ck_assert_ptr_nonnull(strstr(err, "that socket is missing"));
  free(err);
  ck_assert(harness_wait_until(can_connect, NULL, END_TIMEOUT_MS));
}
END_TEST

/* Nothing that is not ours is removed; once the place is free, the daemon is found again. */
START_TEST(a_file_in_the_sockets_place_stays) {
  harness_start(&served, NULL);
  ck_assert_int_eq(unlink(served.socket), 0);
  FILE *file = fopen(served.socket, "we");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert(harness_wait_until(says_gone, NULL, END_TIMEOUT_MS));
  ck_assert(exists(served.socket));
  ck_assert_int_eq(unlink(served.socket), 0);
  ck_assert(harness_wait_until(can_connect, NULL, 2 * END_TIMEOUT_MS));
}
END_TEST

START_TEST(the_socket_is_for_owner_and_group) {
  struct stat status;

  harness_start(&served, NULL);
  ck_assert_int_eq(stat(served.socket, &status), 0);
  ck_assert_uint_eq(status.st_mode & 07777, 0660);
}
END_TEST

/* ---- the end ---- */

enum { PUTS = 1000 };

/* All in the socket before the daemon, which is stopped, sees the first of them. */
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

/* The daemon says why, and closes. */
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
  ck_assert(!exists(served.socket));
  (void)snprintf(lock, sizeof lock, "%s.lock", served.socket);
  ck_assert(!exists(lock));
}

static void finish_by(int signal_number) {
  char folder[HARNESS_PATH_SIZE], trace[HARNESS_PATH_SIZE + 8];
  struct raw raw, idle;

  harness_folder(folder);
  (void)snprintf(trace, sizeof trace, "%s/trace", folder);
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

START_TEST(sigterm_finishes_what_was_accepted) {
  finish_by(SIGTERM);
}
END_TEST

START_TEST(sigint_finishes_what_was_accepted) {
  finish_by(SIGINT);
}
END_TEST

/* Whoever is impatient sends another, and the last of them comes when the handlers are gone. */
static bool is_signalled_to_its_end(void *arg) {
  pid_t pid = *(pid_t *)arg;
  siginfo_t info = {0};

  for (int i = 0; i < 2000; i++) {
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid)
      return true;
    (void)kill(pid, i % 2 == 0 ? SIGTERM : SIGINT); /* our child, not waited for yet */
  }
  return false;
}

START_TEST(more_signals_do_not_end_it_otherwise) {
  char folder[HARNESS_PATH_SIZE], trace[HARNESS_PATH_SIZE + 8];

  harness_folder(folder);
  (void)snprintf(trace, sizeof trace, "%s/trace", folder);
  for (int round = 0; round < ROUNDS; round++) {
    harness_start(&served, "--trace-dir", folder, NULL);
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

START_TEST(a_shutdown_request_ends_it_likewise) {
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

static void ask(struct raw *raw, struct fc_buf *buf, uint32_t type) {
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

START_TEST(who_controls_it_is_logged) {
  char folder[HARNESS_PATH_SIZE], trace[HARNESS_PATH_SIZE + 8];
  struct raw raw;
  struct fc_buf buf = {0};
  struct fc_trace on = {.action = FC_TRACE_ON}, off = {.action = FC_TRACE_OFF};
  struct fc_select select = {.name_space = fc_str_of("life"), .view = fc_str_of("base")};

  harness_folder(folder);
  (void)snprintf(trace, sizeof trace, "%s/trace", folder);
  on.path = fc_str_of(trace);
  harness_start(&served, "--verbose", "--trace-dir", folder, NULL);
  raw_open(&raw, served.socket, "life");
  (void)fc_encode_trace(&buf, 1, &on); /* ask looks */
  ask(&raw, &buf, FC_TRACE);
  expect_logged("trace turned on", ": /");
  (void)fc_encode_trace(&buf, 2, &off);
  ask(&raw, &buf, FC_TRACE);
  expect_logged("trace turned off", "\n");
  (void)fc_encode_clear(&buf, 3, &select);
  ask(&raw, &buf, FC_CLEAR);
  expect_logged("cleared", ": 0 entries of namespace life, view base, op any\n");
  (void)fc_encode_simple(&buf, FC_SHUTDOWN, 4);
  ask(&raw, &buf, FC_SHUTDOWN);
  expect_logged("shut down", "\n");
  assert_ended_cleanly();
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* More than a turn takes, and more than is read at once. */
START_TEST(sigterm_answers_all_that_the_socket_holds) {
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

/* Replies that nobody takes do not hold it up for long. */
START_TEST(a_client_that_does_not_read_does_not_keep_it_alive) {
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
  ck_assert(!exists(served.socket));
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* ---- a worker's end ---- */

START_TEST(what_a_client_sent_before_it_closed_counts) {
  struct raw raw;

  harness_start(&served, NULL);
  struct fcache *cache = library_open(served.socket, "life", NULL, 0);
  raw_open(&raw, served.socket, "life");
  ck_assert_int_eq(kill(served.pid, SIGSTOP), 0);
  send_puts(&raw);
  raw_close(&raw); /* there is nobody to take even the first reply */
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  library_wait_figure(cache, "cache_misses", PUTS);
  library_wait_figure(cache, "entries", PUTS);
  library_wait_figure(cache, "clients", 1);
  fcache_close(cache);
}
END_TEST

/* A worker that connects and forks a child, which inherits the connection and goes on. */
static int connect_and_fork(void *arg) {
  struct raw raw;

  CHILD_EXPECT(raw_connect(&raw, served.socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "worker", "life") == 0);
  CHILD_EXPECT(kill(served.pid, SIGSTOP) == 0);
  send_puts(&raw); /* its last deed */
  CHILD_EXPECT(heir_leave(arg));
  for (;;)
    (void)pause();
}

START_TEST(a_dead_workers_connection_ends_though_its_child_holds_it) {
  struct heir heir;

  harness_start(&served, NULL);
  struct fcache *cache = library_open(served.socket, "life", NULL, 0);
  heir_init(&heir);
  pid_t worker = child_start(connect_and_fork, &heir, NULL);
  pid_t heirs = heir_pid(&heir);
  ck_assert_int_eq(kill(worker, SIGKILL), 0);
  ck_assert_int_eq(harness_wait(worker, END_TIMEOUT_MS), 128 + SIGKILL);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  library_wait_figure(cache, "clients", 1);
  library_wait_figure(cache, "cache_misses", PUTS); /* what it had sent is done */
  ck_assert(!harness_is_gone(&heirs));              /* and it holds the socket still */
  heir_end(&heir, heirs);
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("life");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, a_second_daemon_is_told_that_one_runs);
  tcase_add_test(tcase, a_stale_socket_of_a_crash_is_replaced);
  tcase_add_test(tcase, of_two_started_at_once_one_serves);
  tcase_add_test(tcase, more_memory_than_there_is_is_refused_with_both_numbers);
  tcase_add_test(tcase, a_mistaken_start_leaves_nothing_behind);
  tcase_add_loop_test(tcase, a_removed_socket_is_made_again, 0, 2);
  tcase_add_test(tcase, a_second_daemon_says_that_the_socket_is_gone);
  tcase_add_test(tcase, a_file_in_the_sockets_place_stays);
  tcase_add_test(tcase, the_socket_is_for_owner_and_group);
  tcase_add_test(tcase, sigterm_finishes_what_was_accepted);
  tcase_add_test(tcase, sigint_finishes_what_was_accepted);
  tcase_add_test(tcase, more_signals_do_not_end_it_otherwise);
  tcase_add_test(tcase, a_shutdown_request_ends_it_likewise);
  tcase_add_test(tcase, who_controls_it_is_logged);
  tcase_add_test(tcase, sigterm_answers_all_that_the_socket_holds);
  tcase_add_test(tcase, a_client_that_does_not_read_does_not_keep_it_alive);
  tcase_add_test(tcase, what_a_client_sent_before_it_closed_counts);
  tcase_add_test(tcase, a_dead_workers_connection_ends_though_its_child_holds_it);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
