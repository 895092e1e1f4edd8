/* The socket file while its daemon lives. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define END_TIMEOUT_MS 20000u

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

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

  (void)fc_encode_simple(&buf, FC_PING, raw->next_id++); /* raw_send_buf reports a failure */
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PING);
  fc_buf_free(&buf);
}

static bool logged_gone(void *arg) {
  char *log = harness_log(&served);
  bool gone = strstr(log, "its socket is gone") != NULL && strstr(log, "not a socket") != NULL;

  (void)arg;
  free(log);
  return gone;
}

/* With _i 1 the lock file is removed too, as by a cleaner of /tmp. */
START_TEST(socket_removed_is_bound_again) {
  struct raw before, queued, after;
  char lock[HARNESS_PATH_SIZE + 8];

  harness_start(&served, NULL);
  (void)snprintf(lock, sizeof lock, "%s.lock", served.socket);
  raw_open(&before, served.socket, "life");
  /* This connection is in the backlog when the file is removed: the daemon is stopped. */
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
  ck_assert(harness_exists(lock));
  char *log = harness_log(&served);
  ck_assert_ptr_nonnull(strstr(log, "was removed: it is made again"));
  free(log);
  raw_close(&before);
  raw_close(&queued);
  raw_close(&after);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert(!harness_exists(served.socket) && !harness_exists(lock));
}
END_TEST

START_TEST(socket_removed_second_daemon_refused) {
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

/* The daemon keeps another program's file. Once the name is free, it binds again. */
START_TEST(socket_replaced_by_file_keeps_the_file) {
  harness_start(&served, NULL);
  ck_assert_int_eq(unlink(served.socket), 0);
  FILE *file = fopen(served.socket, "we");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert(harness_wait_until(logged_gone, NULL, END_TIMEOUT_MS));
  ck_assert(harness_exists(served.socket));
  ck_assert_int_eq(unlink(served.socket), 0);
  ck_assert(harness_wait_until(can_connect, NULL, 2 * END_TIMEOUT_MS));
}
END_TEST

START_TEST(socket_mode_is_owner_and_group) {
  struct stat status;

  harness_start(&served, NULL);
  ck_assert_int_eq(stat(served.socket, &status), 0);
  ck_assert_uint_eq(status.st_mode & 07777, 0660);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("socket_file");
  TCase *tests = tcase_create("socket_file");

  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, NULL, stop);
  tcase_add_loop_test(tests, socket_removed_is_bound_again, 0, 2);
  tcase_add_test(tests, socket_removed_second_daemon_refused);
  tcase_add_test(tests, socket_replaced_by_file_keeps_the_file);
  tcase_add_test(tests, socket_mode_is_owner_and_group);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
