/* Starts without a resource: marks of dead owners, processes, threads, descriptors, epoll watches,
 * disk space. The daemon serves without the feature, or exits with an error that names the
 * resource. It never ends by a signal. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/support/filtered.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static void expect_in_log(const char *text) {
  char *log = harness_log(&served);

  ck_assert_msg(strstr(log, text) != NULL, "no \"%s\" in %s", text, log);
  free(log);
}

/* ---- no mark of a dead owner ---- */

/* Stores a key and reads it twice. Returns the path of the second read. */
static void store_and_read(struct fcache *cache, uint64_t region_hits) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  char *text;

  library_put_text(cache, &key, "old");
  for (int i = 0; i < 2; i++) {
    text = library_get_text(cache, &key);
    ck_assert_str_eq(text, "old");
    free(text);
  }
  ck_assert_uint_eq(library_stat(cache, "region_shared"), region_hits > 0);
}

/* After the daemon's death the next one has another value: no reader returns the old one. */
static void die_and_read(void) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  struct fcache *first = library_open(served.socket, "start", NULL, 0);

  store_and_read(first, 0);
  harness_kill9(&served);
  ck_assert_int_eq(fcache_get(first, &key, FCACHE_UNRECORDED, &value), FCACHE_MISS);
  harness_start(&served, NULL);
  struct fcache *second = library_open(served.socket, "start", NULL, 0);
  library_put_text(second, &key, "new");
  int rc;
  do { /* until its back-off lets it connect */
    rc = fcache_get(first, &key, FCACHE_UNRECORDED, &value);
    ck_assert(rc == FCACHE_MISS || rc == FCACHE_OK);
  } while (rc == FCACHE_MISS);
  ck_assert_uint_eq(value.size, 3);
  ck_assert_int_eq(memcmp(value.data, "new", 3), 0);
  fcache_value_free(&value);
  fcache_close(first);
  fcache_close(second);
}

START_TEST(start_without_robust_futexes_sends_values) {
  if (!filtered_use(_i == 0 ? FILTERED_NO_MARKS : FILTERED_NO_ROBUST))
    return;
  harness_start(&served, NULL);
  expect_in_log("does not mark a dead process's lock");
  die_and_read();
}
END_TEST

START_TEST(start_under_emulator_sends_values) {
  struct utsname name;
  char command[256];

  ck_assert_int_eq(uname(&name), 0);
  (void)snprintf(command, sizeof command, "command -v qemu-%s >/dev/null", name.machine);
  if (SANITIZER_SLOW || harness_run((const char *const[]){"sh", "-c", command, NULL}, NULL, NULL)) {
    printf("skipped: %s\n", SANITIZER_SLOW ? "a sanitizer build" : "no qemu-user");
    return;
  }
  (void)snprintf(command, sizeof command, "exec qemu-%s \"$REAL\" \"$@\"", name.machine);
  (void)filtered_use_shell(command);
  harness_start(&served, NULL);
  expect_in_log("does not mark a dead process's lock");
  die_and_read();
  harness_kill9(&served); /* qemu 7.2 itself fails over the signal for a clean stop */
}
END_TEST

START_TEST(start_without_fork_sends_values) {
  if (SANITIZER_SLOW) {
    printf("skipped: the leak sanitizer makes a process of its own at the end\n");
    return;
  }
  if (!filtered_use(FILTERED_NO_FORKS))
    return;
  harness_start(&served, NULL);
  expect_in_log("cannot test whether");
  expect_in_log("TasksMax=");
  die_and_read();
}
END_TEST

START_TEST(start_child_leaves_no_descriptor) {
  char path[64], *children;

  harness_start(&served, NULL);
  struct fcache *cache = library_open(served.socket, "start", NULL, 0);
  store_and_read(cache, 1);
  (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)served.pid, (int)served.pid);
  children = harness_read_file(path, NULL);
  if (children)
    ck_assert_str_eq(children, "");
  else
    printf("skipped: no %s\n", path);
  free(children);
  fcache_close(cache);
}
END_TEST

