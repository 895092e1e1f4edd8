/* The mistakes that people make: each error is one line that says what is wrong and what to do. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"

static struct daemon daemon_;

/* A daemon with the namespace gpt2, in whose directory the commands run. */
static void start(void) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = {.op = "op", .view = "base"};
  struct fcache *cache;

  ctl_start_daemon(&daemon_);
  options.socket = daemon_.socket;
  options.name_space = "gpt2";
  options.deadline_ms = 5000;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), 0);
  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 1000000, 0), 0);
  fcache_close(cache);
  ck_assert_int_eq(chdir(daemon_.dir), 0);
  ck_assert_int_eq(close(open("text", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
}

/* Checks the status, and that stderr is one line with the text. */
static void expect_line(const char *const argv[], int status, const char *part) {
  char *err, *out;
  int got = harness_run(argv, &out, &err);

  if (got != status || !strstr(err, part) || strchr(err, '\n') != err + strlen(err) - 1)
    ck_abort_msg("%s: status %d, not %d with one line with \"%s\": %s", argv[1], got, status, part,
                 err);
  free(out);
  free(err);
}

/* Of fcachectl. test_ctl_usage.c has those of the command line. */
static const struct {
  const char *argv[6];
  int status;
  const char *error;
} mistakes[] = {
    {{"stats", "-n", "gpt3"}, 1, "the daemon has no namespace \"gpt3\": did you mean gpt2?"},
    {{"stats", "-n", "llama"}, 1, "no namespace \"llama\": see fcachectl namespaces"},
    {{"list", "-n", "GPT2"}, 1, "the daemon has no namespace \"GPT2\": see fcachectl namespaces"},
    {{"leases", "-n", "gpt"}, 1, "did you mean gpt2?"},
    {{"export", "gtp2"}, 1, "did you mean gpt2?"},
    {{"ping", "gpt2"}, 2, "unexpected argument \"gpt2\": ping takes options only. See fcachectl"},
    {{"kill", "999999"}, 1, "there is no client 999999: see fcachectl clients"},
    {{"snapshot"}, 1, "fcached has no state folder: start it with --state DIR"},
    {{"set", "max-byte", "1G"}, 1, "those that can be set are: max-bytes"},
    {{"set", "max-bytes", "1"}, 1, "out of range: give 4 KiB to 1 PiB"},
    {{"set", "max-bytes"}, 2, "usage: fcachectl set max-bytes SIZE"},
    {{"import", "none"}, 1, "cannot open none: No such file or directory: give a file that"},
    {{"import", "text"}, 1, "text is no image, or its beginning is damaged: give a file that"},
    {{"import", "."}, 1, ". is a directory: give the file in it, such as ./snapshot"},
    {{"image", "none"}, 1, "cannot open none: No such file or directory: give a file that"},
    {{"run"}, 2, "no command to run: give it behind --, as in fcachectl run -- ./worker"},
    {{"run", "--no-stats", "--", "no-such-program"}, 127, "give a program in PATH, or its path"},
    {{"run", "--no-stats", "--", "./text"}, 126, "Permission denied: make it executable"},
    {{"completion", "fish"}, 2, "there is no script for \"fish\": give bash or zsh"},
};

START_TEST(mistake_with_fcachectl_says_what_to_do) {
  const char *argv[8] = {harness_fcachectl()};

  start();
  memcpy(argv + 1, mistakes[_i].argv, sizeof mistakes[_i].argv);
  expect_line(argv, mistakes[_i].status, mistakes[_i].error);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* ---- no daemon ---- */

#define PATHS 512

/* Makes a socket file that no process listens at, as after a kill of the daemon. */
static void make_stale(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(no_daemon_at_a_given_path_says_how_to_start_one) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 16], want[PATHS];

  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/s", dir);
  (void)snprintf(want, sizeof want,
                 "no daemon at %s (No such file or directory): start one there with \"fcached "
                 "--socket %s &\"\n",
                 path, path);
  expect_line(CTL("--socket", path, "ping"), 3, want);
  make_stale(path);
  (void)snprintf(want, sizeof want,
                 "no daemon at %s (Connection refused: its daemon has ended): start one there with "
                 "\"fcached --socket %s &\"\n",
                 path, path);
  expect_line(CTL("--socket", path, "ping"), 3, want);
}
END_TEST

/* $FCACHE_SOCKET may be wrong. If a socket is at a default path, that one was meant. */
START_TEST(no_daemon_at_the_variable_names_the_variable) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 16], want[PATHS];

  harness_make_dir(dir);
  (void)setenv("FCACHE_SOCKET", "/nowhere/s", 1);
  (void)setenv("XDG_RUNTIME_DIR", dir, 1);
  if (!harness_exists("/run/fcached/fcached.sock"))
    expect_line(CTL("ping"), 3,
                "start one there with \"fcached --socket /nowhere/s &\", or correct "
                "$FCACHE_SOCKET\n");
  (void)snprintf(path, sizeof path, "%s/fcached.sock", dir);
  make_stale(path);
  (void)snprintf(want, sizeof want, ", or unset FCACHE_SOCKET to use the one at %s\n", path);
  expect_line(CTL("ping"), 3, want);
}
END_TEST

