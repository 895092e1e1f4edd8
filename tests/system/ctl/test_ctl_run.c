/* fcachectl run: a command with a private daemon. */
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/harness.h"

static char runtime_dir[HARNESS_PATH_SIZE];

/* run creates its private directories below this test's directory. */
static void set_runtime_dir(void) {
  harness_make_dir(runtime_dir);
  (void)setenv("XDG_RUNTIME_DIR", runtime_dir, 1);
}

static size_t leftovers(void) {
  char pattern[HARNESS_PATH_SIZE + 8];
  glob_t found;
  size_t n;

  snprintf(pattern, sizeof pattern, "%s/*", runtime_dir);
  n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
  globfree(&found);
  return n;
}

START_TEST(run_exits_with_the_status_of_its_command) {
  set_runtime_dir();
  ctl_expect_status(CTL("run", "--no-stats", "--", "sh", "-c", "exit 7"), 7, NULL, NULL);
  ctl_expect_status(CTL("run", "--no-stats", "sh", "-c", "exit 0"), 0, NULL, NULL);
  ctl_expect_status(CTL("run", "--", "sh", "-c", "kill -9 $$"), 137, NULL, NULL);
  ctl_expect_status(CTL("run", "--", "/no/such/program"), 127, NULL, NULL);
  ctl_expect_status(CTL("run", "--", "/"), 126, NULL, NULL);
  ctl_expect_status(CTL("run", "--max-bytes", "many", "--", "true"), 2, NULL, "not a size");
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* Without a daemon the command runs with the cache disabled. With --trace it does not run. */
START_TEST(run_without_daemon_disables_the_cache) {
  static const char script[] =
      "echo \"$FCACHE_DISABLE,${FCACHE_NAMESPACE%%-*}\"; test -S \"$FCACHE_SOCKET\" || exit 7";
  char *out, *err;

  set_runtime_dir();
  (void)setenv("FCACHE_SOCKET", "/tmp", 1);
  (void)setenv("FCACHED", _i == 0 ? "/no/such/daemon" : "/bin/false", 1);
  const char *const argv[] = {harness_fcachectl(), "run", "--", "sh", "-c", script, NULL};
  ck_assert_int_eq(harness_run(argv, &out, &err), 7);
  ck_assert_str_eq(out, "1,run\n");
  ck_assert_ptr_nonnull(strstr(err, "fcached did not start"));
  ck_assert_ptr_nonnull(strstr(err, "running CMD without a cache"));
  free(out);
  free(err);
  ctl_expect_status(CTL("run", "--trace", "t", "--", "false"), 1, NULL, "leave --trace out");
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_sets_socket_and_namespace) {
  static const char script[] = "echo \"$FCACHE_NAMESPACE\"; test -S \"$FCACHE_SOCKET\" && stat -c "
                               "%a \"${FCACHE_SOCKET%/*}\"";
  const char *const argv[] = {
      harness_fcachectl(), "run", "--no-stats", "--", "sh", "-c", script, NULL};
  char *out, *again;

  set_runtime_dir();
  ck_assert_int_eq(harness_run(argv, &out, NULL), 0);
  ck_assert_int_eq(harness_run(argv, &again, NULL), 0);
  ck_assert_int_eq(strncmp(out, "run-", 4), 0);
  ck_assert_ptr_nonnull(strstr(out, "\n700\n"));
  ck_assert_str_ne(out, again); /* a fresh name each time */
  free(out);
  free(again);
  ctl_expect_status(
      CTL("run", "--no-stats", "--namespace", "mine", "--", "sh", "-c", "echo =$FCACHE_NAMESPACE="),
      0, "=mine=\n", NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_prints_stats_to_stderr) {
  char command[HARNESS_PATH_SIZE * 4], trace[HARNESS_PATH_SIZE + 32], *out, *err, *brace;
  json_t *all;

  set_runtime_dir();
  snprintf(command, sizeof command, "echo to stdout; %s clear --all; %s stats --json",
           harness_fcachectl(), harness_fcachectl());
  ck_assert_int_eq(
      harness_run(CTL("run", "--max-bytes", "1M", "--", "sh", "-c", command), &out, &err), 0);
  ck_assert_int_eq(strncmp(out, "to stdout\nremoved 0 entries\n{", 29), 0);
  ck_assert_ptr_nonnull(strstr(out, "\"max_bytes\": 1048576,"));
  ck_assert_ptr_nonnull(strstr(err, "0 / 0 (-)"));
  free(out);
  free(err);
  snprintf(trace, sizeof trace, "%s/t/trace.jsonl", runtime_dir);
  ck_assert_int_eq(harness_run(CTL("run", "--json", "--trace", trace, "--", "true"), &out, &err),
                   0);
  brace = strchr(err, '{');
  ck_assert_ptr_nonnull(brace);
  all = json_loads(brace, 0, NULL);
  ck_assert_ptr_nonnull(all);
  ck_assert_str_eq(json_string_value(json_object_get(json_object_get(all, "daemon"), "trace_path")),
                   trace);
  ck_assert_str_eq(out, "");
  json_decref(all);
  free(out);
  free(err);
}
END_TEST

/* A run whose command has written the pids of the daemon and itself. */
struct under_way {
  pid_t ctl, daemon, command;
  char pids[HARNESS_PATH_SIZE + 16];
};

static bool has_pids(void *arg) {
  struct under_way *run = arg;
  char *text = harness_read_file(run->pids, NULL), *end = text;
  bool whole = text && strchr(text, '\n');

  if (whole) {
    run->daemon = (pid_t)strtol(text, &end, 10);
    run->command = (pid_t)strtol(end, NULL, 10);
  }
  free(text);
  return whole;
}

static void start_run(struct under_way *run, const char *then) {
  char command[HARNESS_PATH_SIZE * 6];

  set_runtime_dir();
  snprintf(run->pids, sizeof run->pids, "%s/pids", runtime_dir);
  snprintf(command, sizeof command,
           "pid=$(%s stats --json | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p'); "
           "echo $pid $$ > %s.new; mv %s.new %s; %s",
           harness_fcachectl(), run->pids, run->pids, run->pids, then);
  run->ctl = harness_spawn(CTL("run", "--no-stats", "--", "sh", "-c", command), -1, -1);
  ck_assert(harness_wait_until(has_pids, run, 20000));
  ck_assert_int_gt(run->daemon, 0);
  (void)unlink(run->pids);
}

START_TEST(run_killed_stops_its_daemon) {
  struct under_way run;

  start_run(&run, "exec sleep 60");
  kill(run.ctl, SIGKILL);
  ck_assert_int_eq(harness_wait(run.ctl, 10000), 137);
  ck_assert(harness_wait_until(harness_is_gone, &run.daemon, 10000));
  kill(run.command, SIGKILL); /* it outlives fcachectl, as it would a shell */
}
END_TEST

START_TEST(run_forwards_signals) {
  struct under_way run;
  int signo = (int[]){SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}[_i];

  (void)signal(signo, SIG_DFL); /* the test's parent may ignore it */
  start_run(&run, "exec sleep 60");
  kill(run.ctl, signo);
  ck_assert_int_eq(harness_wait(run.ctl, 10000), 128 + signo);
  ck_assert(harness_is_gone(&run.daemon));
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* Uses a daemon that sends `signal` to the run that starts it, before it serves. */
static void use_signalling_daemon(const char *signal) {
  char dir[HARNESS_PATH_SIZE], script[HARNESS_PATH_SIZE + 32];
  FILE *file;

  set_runtime_dir();
  harness_make_dir(dir);
  snprintf(script, sizeof script, "%s/fcached", dir);
  file = fopen(script, "we");
  ck_assert_ptr_nonnull(file);
  fprintf(file, "#!/bin/sh\nkill -%s $PPID\nexec %s \"$@\"\n", signal, harness_fcached());
  ck_assert_int_eq(fchmod(fileno(file), 0700), 0);
  ck_assert_int_eq(fclose(file), 0);
  (void)setenv("FCACHED", script, 1);
}

START_TEST(run_signal_at_start_ends_it) {
  (void)signal(SIGUSR1, SIG_DFL);
  use_signalling_daemon("USR1");
  ctl_expect_status(CTL("run", "--no-stats", "--", "sleep", "60"), 128 + SIGUSR1, NULL, NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_ignored_signal_stays_ignored) {
  (void)signal(SIGHUP, SIG_IGN); /* as nohup does */
  use_signalling_daemon("HUP");
  ctl_expect_status(CTL("run", "--no-stats", "--", "sh", "-c", "kill -HUP $$ $PPID; exit 7"), 7,
                    NULL, NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* The stats have no reader: the command's status counts. The command has the former SIGPIPE. */
START_TEST(run_closed_stderr_keeps_the_status) {
  int fds[2];

  (void)signal(SIGPIPE, SIG_DFL); /* the test's parent may ignore it */
  set_runtime_dir();
  ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
  close(fds[0]);
  ck_assert_int_eq(
      harness_wait(harness_spawn(CTL("run", "--", "sh", "-c", "exit 7"), -1, fds[1]), 20000), 7);
  close(fds[1]);
  ctl_expect_status(CTL("run", "--no-stats", "--", "sh", "-c", "kill -PIPE $$"), 128 + SIGPIPE,
                    NULL, NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_daemon_killed_keeps_the_command) {
  struct under_way run;

  start_run(&run, "while kill -0 $pid 2>/dev/null; do :; done; exit 5");
  kill(run.daemon, SIGKILL);
  /* The daemon is a zombie until run reaps it, and kill -0 still finds it: end the command. */
  ck_assert(harness_wait_until(harness_is_gone, &run.daemon, 10000));
  kill(run.command, SIGTERM);
  ck_assert_int_eq(harness_wait(run.ctl, 10000), 128 + SIGTERM);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* A reader of run's output sees its end: the daemon has no descriptor of it. */
START_TEST(run_daemon_keeps_no_pipe_open) {
  set_runtime_dir();
  ctl_expect_part((const char *const[]){"sh", "-c",
                                        "\"$0\" run -- sh -c 'echo out' 2>&1 | cat; echo done",
                                        harness_fcachectl(), NULL},
                  "done\n");
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_run");
  TCase *tests = tcase_create("ctl_run");

  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, run_exits_with_the_status_of_its_command);
  tcase_add_loop_test(tests, run_without_daemon_disables_the_cache, 0, 2);
  tcase_add_test(tests, run_sets_socket_and_namespace);
  tcase_add_test(tests, run_prints_stats_to_stderr);
  tcase_add_test(tests, run_killed_stops_its_daemon);
  tcase_add_loop_test(tests, run_forwards_signals, 0, 5);
  tcase_add_test(tests, run_signal_at_start_ends_it);
  tcase_add_test(tests, run_ignored_signal_stays_ignored);
  tcase_add_test(tests, run_closed_stderr_keeps_the_status);
  tcase_add_test(tests, run_daemon_killed_keeps_the_command);
  tcase_add_test(tests, run_daemon_keeps_no_pipe_open);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