/* With SIGCHLD ignored the kernel reaps the child, and waitpid fails. */
START_TEST(start_with_ignored_sigchld_uses_the_region) {
  (void)filtered_use_shell("trap '' CHLD; exec \"$REAL\" \"$@\"");
  harness_start(&served, NULL);
  struct fcache *cache = library_open(served.socket, "start", NULL, 0);
  store_and_read(cache, 1);
  fcache_close(cache);
}
END_TEST

/* ---- no threads ---- */

START_TEST(start_without_threads_serves_without_trace) {
  char *err;

  if (SANITIZER_SLOW) {
    printf("skipped: a sanitizer makes a thread of its own\n");
    return;
  }
  if (!filtered_use(FILTERED_NO_THREADS))
    return;
  harness_start(&served, NULL);
  expect_in_log("traces are not possible");
  char trace[HARNESS_PATH_SIZE + 8];
  (void)snprintf(trace, sizeof trace, "%s/t", served.dir);
  const char *const on[] = {harness_fcachectl(), "-S", served.socket, "trace", "on", trace, NULL};
  ck_assert_int_eq(harness_run(on, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "TasksMax="));
  ck_assert_ptr_nonnull(strstr(err, "ulimit -u"));
  free(err);
  struct fcache *cache = library_open(served.socket, "start", NULL, 0);
  store_and_read(cache, 1);
  ck_assert_uint_eq(library_stat(cache, "trace_on"), 0);
  fcache_close(cache);
}
END_TEST

START_TEST(start_without_threads_and_with_trace_fails) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 8], trace[HARNESS_PATH_SIZE + 8], *err;

  if (SANITIZER_SLOW || !filtered_use(FILTERED_NO_THREADS))
    return;
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/s", dir);
  (void)snprintf(trace, sizeof trace, "%s/t", dir);
  const char *const argv[] = {harness_fcached(), "--socket", path, "--trace", trace, NULL};
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "cannot create the threads that write the trace"));
  ck_assert(!harness_exists(path) && !harness_exists(trace));
  free(err);
}
END_TEST

/* ---- descriptors ---- */

static const char *const closings[] = {"<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"};

static bool answers(void *socket) {
  const char *const argv[] = {harness_fcachectl(), "-S", socket, "ping", "--count=1", NULL};

  return harness_run(argv, NULL, NULL) == 0;
}

/* No service manager: its socket would take the first free number. */
START_TEST(start_with_closed_streams_serves) {
  char command[128];

  harness_make_dir(served.dir);
  (void)snprintf(served.socket, sizeof served.socket, "%.90s/s", served.dir);
  (void)snprintf(command, sizeof command, "exec \"$0\" --socket \"$1\" %s", closings[_i]);
  const char *const argv[] = {"sh", "-c", command, harness_fcached(), served.socket, NULL};
  served.pid = harness_spawn(argv, -1, -1);
  ck_assert(harness_wait_until(answers, served.socket, 20000));
  struct fcache *cache = library_open(served.socket, "start", NULL, 0);
  store_and_read(cache, 1);
  fcache_close(cache); /* stop() expects status 0 */
}
END_TEST

START_TEST(run_with_closed_streams_works) {
  char command[256];

  (void)snprintf(command, sizeof command, "exec \"$0\" run --no-stats -- sh -c 'exit 7' %s",
                 closings[_i]);
  const char *const argv[] = {"sh", "-c", command, harness_fcachectl(), NULL};
  ck_assert_int_eq(harness_run(argv, NULL, NULL), 7);
}
END_TEST

