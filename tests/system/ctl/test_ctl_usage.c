/* Usage, help and exit statuses of fcachectl. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/command_list.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"

static struct daemon daemon_;

static void start(void) {
  ctl_start_daemon(&daemon_);
}

START_TEST(missing_daemon_is_status_3_with_sockets) {
  static const char *const commands[] = {"stats",   "ping",       "list",    "leases",
                                         "clients", "namespaces", "shutdown"};
  char dir[HARNESS_PATH_SIZE], runtime[HARNESS_PATH_SIZE + 32], *err;

  harness_make_dir(dir);
  snprintf(runtime, sizeof runtime, "%s/none", dir);
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    ck_assert_int_eq(harness_run(CTL("--socket", runtime, commands[i]), NULL, &err), 3);
    ck_assert_ptr_nonnull(strstr(err, runtime));
    ck_assert_ptr_eq(strchr(err, '\n'), err + strlen(err) - 1); /* one line */
    free(err);
  }
  ctl_expect_status(CTL("clear", "--all", "--socket", runtime), 3, NULL,
                    NULL); /* after the command, too */
  (void)unsetenv("FCACHE_SOCKET");
  (void)setenv("XDG_RUNTIME_DIR", dir, 1);
  if (access("/run/fcached/fcached.sock", F_OK) == 0)
    return; /* a machine with a daemon of its own */
  snprintf(runtime, sizeof runtime, "%s/fcached.sock", dir);
  ctl_expect_status(CTL("stats"), 3, NULL, runtime);
  ctl_expect_status(CTL("stats"), 3, NULL, "/run/fcached/fcached.sock");
}
END_TEST

