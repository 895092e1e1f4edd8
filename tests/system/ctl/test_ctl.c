/* fcachectl with a real daemon: every command, every exit status, and run. */
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"

#define CTL(...) ((const char *const[]){harness_fcachectl(), __VA_ARGS__, NULL})

static struct daemon daemon_;

/* Puts `n` entries, and hits the first of them twice. */
static void work(const char *name_space, int n) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = {.op = "op", .view = "base"};
  struct fcache_value value = {0};
  struct fcache *cache;

  options.socket = daemon_.socket;
  options.name_space = name_space;
  options.deadline_ms = 5000;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), 0);
  for (int i = n - 1; i >= 0; i--) {
    key.prompt = fcache_hash(&i, sizeof i);
    key.view = i % 2 ? "ft" : "base";
    ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 1000000, 0), 0);
  }
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), 0);
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), 0);
  fcache_value_free(&value);
  fcache_close(cache);
}

static void start(void) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
}

/* A command that is to end with `status`; `wants` is to be in its stdout. */
static void expect(const char *const argv[], int status, const char *wants) {
  char *out, *err;
  int got = harness_run(argv, &out, &err);

  if (got != status || (wants && !strstr(out, wants)))
    ck_abort_msg("%s: status %d, not %d; it printed: %s%s", argv[1], got, status, out, err);
  free(out);
  free(err);
}

/* ---- commands ---- */

