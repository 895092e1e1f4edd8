#include "daemon/base/log.h"
#include "daemon/os/sd_notify.h"
#include "tests/support/runner.h"

#include <check.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int bind_datagram(const char *name, size_t size) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, name, size);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                   0);
  return fd;
}

static void expect(int fd, const char *text) {
  char got[256];
  ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
  ck_assert_int_ge(n, 0);
  got[n] = '\0';
  ck_assert_str_eq(got, text);
}

static void clear_environment(void) {
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
}

START_TEST(sd_notify_path_receives_states) {
  char dir[] = "/tmp/fcached-test-XXXXXX", path[64];
  struct sd_notify notify;
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/notify", dir);
  int fd = bind_datagram(path, strlen(path) + 1);
  clear_environment();
  setenv("NOTIFY_SOCKET", path, 1);
  sd_notify_init(&notify);
  ck_assert(sd_notify_send(&notify, SD_NOTIFY_READY "\nSTATUS=serving"));
  expect(fd, "READY=1\nSTATUS=serving");
  ck_assert(sd_notify_send(&notify, SD_NOTIFY_STOPPING));
  expect(fd, "STOPPING=1");
  ck_assert_uint_eq(notify.watchdog_ms, 0);
  for (int i = 0; i < 3; i++)
    sd_notify_extend(&notify);
  expect(fd, "EXTEND_TIMEOUT_USEC=30000000"); /* once a second */
  ck_assert_int_lt(recv(fd, path, 1, MSG_DONTWAIT), 0);
  close(fd);
  ck_assert(!sd_notify_send(&notify, SD_NOTIFY_WATCHDOG)); /* no reader: dropped, no SIGPIPE */
  sd_notify_deinit(&notify);
  sd_notify_deinit(&notify);
  unlink(path);
  ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(sd_notify_abstract_name_does_not_block) {
  char name[64];
  struct sd_notify notify;
  snprintf(name, sizeof name, "@fcached-test-%ld", (long)getpid());
  char bound[64];
  memcpy(bound, name, sizeof bound);
  bound[0] = '\0';
  int fd = bind_datagram(bound, strlen(name));
  clear_environment();
  setenv("NOTIFY_SOCKET", name, 1);
  sd_notify_init(&notify);
  ck_assert(sd_notify_send(&notify, SD_NOTIFY_WATCHDOG));
  expect(fd, "WATCHDOG=1");
  int sent = 0;
  while (sent < 100000 && sd_notify_send(&notify, SD_NOTIFY_WATCHDOG)) /* until the queue is full */
    sent++;
  ck_assert_int_lt(sent, 100000);
  sd_notify_deinit(&notify);
  close(fd);
}
END_TEST

START_TEST(sd_notify_malformed_address_is_none) {
  char longest[200];
  memset(longest, 'x', sizeof longest);
  longest[0] = '/';
  longest[sizeof longest - 1] = '\0';
  const char *const odd[] = {"", "/", "@", "relative", longest};
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    struct sd_notify notify;
    clear_environment();
    setenv("NOTIFY_SOCKET", odd[i], 1);
    sd_notify_init(&notify);
    ck_assert_int_eq(notify.fd, -1);
    ck_assert(!sd_notify_send(&notify, SD_NOTIFY_READY));
    sd_notify_deinit(&notify);
  }
}
END_TEST

static uint64_t interval(const char *usec, const char *pid) {
  struct sd_notify notify;
  clear_environment();
  setenv("NOTIFY_SOCKET", "/nowhere", 1);
  setenv("WATCHDOG_USEC", usec, 1);
  if (pid != NULL)
    setenv("WATCHDOG_PID", pid, 1);
  sd_notify_init(&notify);
  uint64_t ms = notify.watchdog_ms;
  sd_notify_deinit(&notify);
  return ms;
}

START_TEST(sd_notify_watchdog_interval_is_half) {
  char own[32];
  snprintf(own, sizeof own, "%ld", (long)getpid());
  ck_assert_uint_eq(interval("30000000", NULL), 15000);
  ck_assert_uint_eq(interval("30000000", own), 15000);
  ck_assert_uint_eq(interval("30000000", "1"), 0);
  ck_assert_uint_eq(interval("30000000", "x"), 0);
  ck_assert_uint_eq(interval("0", NULL), 0);
  ck_assert_uint_eq(interval("1", NULL), 1);
  ck_assert_uint_eq(interval("-5", NULL), 0);
  ck_assert_uint_eq(interval("99999999999999999999999", NULL), 0);
}
END_TEST

START_TEST(log_full_stderr_drops_lines) {
  int ends[2];
  struct log log;
  char text[4096];
  ck_assert_int_eq(pipe(ends), 0);
  unsetenv("JOURNAL_STREAM");
  log_init(&log, ends[1], false);
  log_line(&log, LOG_LEVEL_DEBUG, "not logged");
  log_line(&log, LOG_LEVEL_ERROR, "one\ntwo %d", 3);
  ssize_t n = read(ends[0], text, sizeof text - 1);
  ck_assert_int_gt(n, 0);
  text[n] = '\0';
  ck_assert_str_eq(text, "fcached: one?two 3\n");
  memset(text, 'x', sizeof text);
  for (int i = 0; i < 1000; i++) /* a pipe takes 64 KiB, then a write would block */
    log_line(&log, LOG_LEVEL_INFO, "%.*s", (int)sizeof text, text);
  ck_assert_uint_gt(log.dropped, 0);
  while (log.dropped > 0 && read(ends[0], text, sizeof text) > 0)
    log_line(&log, LOG_LEVEL_INFO, "again");
  ck_assert_uint_eq(log.dropped, 0);
  bool logged = false;
  log_once(NULL, &logged, LOG_LEVEL_INFO, "no log");
  ck_assert(logged);
  close(ends[0]);
  close(ends[1]);
}
END_TEST

START_TEST(log_to_journal_has_priority) {
  int ends[2];
  struct log log;
  struct stat st;
  char text[64];
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ck_assert_int_eq(fstat(ends[1], &st), 0);
  snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
  setenv("JOURNAL_STREAM", text, 1);
  log_init(&log, ends[1], false);
  log_line(&log, LOG_LEVEL_WARNING, "careful");
  ssize_t n = read(ends[0], text, sizeof text - 1);
  ck_assert_int_gt(n, 0);
  text[n] = '\0';
  ck_assert_str_eq(text, "<4>fcached: careful\n");
  setenv("JOURNAL_STREAM", "1:nonsense", 1);
  log_init(&log, ends[1], false);
  ck_assert(!log.prefixed);
  close(ends[0]);
  close(ends[1]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("notify");
  TCase *tc = tcase_create("notify and log");
  tcase_add_test(tc, sd_notify_path_receives_states);
  tcase_add_test(tc, sd_notify_abstract_name_does_not_block);
  tcase_add_test(tc, sd_notify_malformed_address_is_none);
  tcase_add_test(tc, sd_notify_watchdog_interval_is_half);
  tcase_add_test(tc, log_full_stderr_drops_lines);
  tcase_add_test(tc, log_to_journal_has_priority);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
