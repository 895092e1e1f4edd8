/* The commands of fcachectl that read and change entries, with a real daemon. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/child_process.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"

static struct daemon daemon_;

/* Puts `n` entries and hits the first of them twice. */
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
  ctl_start_daemon(&daemon_);
}

START_TEST(stats_of_all_and_one_namespace_printed) {
  start();
  work("one", 8);
  work("two", 1);
  ctl_expect_part(CTL("stats"), "4 / 13 (30.77%)");
  ctl_expect_part(CTL("stats"), "2 / 10 (20.00%)");
  ctl_expect_part(CTL("stats", "--namespace", "two"), "2 / 3 (66.67%)");
  ctl_expect_status(CTL("stats", "--namespace", "none"), 1, NULL, NULL);
  ctl_expect_part(CTL("stats", "--watch", "--count", "1"), "LOOKUPS/S");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

static bool has_a_line(void *fd) {
  struct stat st;

  return fstat(*(int *)fd, &st) == 0 && st.st_size > 0;
}

/* The second line is of another daemon. */
START_TEST(stats_watch_continues_with_next_daemon) {
  char lines[4096] = "";
  int fd = memfd_create("lines", MFD_CLOEXEC);
  pid_t pid;
  char *at = lines;

  start();
  pid = harness_spawn(CTL("stats", "--watch", "--count", "2"), fd, -1);
  ck_assert(harness_wait_until(has_a_line, &fd, 20000)); /* the header: the first reading is done */
  harness_kill9(&daemon_);
  harness_start(&daemon_, NULL);
  ck_assert_int_eq(harness_wait(pid, 20000), 0);
  ck_assert_int_gt(pread(fd, lines, sizeof lines - 1, 0), 0);
  for (int i = 0; i < 3; i++, at++) /* the header and two lines */
    ck_assert_ptr_nonnull(at = strchr(at, '\n'));
  ck_assert_str_eq(at, "");
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(stats_json_is_valid) {
  const char *name;
  json_t *all, *daemon;

  start();
  work("one", 8);
  all = ctl_json(CTL("stats", "--json"));
  daemon = json_object_get(all, "daemon");
  ck_assert_int_eq(json_integer_value(json_object_get(daemon, "cache_hits")), 2);
  ck_assert(json_is_real(json_object_get(daemon, "saved_wall_s")));
  ck_assert_int_eq(json_integer_value(json_object_get(daemon, "pid")), daemon_.pid);
  name = json_string_value(
      json_object_get(json_array_get(json_object_get(all, "namespaces"), 0), "namespace"));
  ck_assert_str_eq(name, "one");
  json_decref(all);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(ping_prints_quantiles) {
  start();
  ctl_expect_part(CTL("ping", "--count", "50"), "50 round trips");
  ctl_expect_part(CTL("ping", "-c", "50"), "p99.9 ");
  ctl_expect_part(CTL("ping", "-c", "3", "--json"), "\"count\": 3");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(list_filters_and_limits) {
  start();
  work("one", 5000); /* more than a page */
  work("two", 3);
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json", "--limit", "0")), 5003);
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json")), 100);
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json", "--limit", "4321")), 4321);
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json", "--namespace", "two")), 3);
  ck_assert_uint_eq(ctl_array_size(CTL("list", "-j", "-l0", "-n", "one", "--view", "ft")), 2500);
  ck_assert_uint_eq(ctl_array_size(CTL("list", "-j", "--op", "another")), 0);
  ctl_expect_part(CTL("list", "--limit", "1"), "NAMESPACE");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(clear_prints_number_of_entries) {
  start();
  work("one", 10);
  work("two", 10);
  ctl_expect_part(CTL("clear", "--namespace", "one", "--view", "ft"), "removed 5 entries\n");
  ctl_expect_part(CTL("clear", "--namespace", "one", "--op", "another"), "removed 0 entries\n");
  ctl_expect_part(CTL("clear", "--namespace", "one", "--local"), "removed 5 entries\n");
  ctl_expect_part(CTL("clear", "--all"), "removed 10 entries\n");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* A wrong name is named, with those that there are. */
START_TEST(clear_of_nothing_names_what_exists) {
  start();
  work("one", 10);
  work("two", 10);
  ctl_expect(CTL("clear", "--namespace", "oen"),
             "removed 0 entries: the daemon has no namespace \"oen\"\n"
             "did you mean \"one\"?\nnamespaces: one, two\n");
  ctl_expect(CTL("clear", "--namespace", "one", "--view", "bse"),
             "removed 0 entries\ndid you mean \"base\"?\nviews: base, ft\n");
  ctl_expect(CTL("clear", "--all", "--op", "another", "--dry-run"),
             "would remove 0 entries\nops: op\n");
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json")), 20);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(clear_dry_run_removes_nothing) {
  start();
  work("one", 10);
  work("two", 10);
  ctl_expect_part(CTL("clear", "--namespace", "one", "--dry-run"), "one");
  ctl_expect_part(CTL("clear", "--namespace", "one", "--view", "ft", "--dry-run"),
                  "would remove 5 entries, ");
  ctl_expect_part(CTL("clear", "--all", "--dry-run"), "would remove 20 entries, ");
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json")), 20);
  ctl_expect(CTL("clear", "--all"), "removed 20 entries\n");
  ctl_expect(CTL("clear", "--all", "--dry-run"), "would remove 0 entries\n");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(delete_by_prompt_and_by_hash) {
  start();
  work("one", 10);
  ctl_expect_status(CTL("delete", "-n", "one", "-o", "op", "-v", "base"), 2, "",
                    "give either --prompt TEXT or --hash DIGITS");
  ctl_expect_status(CTL("delete", "-n", "one", "-p", "x"), 2, "", "give the whole key");
  ctl_expect_status(CTL("delete", "-n", "one", "-o", "a", "-v", "b", "-H", "12"), 2, "",
                    "give the 32 hex digits");
  json_t *list = ctl_json(CTL("list", "--json", "--limit", "1")), *one = json_array_get(list, 0);
  char top_k[24];
  (void)snprintf(top_k, sizeof top_k, "%lld",
                 (long long)json_integer_value(json_object_get(one, "top_k")));
  const char *op = json_string_value(json_object_get(one, "op"));
  const char *view = json_string_value(json_object_get(one, "view"));
  const char *hash = json_string_value(json_object_get(one, "prompt_hash"));
  const char *const *argv =
      CTL("delete", "-n", "one", "-o", op, "-v", view, "-k", top_k, "--hash", hash);
  ctl_expect(argv, "deleted 1 entry\n");
  ctl_expect(argv, "deleted 0 entries: there was none of this key\n");
  ctl_expect(CTL("delete", "-n", "none", "-o", op, "-v", view, "-p", "x", "--local"),
             "deleted 0 entries: there was none of this key\n");
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json")), 9);
  json_decref(list);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* With --max-namespaces 1, a new namespace would evict the other. */
START_TEST(clear_unknown_namespace_creates_none) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, "--max-namespaces", "1", NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
  work("one", 10);
  ctl_expect(CTL("clear", "--namespace", "typo"),
             "removed 0 entries: the daemon has no namespace \"typo\"\nnamespaces: one\n");
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json", "--namespace", "one")), 10);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* fcachectl as another user, who is no administrator. */
struct other_user {
  const char *const *argv;
  int program_fd, out_fd; /* opened first: the other user may not reach the program */
};

static int become_ctl(void *arg) {
  struct other_user *other = arg;

  CHILD_EXPECT(dup2(other->out_fd, STDOUT_FILENO) >= 0);
  CHILD_EXPECT(fexecve(other->program_fd, (char *const *)(uintptr_t)other->argv, environ) == 0);
  return 0; /* not reached */
}

static void expect_by_other_user(const char *const argv[], int status, const char *wants) {
  static const struct child_user user = {.uid = 54321, .gid = 54322}; /* not in /etc/passwd */
  struct other_user other = {.argv = argv,
                             .program_fd = open(argv[0], O_RDONLY),
                             .out_fd = memfd_create("stdout", MFD_CLOEXEC)};
  char path[64], *out;
  int got;

  ck_assert(other.program_fd >= 0 && other.out_fd >= 0);
  got = child_run(become_ctl, &other, &user);
  snprintf(path, sizeof path, "/proc/self/fd/%d", other.out_fd);
  out = harness_read_file(path, NULL);
  if (got != status || !out || strcmp(out, wants) != 0)
    ck_abort_msg("%s by another user: status %d, not %d; it printed: %s", argv[1], got, status,
                 out);
  free(out);
  close(other.program_fd);
  close(other.out_fd);
}

START_TEST(clear_by_other_user_refused) {
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
  ck_assert_int_eq(chmod(root, 0711), 0); /* lets other users reach the socket */
  ck_assert_int_eq(chmod(daemon_.dir, 0711), 0);
  work("one", 10);
  expect_by_other_user(CTL("clear", "--all"), 1, "");
  expect_by_other_user(
      CTL("clear", "--namespace", "typo"), 0,
      "removed 0 entries: the daemon has no namespace \"typo\"\nnamespaces: one\n");
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json", "--namespace", "one")), 10);
  expect_by_other_user(CTL("clear", "--namespace", "one"), 1, ""); /* root created it */
  ck_assert_uint_eq(ctl_array_size(CTL("list", "--json", "--namespace", "one")), 10);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(list_unknown_namespace_is_an_error) {
  start();
  work("one", 3);
  ctl_expect_error(
      CTL("list", "--namespace", "typo"),
      "fcachectl: the daemon has no namespace \"typo\": see fcachectl namespaces\n"); /* as stats
                                                                                         does */
  ctl_expect(CTL("list", "--json", "--namespace", "typo"), "[]\n");
  ctl_expect(CTL("list", "--namespace", "one", "--op", "another"), "no matching entries\n");
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

START_TEST(trace_starts_and_stops) {
  char dir[HARNESS_PATH_SIZE], file[200], *text;

  harness_make_dir(dir);
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, "--trace-dir", dir, NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
  snprintf(file, sizeof file, "%s/made/trace.jsonl", dir);
  ctl_expect_part(CTL("trace", "status"), "trace off");
  ctl_expect_part(CTL("trace", "on", "--mkdir", "made/trace.jsonl"),
                  file); /* below the daemon's trace directory */
  work("one", 4);
  ctl_expect_part(CTL("trace", "status"), "trace on");
  ctl_expect_part(CTL("trace", "off"), "trace off");
  ctl_expect_status(CTL("trace", "on", "/proc/no/such"), 1, NULL, NULL);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
  text = harness_read_file(file, NULL);
  ck_assert_ptr_nonnull(text);
  ck_assert_ptr_nonnull(strstr(text, "\"hit\""));
  free(text);
}
END_TEST

START_TEST(shutdown_stops_the_daemon) {
  start();
  ctl_expect_part(CTL("shutdown"), "shutting down");
  ck_assert_int_eq(harness_wait(daemon_.pid, 10000), 0);
  daemon_.pid = 0;
  ck_assert_int_ne(access(daemon_.socket, F_OK), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_commands");
  TCase *tests = tcase_create("ctl_commands");

  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, stats_of_all_and_one_namespace_printed);
  tcase_add_test(tests, stats_watch_continues_with_next_daemon);
  tcase_add_test(tests, stats_json_is_valid);
  tcase_add_test(tests, ping_prints_quantiles);
  tcase_add_test(tests, list_filters_and_limits);
  tcase_add_test(tests, clear_prints_number_of_entries);
  tcase_add_test(tests, clear_of_nothing_names_what_exists);
  tcase_add_test(tests, clear_dry_run_removes_nothing);
  tcase_add_test(tests, delete_by_prompt_and_by_hash);
  tcase_add_test(tests, clear_unknown_namespace_creates_none);
  tcase_add_test(tests, clear_by_other_user_refused);
  tcase_add_test(tests, list_unknown_namespace_is_an_error);
  tcase_add_test(tests, trace_starts_and_stops);
  tcase_add_test(tests, shutdown_stops_the_daemon);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