/* Every start fails with an error: first for lack of descriptors, finally for its trace. */
START_TEST(start_with_few_descriptors_fails) {
  char dir[HARNESS_PATH_SIZE], command[HARNESS_PATH_SIZE + 96], *err;
  bool other = false, few = false;

  harness_make_dir(dir);
  for (unsigned n = 5; n <= 40; n++) {
    (void)snprintf(command, sizeof command,
                   "ulimit -n %u; exec \"$0\" --socket %s/s --max-clients 4 --trace /", n, dir);
    const char *const argv[] = {"sh", "-c", command, harness_fcached(), NULL};
    int status = harness_run(argv, NULL, &err);
    ck_assert_msg(status == 1, "with %u descriptors: status %d, %s", n, status, err);
    other = other || strstr(err, "the trace file / cannot be");
    few = few || strstr(err, "ulimit -n");
    free(err);
  }
  ck_assert(few && other);
}
END_TEST

/* ---- descriptors that the kernel does not watch ---- */

/* The `nth` number that is free in the daemon, as it runs without a filter: the next client's
 * socket has the first, and the pidfd of its process the second. */
static unsigned free_descriptor(unsigned nth) {
  char path[64];
  unsigned fd = 0;

  harness_start(&served, NULL);
  for (;; fd++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%u", (int)served.pid, fd);
    if (!harness_exists(path) && nth-- == 0)
      break;
  }
  ck_assert_int_eq(harness_stop(&served), 0);
  return fd;
}

static bool refuse_watches(unsigned from) {
  char lack[32];

  (void)snprintf(lack, sizeof lack, FILTERED_NO_WATCHES "%u", from);
  return filtered_use(lack);
}

static void expect_once_in_log(const char *text) {
  char *log = harness_log(&served);
  const char *first = strstr(log, text);

  ck_assert_msg(first != NULL && strstr(first + 1, text) == NULL, "not once \"%s\": %s", text, log);
  free(log);
}

START_TEST(client_socket_not_watched_is_refused) {
  char *err;

  if (!refuse_watches(free_descriptor(0)))
    return;
  harness_start(&served, NULL);
  const char *const ping[] = {harness_fcachectl(), "-S", served.socket, "ping", "--count=1", NULL};
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(harness_run(ping, NULL, &err), 1);
    ck_assert_msg(strstr(err, "raise fs.epoll.max_user_watches") != NULL, "%s", err);
    free(err);
  }
  expect_once_in_log("a client is refused: the kernel watches no more");
}
END_TEST

START_TEST(client_pidfd_not_watched_is_served) {
  if (!refuse_watches(free_descriptor(1)))
    return;
  harness_start(&served, NULL);
  for (int i = 0; i < 2; i++) {
    struct fcache *cache = library_open(served.socket, "start", NULL, 0);
    store_and_read(cache, 1);
    fcache_close(cache);
  }
  expect_once_in_log("process is not watched");
}
END_TEST

/* Every start fails with an error, with the most watches for its trace. */
START_TEST(start_with_few_watches_fails) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 8], fcached[4096], *err;
  unsigned end = free_descriptor(0), few = 0, other = 0;

  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/s", dir);
  (void)snprintf(fcached, sizeof fcached, "%s", harness_fcached());
  for (unsigned from = 3; from <= end; from++) {
    if (!refuse_watches(from))
      return;
    const char *const argv[] = {harness_fcached(), "--socket", path, "--trace", "/", NULL};
    int status = harness_run(argv, NULL, &err);
    ck_assert_msg(status == 1, "watches below %u: status %d, %s", from, status, err);
    other += strstr(err, "the trace file / cannot be") != NULL;
    few += strstr(err, "fs.epoll.max_user_watches") != NULL;
    free(err);
    (void)setenv("FCACHED", fcached, 1);
  }
  ck_assert_uint_gt(other, 0);
  ck_assert_uint_gt(few, 10);
  ck_assert_uint_eq(few + other, end - 2);
}
END_TEST

/* ---- no room on the disk ---- */

