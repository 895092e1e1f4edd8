/* fcachectl exporter with and without a daemon. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/full_daemon.h"
#include "tests/support/http_client.h"
#include "tests/support/printed.h"
#include "tests/support/promtool.h"

static struct daemon daemon_;
static pid_t exporter;
static uint16_t port;
static FILE *log_;

/* Returns the next line of the exporter's stderr, which must contain `part`. */
static const char *next_line(const char *part) {
  static char line[1024];
  ck_assert_ptr_nonnull(fgets(line, sizeof line, log_));
  ck_assert_msg(strstr(line, part) != NULL, "%s instead of %s", line, part);
  return line;
}

/* Starts the exporter on a free port. */
static void start(const char *socket, const char *listen) {
  int fds[2];
  ck_assert_int_eq(pipe(fds), 0);
  exporter = harness_spawn(CTL("-S", socket, "exporter", "--listen", listen), -1, fds[1]);
  ck_assert_int_eq(close(fds[1]), 0);
  log_ = fdopen(fds[0], "r");
  ck_assert_ptr_nonnull(log_);
  port = (uint16_t)strtoul(strrchr(next_line("fcachectl: serving http://"), ':') + 1, NULL, 10);
}

static void stop(int signal_number) {
  ck_assert_int_eq(kill(exporter, signal_number), 0);
  ck_assert_int_eq(harness_wait(exporter, 20000), 0);
  ck_assert_int_eq(fclose(log_), 0);
}

/* Scrapes, and checks whether the daemon is up. Returns the metrics, which the caller frees. */
static char *scrape(bool is_up) {
  char *text = http_client_get(port, "/metrics", 200);
  printed_contains(text, is_up ? "\nfcached_up 1\n" : "\nfcached_up 0\n");
  ck_assert_int_eq(strstr(text, "fcached_entries") != NULL, is_up);
  return text;
}

static void scrape_only(bool is_up) {
  free(scrape(is_up));
}

START_TEST(daemon_comes_and_goes) {
  char *text;
  memset(&daemon_, 0, sizeof daemon_);
  full_daemon_start(&daemon_);
  start(daemon_.socket, "127.0.0.1:0");
  text = scrape(true);
  promtool_check_metrics(text);
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
  scrape_only(false);
  next_line("the metrics say fcached_up 0");
  scrape_only(false); /* says nothing again */
  harness_start(&daemon_, NULL);
  scrape_only(true);
  next_line("the daemon replies again");
  harness_kill9(&daemon_);
  harness_start(&daemon_, NULL);
  scrape_only(true); /* the first scrape after a restart finds the new daemon */
  stop(SIGTERM);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(exporter_starts_without_daemon) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 8];
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/none", dir);
  start(path, "127.0.0.1:0");
  scrape_only(false);
  next_line("no daemon at");
  free(http_client_get(port, "/", 200));
  free(http_client_get(port, "/favicon.ico", 404));
  stop(SIGINT);
}
END_TEST

START_TEST(stopped_daemon_is_down_within_the_deadline) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, NULL);
  start(daemon_.socket, "127.0.0.1:0");
  scrape_only(true);
  ck_assert(harness_freeze(&daemon_));
  uint64_t begin_ns = harness_now_ns();
  scrape_only(false);
  ck_assert_uint_lt(harness_now_ns() - begin_ns, 9000000000u); /* Prometheus waits for 10 s */
  ck_assert_int_eq(kill(daemon_.pid, SIGCONT), 0);
  scrape_only(true);
  stop(SIGTERM);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(service_manager_hears_of_readiness) {
  char dir[HARNESS_PATH_SIZE], message[64] = "";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  harness_make_dir(dir);
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%.90s/notify", dir);
  ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
  start("/nonexistent", "127.0.0.1:0");
  ck_assert_int_gt(recv(fd, message, sizeof message - 1, 0), 0);
  ck_assert_str_eq(message, "READY=1");
  stop(SIGTERM);
  ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(address_of_all_is_warned_about) {
  start("/nonexistent", "0.0.0.0:0");
  next_line("warning: other machines can reach this address");
  scrape_only(false);
  stop(SIGTERM);
}
END_TEST

START_TEST(port_in_use_is_a_clear_error) {
  char used[32];
  start("/nonexistent", "127.0.0.1:0");
  (void)snprintf(used, sizeof used, "127.0.0.1:%u", port);
  ctl_expect_status(CTL("exporter", "--listen", used), 1, "", "another program listens there");
  ctl_expect_status(CTL("exporter", "--listen", "9121"), 2, "", "the port is missing");
  ctl_expect_status(CTL("exporter", "here"), 2, "", "unexpected argument \"here\"");
  stop(SIGTERM);
}
END_TEST

/* fcachectl was copied without the program that serves. */
START_TEST(missing_program_is_a_clear_error) {
  char dir[HARNESS_PATH_SIZE], copy[HARNESS_PATH_SIZE + 16];
  harness_make_dir(dir);
  (void)snprintf(copy, sizeof copy, "%s/fcachectl", dir);
  ck_assert_int_eq(
      harness_run((const char *const[]){"cp", harness_fcachectl(), copy, NULL}, NULL, NULL), 0);
  ctl_expect_status((const char *const[]){copy, "exporter", NULL}, 1, "",
                    "fcachectl-exporter is missing");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_exporter");
  TCase *tests = tcase_create("ctl_exporter");

  tcase_add_test(tests, daemon_comes_and_goes);
  tcase_add_test(tests, exporter_starts_without_daemon);
  tcase_add_test(tests, stopped_daemon_is_down_within_the_deadline);
  tcase_add_test(tests, service_manager_hears_of_readiness);
  tcase_add_test(tests, address_of_all_is_warned_about);
  tcase_add_test(tests, port_in_use_is_a_clear_error);
  tcase_add_test(tests, missing_program_is_a_clear_error);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