/* A path of the system or the user belongs to a unit, where systemd runs. */
START_TEST(no_daemon_at_the_default_paths_names_their_units) {
  bool has_systemd = harness_exists("/run/systemd/system");
  char dir[HARNESS_PATH_SIZE];

  if (harness_exists("/run/fcached/fcached.sock"))
    return;
  harness_make_dir(dir);
  (void)unsetenv("FCACHE_SOCKET");
  (void)setenv("XDG_RUNTIME_DIR", dir, 1);
  expect_line(CTL("ping"), 3,
              has_systemd ? "systemctl start fcached.socket\", \"systemctl --user start "
                            "fcached.socket\" or \"fcached &\"\n"
                          : "start one with \"fcached &\"\n");
  expect_line(CTL("-S", "/run/fcached/fcached-team.sock", "ping"), 3,
              has_systemd ? "systemctl start fcached@team.socket\"\n"
                          : "fcached --socket /run/fcached/fcached-team.sock &\"\n");
}
END_TEST

/* Runs the command as a user without rights. */
START_TEST(no_permission_names_the_group) {
  char path[HARNESS_PATH_SIZE + 16], shell[PATHS], *out, *err;
  const char *const argv[] = {"sh", "-c", shell, NULL};

  if (geteuid() != 0)
    return; /* only root can become another user */
  start();
  (void)snprintf(path, sizeof path, "%s/stale", daemon_.dir);
  make_stale(path);
  ck_assert_int_eq(chmod(path, 0660), 0);
  for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = '\0';
    (void)chmod(path, strcmp(path, "/tmp") == 0 ? 01777 : 0755);
    *slash = '/';
  }
  /* That user may not reach the program's path. */
  (void)snprintf(shell, sizeof shell,
                 "exec 9<'%s' setpriv --reuid=65534 --regid=65534 --clear-groups "
                 "sh -c \"exec /proc/self/fd/9 -S '%s' ping\"",
                 harness_fcachectl(), path);
  ck_assert_int_eq(harness_run(argv, &out, &err), 3);
  ck_assert_msg(strstr(err, "no daemon could be reached at ") &&
                    strstr(err, "(Permission denied: join the socket's group root)\n"),
                "%s", err);
  free(out);
  free(err);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* ---- fcached ---- */

static const struct {
  const char *argv[5];
  int status;
  const char *error;
} daemons[] = {
    {{"--max-bytez", "1G"}, 2, "there is no option --max-bytez: did you mean --max-bytes? See"},
    {{"-q"}, 2, "there is no option -q. See fcached --help"},
    {{"--socket"}, 2, "--socket needs a value: give --socket PATH. See fcached --help"},
    {{"start"}, 2, "unexpected argument \"start\": fcached takes only options"},
    {{"--max-bytes", "lots"}, 2, "as in 512M. See fcached --help"},
    {{"--max-clients", "0"}, 2, "out of range: give 1 to 1000000"},
    {{"--socket-group", "no-such-group"}, 2, "there is no group \"no-such-group\": create it, or"},
    {{"--config", "/nowhere/x.conf"}, 2, "there is no such file: create it, or give another"},
    {{"--socket", "/nowhere/s"}, 1, "directory /nowhere: No such file or directory: make it, or"},
    {{"--socket", "text"}, 2, "the file exists and is not a socket: remove it, or give another"},
    {{"--socket", "s2", "--state", "text"}, 1, "Not a directory: give another with --state"},
    {{"--socket", "s2", "--trace", "."}, 1, "cannot be opened to append: Is a directory: give"},
};

START_TEST(mistake_with_fcached_says_what_to_do) {
  const char *argv[7] = {harness_fcached()};
  char *err;

  start();
  memcpy(argv + 1, daemons[_i].argv, sizeof daemons[_i].argv);
  ck_assert_int_eq(harness_run(argv, NULL, &err), daemons[_i].status);
  ck_assert_msg(strstr(err, daemons[_i].error), "no \"%s\" in: %s", daemons[_i].error, err);
  free(err);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(second_fcached_names_the_first) {
  char pid[32], *err;
  const char *const argv[] = {harness_fcached(), "--socket", daemon_.socket, NULL};

  start();
  (void)snprintf(pid, sizeof pid, "(pid %d)", (int)daemon_.pid);
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_msg(strstr(err, pid) && strstr(err, "use that one, stop it, or give another --socket"),
                "%s", err);
  free(err);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_mistakes");
  TCase *tests = tcase_create("ctl_mistakes");

  tcase_set_timeout(tests, 60);
  tcase_add_loop_test(tests, mistake_with_fcachectl_says_what_to_do, 0,
                      sizeof mistakes / sizeof mistakes[0]);
  tcase_add_test(tests, no_daemon_at_a_given_path_says_how_to_start_one);
  tcase_add_test(tests, no_daemon_at_the_variable_names_the_variable);
  tcase_add_test(tests, no_daemon_at_the_default_paths_names_their_units);
  tcase_add_test(tests, no_permission_names_the_group);
  tcase_add_loop_test(tests, mistake_with_fcached_says_what_to_do, 0,
                      sizeof daemons / sizeof daemons[0]);
  tcase_add_test(tests, second_fcached_names_the_first);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