START_TEST(stopped_daemon_is_status_3) {
  start();
  kill(daemon_.pid, SIGSTOP);
  ctl_expect_status(CTL("ping"), 3, NULL, daemon_.socket);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

#define LONG_PATH                                                                                  \
  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
  "xx"                                                                                             \
  "xxxxxxxxxxx"
#define ESC "\x1b[31m"

/* Arguments that are wrong usage, and a part of the error. */
static const struct {
  const char *argv[6];
  const char *error;
} wrong[] = {
    {{NULL}, "no command"},
    {{"frobnicate"}, "there is no command \"frobnicate\""},
    {{"a" ESC}, "\"a?[31m\""},
    {{"lits"}, "there is no command \"lits\": did you mean list?"},
    {{"hlep"}, "did you mean help?"},
    {{"help", "frobnicate"}, "there is no command"},
    {{"help", "stast"}, "did you mean stats?"},
    {{"--sokcet", "/x", "ping"}, "there is no option --sokcet: did you mean --socket?"},
    {{"list", "--namepsace=x"}, "there is no option --namepsace: did you mean --namespace?"},
    {{"list", "--sock" ESC}, "there is no option --sock?[31m"},
    {{"list", "--vew", "x", "--json"}, "did you mean --view?"},
    {{"list", "-x"}, "there is no option -x"},
    {{"list", "-jx"}, "there is no option -x"},
    {{"list", "--namespace"}, "--namespace needs a value: give --namespace NAME"},
    {{"list", "-n"}, "-n needs a value"},
    {{"list", "--json=1"}, "--json takes no value"},
    {{"run", "--n", "x"}, "--n is short for --namespace and --no-stats"},
    {{"run", "--trase", "x", "--", "true"}, "did you mean --trace?"},
    {{"help", "stats", "ping"}, "help takes one command"},
    {{"--socket=", "ping"}, "--socket is empty"},
    {{"--socket", LONG_PATH "x", "ping"}, "--socket is 108 bytes long"},
    {{"ping", "-S", LONG_PATH "x"}, "--socket is 108 bytes long"},
    {{"stats", "--bogus"}, "there is no option"},
    {{"stats", "a" ESC "\n"}, "unexpected argument \"a?[31m?\""},
    {{"stats", "--namespace", "a\nb"}, "--namespace \"a?b\""},
    {{"stats", "--json", "--watch"}, "--watch excludes --json"},
    {{"stats", "--count", "1"}, "--count needs --watch"},
    {{"ping", "a" ESC}, "unexpected argument \"a?[31m\""},
    {{"ping", "--count", "0"}, "--count takes a whole number from 1"},
    {{"list", "a" ESC}, "unexpected argument \"a?[31m\""},
    {{"list", "--limit", "-1"}, "--limit takes a whole number"},
    {{"list", "--limit", "1" ESC}, "\"1?[31m\""},
    {{"list", "--view", ESC}, "\"?[31m\""},
    {{"list", "--no-manifest"}, "there is no option"},
    {{"leases", "a" ESC}, "unexpected argument \"a?[31m\""},
    {{"leases", "--limit", "-1"}, "--limit takes a whole number"},
    {{"leases", "--view", "base"}, "there is no option"},
    {{"clients", "a" ESC}, "unexpected argument \"a?[31m\""},
    {{"clients", "--limit", "-1"}, "--limit takes a whole number"},
    {{"clients", "--view", "base"}, "there is no option"},
    {{"namespaces", "a" ESC}, "unexpected argument \"a?[31m\""},
    {{"namespaces", "--limit", "-1"}, "--limit takes a whole number"},
    {{"namespaces", "--view", "base"}, "there is no option"},
    {{"clear"}, "give either --namespace NAME or --all"},
    {{"clear", "--all", "--namespace", "one"}, "give either --namespace NAME or --all"},
    {{"clear", "a" ESC}, "unexpected argument \"a?[31m\""},
    {{"trace"}, "missing argument: usage: fcachectl trace on [--mkdir] FILE|off|status"},
    {{"trace", "on"}, "missing argument: usage: fcachectl trace on [--mkdir] FILE|off|status"},
    {{"trace", "a" ESC}, "unexpected argument \"a?[31m\": usage: fcachectl trace"},
    {{"trace", "off", "x"}, "unexpected argument \"x\""},
    {{"kill"}, "no client"},
    {{"kill", "1x"}, "\"1x\" is not a client"},
    {{"kill", "1", "2"}, "unexpected argument \"2\": kill takes one client"},
    {{"shutdown", "a" ESC}, "unexpected argument \"a?[31m\""},
    {{"run"}, "no command to run"},
    {{"--socket", "/x", "run", "--", "true"}, "--socket is not allowed"},
    {{"run", "--socket", "/x", "--", "true"}, "--socket is not allowed"},
    {{"run", "--max-bytes", "1" ESC, "--", "true"}, "1?[31m"}, /* fcached's own error */
};

START_TEST(wrong_usage_is_status_2) {
  const char *argv[8] = {harness_fcachectl()};

  memcpy(argv + 1, wrong[_i].argv, sizeof wrong[_i].argv);
  ctl_expect_status(argv, 2, NULL, wrong[_i].error);
}
END_TEST

START_TEST(longest_socket_path_is_accepted) {
  ctl_expect_status(CTL("--socket", LONG_PATH, "ping"), 3, NULL, LONG_PATH);
}
END_TEST

/* Every way to ask for help prints the same on stdout, and is no error. */
START_TEST(help_by_each_name_is_the_same) {
  char *whole, *other, example[64];

  ck_assert_int_eq(harness_run(CTL("--help"), &whole, NULL), 0);
  for (size_t i = 0; i < 2; i++) {
    ck_assert_int_eq(harness_run(CTL(i == 0 ? "-h" : "help"), &other, NULL), 0);
    ck_assert_str_eq(other, whole);
    free(other);
  }
  free(whole);
  for (size_t i = 0; command_list[i]; i++) {
    const char *name = command_list[i]->name;

    ck_assert_int_eq(harness_run(CTL(name, "--help"), &whole, NULL), 0);
    (void)snprintf(example, sizeof example, "\n  fcachectl %s", name);
    if (!strstr(whole, "Example") || !strstr(whole, example))
      ck_abort_msg("%s has no example: %s", name, whole);
    ck_assert_ptr_null(strstr(whole, "Mandatory or optional")); /* argp's note */
    ck_assert_int_eq(harness_run(CTL(name, "-h"), &other, NULL), 0);
    ck_assert_str_eq(other, whole);
    free(other);
    ck_assert_int_eq(harness_run(CTL("help", name), &other, NULL), 0);
    ck_assert_str_eq(other, whole);
    free(other);
    free(whole);
  }
  ctl_expect_status(CTL("--help"), 0, "\n  clients      list connected clients", NULL);
  ctl_expect_status(CTL("--help"), 0, "Exit status", NULL);
  ctl_expect_status(CTL("run", "--help"), 0, "--max-bytes", NULL);
  ctl_expect_status(CTL("--version"), 0, "fcachectl " FC_VERSION "\n", NULL);
}
END_TEST

/* The list of commands has a line for each, of 80 columns at most, below the title of its purpose.
 */
START_TEST(help_lists_each_command_once) {
  char *help = ctl_printed(CTL("help")), line[128];

  for (size_t i = 0; command_list[i]; i++) {
    const char *summary = command_list[i]->summary;

    ck_assert_uint_le(strlen(summary), COMMAND_SUMMARY_MAX);
    (void)snprintf(line, sizeof line, "\n  %-12s %s\n", command_list[i]->name, summary);
    ck_assert_msg(strstr(help, line) && strlen(line) - 2 <= 80, "%s", line);
    ck_assert_ptr_null(strstr(strstr(help, line) + 1, line));
  }
  free(help);
}
END_TEST

START_TEST(help_of_run_has_no_socket_option) {
  char *out = ctl_printed(CTL("run", "--help"));

  ck_assert_ptr_null(strstr(out, "--socket"));
  free(out);
}
END_TEST

START_TEST(full_stdout_is_status_1) {
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

  ck_assert_int_ge(full, 0);
  ck_assert_int_eq(harness_wait(harness_spawn(CTL("--version"), -1, -1), 10000), 0);
  start();
  ck_assert_int_eq(harness_wait(harness_spawn(CTL("stats"), full, -1), 10000), 1);
  close(full);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_usage");
  TCase *tests = tcase_create("ctl_usage");

  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, missing_daemon_is_status_3_with_sockets);
  tcase_add_test(tests, stopped_daemon_is_status_3);
  tcase_add_loop_test(tests, wrong_usage_is_status_2, 0, sizeof wrong / sizeof wrong[0]);
  tcase_add_test(tests, longest_socket_path_is_accepted);
  tcase_add_test(tests, help_by_each_name_is_the_same);
  tcase_add_test(tests, help_lists_each_command_once);
  tcase_add_test(tests, help_of_run_has_no_socket_option);
  tcase_add_test(tests, full_stdout_is_status_1);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