START_TEST(stats_show_all_and_one) {
  start();
  work("one", 8);
  work("two", 1);
  expect(CTL("stats"), 0, "4 / 13 (30.77%)");
  expect(CTL("stats"), 0, "2 / 10 (20.00%)");
  expect(CTL("stats", "--namespace", "two"), 0, "2 / 3 (66.67%)");
  expect(CTL("stats", "--namespace", "none"), 1, NULL);
  expect(CTL("stats", "--watch", "--count", "1"), 0, "LOOKUPS/S");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(stats_json_parses) {
  const char *name;
  char *out;
  json_t *all, *daemon;

  start();
  work("one", 8);
  ck_assert_int_eq(harness_run(CTL("stats", "--json"), &out, NULL), 0);
  all = json_loads(out, 0, NULL);
  ck_assert_ptr_nonnull(all);
  daemon = json_object_get(all, "daemon");
  ck_assert_int_eq(json_integer_value(json_object_get(daemon, "cache_hits")), 2);
  ck_assert(json_is_real(json_object_get(daemon, "saved_wall_s")));
  ck_assert_int_eq(json_integer_value(json_object_get(daemon, "pid")), daemon_.pid);
  name = json_string_value(
      json_object_get(json_array_get(json_object_get(all, "namespaces"), 0), "namespace"));
  ck_assert_str_eq(name, "one");
  json_decref(all);
  free(out);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(ping_measures) {
  start();
  expect(CTL("ping", "--count", "50"), 0, "50 round trips");
  expect(CTL("ping", "-c", "50"), 0, "p99.9 ");
  expect(CTL("ping", "-c", "3", "--json"), 0, "\"count\": 3");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

static size_t listed(const char *const argv[]) {
  json_t *all;
  char *out;
  size_t n;

  ck_assert_int_eq(harness_run(argv, &out, NULL), 0);
  all = json_loads(out, 0, NULL);
  ck_assert_ptr_nonnull(all);
  n = json_array_size(all);
  json_decref(all);
  free(out);
  return n;
}

START_TEST(list_selects_and_limits) {
  start();
  work("one", 5000); /* more than a page */
  work("two", 3);
  ck_assert_uint_eq(listed(CTL("list", "--json", "--limit", "0")), 5003);
  ck_assert_uint_eq(listed(CTL("list", "--json")), 100);
  ck_assert_uint_eq(listed(CTL("list", "--json", "--limit", "4321")), 4321);
  ck_assert_uint_eq(listed(CTL("list", "--json", "--namespace", "two")), 3);
  ck_assert_uint_eq(listed(CTL("list", "-j", "-l0", "-n", "one", "--view", "ft")), 2500);
  ck_assert_uint_eq(listed(CTL("list", "-j", "--op", "another")), 0);
  expect(CTL("list", "--limit", "1"), 0, "NAMESPACE");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(clear_says_how_many) {
  start();
  work("one", 10);
  work("two", 10);
  expect(CTL("clear"), 2, NULL);
  expect(CTL("clear", "--all", "--namespace", "one"), 2, NULL);
  expect(CTL("clear", "--namespace", "one", "--view", "ft"), 0, "removed 5 entries\n");
  expect(CTL("clear", "--namespace", "one", "--op", "another"), 0, "removed 0 entries\n");
  expect(CTL("clear", "--namespace", "one"), 0, "removed 5 entries\n");
  expect(CTL("clear", "--all"), 0, "removed 10 entries\n");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* Whoever asks for it: a namespace that does not exist is not made, so no other has to go for it.
 */
START_TEST(clear_makes_and_evicts_no_namespace) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, "--max-namespaces", "1", NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
  work("one", 10);
  expect(CTL("clear", "--namespace", "typo"), 0,
         "removed 0 entries: the daemon has no namespace \"typo\"\n");
  ck_assert_uint_eq(listed(CTL("list", "--json", "--namespace", "one")), 10);
  expect(CTL("clear", "--namespace", "one", "--op", "another"), 0, "removed 0 entries\n");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* fcachectl as a user who is no administrator. */
struct stranger {
  const char *const *argv;
  int program_fd, out_fd; /* open beforehand: the program may be where others cannot go */
};

static int become_ctl(void *arg) {
  struct stranger *stranger = arg;

  CHILD_EXPECT(dup2(stranger->out_fd, STDOUT_FILENO) >= 0);
  CHILD_EXPECT(fexecve(stranger->program_fd, (char *const *)(uintptr_t)stranger->argv, environ) ==
               0);
  return 0; /* never: it is fcachectl now */
}

static void expect_of_stranger(const char *const argv[], int status, const char *wants) {
  static const struct child_user user = {.uid = 54321, .gid = 54322}; /* in no file */
  struct stranger stranger = {.argv = argv,
                              .program_fd = open(argv[0], O_RDONLY),
                              .out_fd = memfd_create("stdout", MFD_CLOEXEC)};
  char path[64], *out;
  int got;

  ck_assert(stranger.program_fd >= 0 && stranger.out_fd >= 0);
  got = child_run(become_ctl, &stranger, &user);
  snprintf(path, sizeof path, "/proc/self/fd/%d", stranger.out_fd);
  out = harness_read_file(path, NULL);
  if (got != status || !out || strcmp(out, wants) != 0)
    ck_abort_msg("%s by a stranger: status %d, not %d; it printed: %s", argv[1], got, status, out);
  free(out);
  close(stranger.program_fd);
  close(stranger.out_fd);
}

START_TEST(clear_by_a_stranger_is_for_one_that_exists) {
  char root[HARNESS_PATH_SIZE];

  if (geteuid() != 0) {
    printf("skipped: only root can become other users\n");
    return;
  }
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, "--max-namespaces", "1", "--socket-group", "54322", NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
  snprintf(root, sizeof root, "%s", daemon_.dir);
  *strrchr(root, '/') = '\0';
  ck_assert_int_eq(chmod(root, 0711), 0); /* the way to the socket */
  ck_assert_int_eq(chmod(daemon_.dir, 0711), 0);
  work("one", 10);
  expect_of_stranger(CTL("clear", "--all"), 1, "");
  expect_of_stranger(CTL("clear", "--namespace", "typo"), 0,
                     "removed 0 entries: the daemon has no namespace \"typo\"\n");
  ck_assert_uint_eq(listed(CTL("list", "--json", "--namespace", "one")), 10);
  expect_of_stranger(CTL("clear", "--namespace", "one"), 1, ""); /* another user made it */
  ck_assert_uint_eq(listed(CTL("list", "--json", "--namespace", "one")), 10);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(list_of_no_namespace_says_so) {
  char *out, *err;

  start();
  work("one", 3);
  ck_assert_int_eq(harness_run(CTL("list", "--namespace", "typo"), &out, &err), 1);
  ck_assert_str_eq(out, "");
  ck_assert_str_eq(err, "fcachectl: the daemon has no namespace \"typo\"\n"); /* as stats does */
  free(out);
  free(err);
  ck_assert_uint_eq(listed(CTL("list", "--json", "--namespace", "typo")), 0);
  expect(CTL("list", "--namespace", "one", "--op", "another"), 0, "PROMPT");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(trace_goes_on_and_off) {
  char folder[HARNESS_PATH_SIZE], file[200], *text;

  harness_folder(folder);
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, "--trace-dir", folder, NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
  snprintf(file, sizeof file, "%s/made/trace.jsonl", folder);
  expect(CTL("trace"), 2, NULL);
  expect(CTL("trace", "on"), 2, NULL);
  expect(CTL("trace", "sideways"), 2, NULL);
  expect(CTL("trace", "status"), 0, "trace off");
  expect(CTL("trace", "on", "made/trace.jsonl"), 0, file); /* below the daemon's folder */
  work("one", 4);
  expect(CTL("trace", "status"), 0, "trace on");
  expect(CTL("trace", "off"), 0, "trace off");
  expect(CTL("trace", "on", "/proc/no/such"), 1, NULL);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
  text = harness_read_file(file, NULL);
  ck_assert_ptr_nonnull(text);
  ck_assert_ptr_nonnull(strstr(text, "\"hit\""));
  free(text);
}
END_TEST

START_TEST(shutdown_ends_it) {
  start();
  expect(CTL("shutdown"), 0, "shutting down");
  ck_assert_int_eq(harness_wait(daemon_.pid, 10000), 0);
  daemon_.pid = 0;
  ck_assert_int_ne(access(daemon_.socket, F_OK), 0);
}
END_TEST

START_TEST(no_daemon_is_3_and_names_the_sockets) {
  static const char *const commands[] = {"stats", "ping", "list", "shutdown"};
  char folder[HARNESS_PATH_SIZE], runtime[HARNESS_PATH_SIZE + 32], *err;

  harness_folder(folder);
  snprintf(runtime, sizeof runtime, "%s/none", folder);
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    ck_assert_int_eq(harness_run(CTL("--socket", runtime, commands[i]), NULL, &err), 3);
    ck_assert_ptr_nonnull(strstr(err, runtime));
    ck_assert_ptr_eq(strchr(err, '\n'), err + strlen(err) - 1); /* one line */
    free(err);
  }
  expect(CTL("clear", "--all", "--socket", runtime), 3, NULL); /* after the command, too */
  (void)unsetenv("FCACHE_SOCKET");
  (void)setenv("XDG_RUNTIME_DIR", folder, 1);
  if (access("/run/fcached/fcached.sock", F_OK) == 0)
    return; /* a machine with a daemon of its own */
  ck_assert_int_eq(harness_run(CTL("stats"), NULL, &err), 3);
  snprintf(runtime, sizeof runtime, "%s/fcached.sock", folder);
  ck_assert_ptr_nonnull(strstr(err, runtime));
  ck_assert_ptr_nonnull(strstr(err, "/run/fcached/fcached.sock"));
  free(err);
}
END_TEST

START_TEST(daemon_that_does_not_answer_is_3_too) {
  char *err;

  start();
  kill(daemon_.pid, SIGSTOP);
  ck_assert_int_eq(harness_run(CTL("ping"), NULL, &err), 3);
  ck_assert_ptr_nonnull(strstr(err, daemon_.socket));
  free(err);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(wrong_usage_is_2_and_help_0) {
  expect((const char *const[]){harness_fcachectl(), NULL}, 2, NULL);
  expect(CTL("frobnicate"), 2, NULL);
  expect(CTL("stats", "--bogus"), 2, NULL);
  expect(CTL("stats", "word"), 2, NULL);
  expect(CTL("stats", "--namespace", "a\nb"), 2, NULL);
  expect(CTL("list", "--limit", "-1"), 2, NULL);
  expect(CTL("run"), 2, NULL);
  expect(CTL("--help"), 0, "Exit status");
  expect(CTL("run", "--help"), 0, "--max-bytes");
  expect(CTL("--version"), 0, "fcachectl " FC_VERSION "\n");
}
END_TEST

/* Every way to ask for help prints the same on stdout, and is no error. */
START_TEST(help_is_found_by_all_its_names) {
  static const char *const commands[] = {"stats",      "ping",  "list",  "leases",   "clients",
                                         "namespaces", "clear", "trace", "shutdown", "run"};
  char *whole, *other;

  ck_assert_int_eq(harness_run(CTL("--help"), &whole, NULL), 0);
  for (size_t i = 0; i < 2; i++) {
    ck_assert_int_eq(harness_run(CTL(i == 0 ? "-h" : "help"), &other, NULL), 0);
    ck_assert_str_eq(other, whole);
    free(other);
  }
  free(whole);
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    ck_assert_int_eq(harness_run(CTL(commands[i], "--help"), &whole, NULL), 0);
    ck_assert_ptr_nonnull(strstr(whole, commands[i]));
    ck_assert_int_eq(harness_run(CTL(commands[i], "-h"), &other, NULL), 0);
    ck_assert_str_eq(other, whole);
    free(other);
    ck_assert_int_eq(harness_run(CTL("help", commands[i]), &other, NULL), 0);
    ck_assert_str_eq(other, whole);
    free(other);
    free(whole);
  }
  expect(CTL("help", "frobnicate"), 2, NULL);
  expect(CTL("help", "stats", "ping"), 2, NULL);
}
END_TEST

/* Wrong usage, of which stderr says `wants`, and nothing that would steer a terminal. */
static void expect_usage(const char *const argv[], const char *wants) {
  char *err;
  int got = harness_run(argv, NULL, &err);

  if (got != 2 || !strstr(err, wants) || strchr(err, '\x1b'))
    ck_abort_msg("%s: status %d, not 2; it said: %s", argv[1], got, err);
  free(err);
}

START_TEST(wrong_sockets_are_wrong_usage) {
  char path[110], *out;

  memset(path, 'x', sizeof path);
  path[108] = '\0';
  expect_usage(CTL("--socket", path, "ping"), "--socket is 108 bytes long");
  expect_usage(CTL("ping", "-S", path), "--socket is 108 bytes long");
  expect_usage(CTL("--socket=", "ping"), "--socket is empty");
  path[107] = '\0'; /* what an address takes */
  expect(CTL("--socket", path, "ping"), 3, NULL);
  expect_usage(CTL("--socket", "/x", "run", "--", "true"), "--socket has no use");
  expect_usage(CTL("run", "--socket", "/x", "--", "true"), "--socket has no use");
  ck_assert_int_eq(harness_run(CTL("run", "--help"), &out, NULL), 0);
  ck_assert_ptr_null(strstr(out, "--socket"));
  free(out);
}
END_TEST

START_TEST(arguments_do_not_steer_the_terminal) {
  static const char *const commands[] = {"stats", "ping", "list", "clear", "trace", "shutdown"};

  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    expect_usage(CTL(commands[i], "a\x1b[31m\n"), "\"a?[31m?\"");
  expect_usage(CTL("list", "--limit", "1\x1b[31m"), "\"1?[31m\"");
  expect_usage(CTL("list", "--view", "\x1b[31m"), "\"?[31m\"");
  expect_usage(CTL("a\x1b[31m"), "\"a?[31m\"");
  expect_usage(CTL("run", "--max-bytes", "1\x1b[31m", "--", "true"),
               "1?[31m"); /* fcached says it */
}
END_TEST

START_TEST(stdout_that_is_full_is_a_failure) {
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

  ck_assert_int_ge(full, 0);
  ck_assert_int_eq(harness_wait(harness_spawn(CTL("--version"), -1, -1), 10000), 0);
  start();
  ck_assert_int_eq(harness_wait(harness_spawn(CTL("stats"), full, -1), 10000), 1);
  close(full);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* ---- run ---- */

static char runtime_dir[HARNESS_PATH_SIZE];

/* Private folders of run come up below a folder of this test. */
static void set_runtime_dir(void) {
  harness_folder(runtime_dir);
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

START_TEST(run_passes_the_status_on) {
  set_runtime_dir();
  expect(CTL("run", "--no-stats", "--", "sh", "-c", "exit 7"), 7, NULL);
  expect(CTL("run", "--no-stats", "sh", "-c", "exit 0"), 0, NULL);
  expect(CTL("run", "--", "sh", "-c", "kill -9 $$"), 137, NULL);
  expect(CTL("run", "--", "/no/such/program"), 127, NULL);
  expect(CTL("run", "--", "/"), 126, NULL);
  expect(CTL("run", "--max-bytes", "many", "--", "true"), 2, NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* A cache must not keep a command from its work: without a daemon it runs with the cache off, and
 * neither finds another daemon. A trace that was asked for is another matter. */
START_TEST(run_runs_its_command_without_a_daemon) {
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
  ck_assert_int_eq(harness_run(CTL("run", "--trace", "t", "--", "echo", "ran"), &out, &err), 1);
  ck_assert_str_eq(out, "");
  ck_assert_ptr_nonnull(strstr(err, "leave --trace out"));
  free(out);
  free(err);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_hands_the_environment_over) {
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
  expect(
      CTL("run", "--no-stats", "--namespace", "mine", "--", "sh", "-c", "echo =$FCACHE_NAMESPACE="),
      0, "=mine=\n");
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_prints_stats_on_stderr) {
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

/* A run that is under way: its command has written the daemon's pid and its own. */
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

START_TEST(run_killed_leaves_no_daemon) {
  struct under_way run;

  start_run(&run, "exec sleep 60");
  kill(run.ctl, SIGKILL);
  ck_assert_int_eq(harness_wait(run.ctl, 10000), 137);
  ck_assert(harness_wait_until(harness_is_gone, &run.daemon, 10000));
  kill(run.command, SIGKILL); /* it goes on, as under a killed shell */
}
END_TEST

START_TEST(run_passes_signals_on) {
  struct under_way run;
  int signo = (int[]){SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}[_i];

  (void)signal(signo, SIG_DFL); /* whatever ran the tests may have it ignored */
  start_run(&run, "exec sleep 60");
  kill(run.ctl, signo);
  ck_assert_int_eq(harness_wait(run.ctl, 10000), 128 + signo);
  ck_assert(harness_is_gone(&run.daemon));
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* A daemon that sends `signal` to the run which is starting it, before it serves. */
static void use_signalling_daemon(const char *signal) {
  char folder[HARNESS_PATH_SIZE], script[HARNESS_PATH_SIZE + 32];
  FILE *file;

  set_runtime_dir();
  harness_folder(folder);
  snprintf(script, sizeof script, "%s/fcached", folder);
  file = fopen(script, "we");
  ck_assert_ptr_nonnull(file);
  fprintf(file, "#!/bin/sh\nkill -%s $PPID\nexec %s \"$@\"\n", signal, harness_fcached());
  ck_assert_int_eq(fchmod(fileno(file), 0700), 0);
  ck_assert_int_eq(fclose(file), 0);
  (void)setenv("FCACHED", script, 1);
}

START_TEST(run_is_ended_by_a_signal_at_the_start) {
  (void)signal(SIGUSR1, SIG_DFL);
  use_signalling_daemon("USR1");
  expect(CTL("run", "--no-stats", "--", "sleep", "60"), 128 + SIGUSR1, NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_leaves_an_ignored_signal_ignored) {
  (void)signal(SIGHUP, SIG_IGN); /* as nohup does */
  use_signalling_daemon("HUP");
  expect(CTL("run", "--no-stats", "--", "sh", "-c", "kill -HUP $$ $PPID; exit 7"), 7, NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* Its stats have no reader any more: CMD's status counts. CMD itself has SIGPIPE as it was. */
START_TEST(run_outlives_the_reader_of_its_stderr) {
  int fds[2];

  (void)signal(SIGPIPE, SIG_DFL); /* whatever ran the tests may have it ignored */
  set_runtime_dir();
  ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
  close(fds[0]);
  ck_assert_int_eq(
      harness_wait(harness_spawn(CTL("run", "--", "sh", "-c", "exit 7"), -1, fds[1]), 20000), 7);
  close(fds[1]);
  expect(CTL("run", "--no-stats", "--", "sh", "-c", "kill -PIPE $$"), 128 + SIGPIPE, NULL);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

START_TEST(run_outlives_its_daemon) {
  struct under_way run;

  start_run(&run, "while kill -0 $pid 2>/dev/null; do :; done; exit 5");
  kill(run.daemon, SIGKILL);
  /* A zombie until run waits for it: the command ends by our hand where kill -0 still finds it. */
  ck_assert(harness_wait_until(harness_is_gone, &run.daemon, 10000));
  kill(run.command, SIGTERM);
  ck_assert_int_eq(harness_wait(run.ctl, 10000), 128 + SIGTERM);
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

/* Whoever reads our output sees its end: the daemon does not hold it open. */
START_TEST(run_holds_no_pipe) {
  set_runtime_dir();
  expect((const char *const[]){"sh", "-c", "\"$0\" run -- sh -c 'echo out' 2>&1 | cat; echo done",
                               harness_fcachectl(), NULL},
         0, "done\n");
  ck_assert_uint_eq(leftovers(), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl");
  TCase *commands = tcase_create("commands"), *run = tcase_create("run");

  tcase_set_timeout(commands, 60);
  tcase_add_test(commands, stats_show_all_and_one);
  tcase_add_test(commands, stats_json_parses);
  tcase_add_test(commands, ping_measures);
  tcase_add_test(commands, list_selects_and_limits);
  tcase_add_test(commands, clear_says_how_many);
  tcase_add_test(commands, clear_makes_and_evicts_no_namespace);
  tcase_add_test(commands, clear_by_a_stranger_is_for_one_that_exists);
  tcase_add_test(commands, list_of_no_namespace_says_so);
  tcase_add_test(commands, trace_goes_on_and_off);
  tcase_add_test(commands, shutdown_ends_it);
  tcase_add_test(commands, no_daemon_is_3_and_names_the_sockets);
  tcase_add_test(commands, daemon_that_does_not_answer_is_3_too);
  tcase_add_test(commands, wrong_usage_is_2_and_help_0);
  tcase_add_test(commands, help_is_found_by_all_its_names);
  tcase_add_test(commands, wrong_sockets_are_wrong_usage);
  tcase_add_test(commands, arguments_do_not_steer_the_terminal);
  tcase_add_test(commands, stdout_that_is_full_is_a_failure);
  suite_add_tcase(suite, commands);
  tcase_set_timeout(run, 60);
  tcase_add_test(run, run_passes_the_status_on);
  tcase_add_loop_test(run, run_runs_its_command_without_a_daemon, 0, 2);
  tcase_add_test(run, run_hands_the_environment_over);
  tcase_add_test(run, run_prints_stats_on_stderr);
  tcase_add_test(run, run_killed_leaves_no_daemon);
  tcase_add_loop_test(run, run_passes_signals_on, 0, 5);
  tcase_add_test(run, run_is_ended_by_a_signal_at_the_start);
  tcase_add_test(run, run_leaves_an_ignored_signal_ignored);
  tcase_add_test(run, run_outlives_the_reader_of_its_stderr);
  tcase_add_test(run, run_outlives_its_daemon);
  tcase_add_test(run, run_holds_no_pipe);
  suite_add_tcase(suite, run);
  return harness_main(suite);
}