/* `fcached`: a copy whose log has room. */
static void serve_without_pid(const char *fcached) {
  char *err;

  struct fcache *cache = library_open(served.socket, "start", NULL, 0);
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  library_put_text(cache, &key, "value");
  char *text = library_get_text(cache, &key);
  ck_assert_str_eq(text, "value");
  free(text);
  fcache_close(cache);
  const char *const again[] = {fcached, "--socket", served.socket, NULL};
  ck_assert_int_eq(harness_run(again, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "unknown pid"));
  free(err);
}

START_TEST(start_at_file_size_limit_lacks_only_the_pid) {
  if (SANITIZER_SLOW) {
    printf("skipped: the thread sanitizer makes a file of its own\n");
    return;
  }
  const char *fcached = filtered_use_shell("ulimit -f 0; exec \"$REAL\" \"$@\"");

  harness_start(&served, NULL);
  serve_without_pid(fcached);
}
END_TEST

static bool fill_disk(const char *dir) {
  char path[HARNESS_PATH_SIZE + 8], block[4096] = {0};
  FILE *file;

  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("none", dir, "tmpfs", 0, "size=64k") < 0)
    return false;
  (void)snprintf(path, sizeof path, "%s/x", dir);
  file = fopen(path, "we");
  ck_assert_ptr_nonnull(file);
  setbuf(file, NULL);
  while (fwrite(block, sizeof block, 1, file) == 1)
    ;
  ck_assert_int_eq(errno, ENOSPC);
  (void)fclose(file);
  return true;
}

/* The mount is private to this test's process. */
START_TEST(start_on_full_disk_lacks_only_the_pid) {
  char *out;

  harness_make_dir(served.dir);
  if (!fill_disk(served.dir)) {
    printf("skipped: no file system can be mounted: %s\n", strerror(errno));
    return;
  }
  (void)snprintf(served.socket, sizeof served.socket, "%.90s/s", served.dir);
  (void)snprintf(served.log, sizeof served.log, "/dev/null");
  harness_start(&served, NULL);
  serve_without_pid(harness_fcached());
  (void)setenv("XDG_RUNTIME_DIR", served.dir, 1);
  const char *const run[] = {harness_fcachectl(),
                             "run",
                             "--no-stats",
                             "--",
                             "sh",
                             "-c",
                             "test -S \"$FCACHE_SOCKET\" && echo ran",
                             NULL};
  ck_assert_int_eq(harness_run(run, &out, NULL), 0);
  ck_assert_str_eq(out, "ran\n");
  free(out);
}
END_TEST

int main(int argc, char **argv) {
  filtered_become(argc, argv);
  Suite *suite = suite_create("start");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_loop_test(tcase, start_without_robust_futexes_sends_values, 0, 2);
  tcase_add_test(tcase, start_under_emulator_sends_values);
  tcase_add_test(tcase, start_without_fork_sends_values);
  tcase_add_test(tcase, start_child_leaves_no_descriptor);
  tcase_add_test(tcase, start_with_ignored_sigchld_uses_the_region);
  tcase_add_test(tcase, start_without_threads_serves_without_trace);
  tcase_add_test(tcase, start_without_threads_and_with_trace_fails);
  tcase_add_loop_test(tcase, start_with_closed_streams_serves, 0,
                      sizeof closings / sizeof closings[0]);
  tcase_add_loop_test(tcase, run_with_closed_streams_works, 0,
                      sizeof closings / sizeof closings[0]);
  tcase_add_test(tcase, start_with_few_descriptors_fails);
  tcase_add_test(tcase, client_socket_not_watched_is_refused);
  tcase_add_test(tcase, client_pidfd_not_watched_is_served);
  tcase_add_test(tcase, start_with_few_watches_fails);
  tcase_add_test(tcase, start_at_file_size_limit_lacks_only_the_pid);
  tcase_add_test(tcase, start_on_full_disk_lacks_only_the_pid);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
