/* Clients may have the trace written to regular files of the daemon's user below its trace
 * directory, and nowhere else, whatever they name and whatever is there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 20000u
#define VICTIM "what was there before\n"

static struct daemon served;
static char root[HARNESS_PATH_SIZE]; /* has `traces`, the trace directory, and `outside` */

struct path {
  char text[HARNESS_PATH_SIZE + 64];
};

static struct path path_of(const char *name) {
  struct path path;

  (void)snprintf(path.text, sizeof path.text, "%s/%s", root, name);
  return path;
}

static void write_victim(const char *name) {
  int fd = open(path_of(name).text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, VICTIM, sizeof VICTIM - 1), (ssize_t)sizeof VICTIM - 1);
  ck_assert_int_eq(close(fd), 0);
}

static void start(void) {
  harness_make_dir(root);
  ck_assert_int_eq(mkdir(path_of("outside").text, 0755), 0);
  write_victim("outside/victim");
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static void serve(void) {
  harness_start(&served, "--trace-dir", path_of("traces").text, NULL); /* and makes it */
}

static bool exists(const char *name) {
  return harness_exists(path_of(name).text);
}

static bool is_untouched(const char *name) {
  size_t size;
  char *text = harness_read_file(path_of(name).text, &size);
  bool same = text != NULL && strcmp(text, VICTIM) == 0;

  free(text);
  return same;
}

static int trace_on(const char *file, char **out, char **err) {
  const char *const argv[] = {harness_fcachectl(), "-S", served.socket, "trace", "on", file, NULL};

  return harness_run(argv, out, err);
}

static int ctl_trace_on_mkdir(const char *file) {
  const char *const argv[] = {harness_fcachectl(), "-S", served.socket, "trace", "on",
                              "--mkdir",           file, NULL};
  return harness_run(argv, NULL, NULL);
}

/* The request fails, says `why`, and leaves the trace as it was: off. */
static void expect_refused(const char *file, const char *why) {
  const char *const status[] = {harness_fcachectl(), "-S", served.socket, "trace", "status", NULL};
  char *out, *err;
  int got = trace_on(file, NULL, &err);

  ck_assert_msg(got == 1 && strstr(err, why) != NULL, "trace on %s: status %d: %s", file, got, err);
  free(err);
  ck_assert_int_eq(harness_run(status, &out, NULL), 0);
  ck_assert_int_eq(strncmp(out, "trace off", 9), 0);
  free(out);
}

static void put(struct fcache *cache, uint32_t number) {
  struct fcache_key key = library_key("op", "view", "prompt", number);

  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 0, 0), FCACHE_OK);
}

/* ---- accepted ---- */

static void expect_traced_to(const char *asked, const char *name) {
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  char *out;

  ck_assert_int_eq(trace_on(asked, &out, NULL), 0);
  ck_assert_msg(strstr(out, path_of(name).text) != NULL, "%s",
                out); /* the output has the whole path */
  free(out);
  put(cache, 1);
  library_wait_stat(cache, "trace_waiting", 0);
  ck_assert_uint_eq(trace_lines_read(path_of(name).text, NULL, NULL), 1);
  fcache_close(cache);
}

START_TEST(file_below_dir_accepted) {
  struct stat status;

  serve();
  expect_refused("./made//for/it",
                 "its folder is missing: make it, or let the daemon make it with");
  ck_assert(!exists("traces/made"));
  expect_traced_to("relative", "traces/relative");
  expect_traced_to(path_of("traces/absolute").text, "traces/absolute");
  ck_assert_int_eq(ctl_trace_on_mkdir("./made//for/it"), 0);
  expect_traced_to("./made//for/it", "traces/./made//for/it");
  ck_assert(exists("traces/made/for/it"));
  ck_assert_int_eq(stat(path_of("traces/relative").text, &status), 0);
  ck_assert_uint_eq(status.st_mode & 0777 & ~0640u, 0);
  ck_assert_uint_eq(status.st_uid, geteuid());
  /* An existing file of the daemon's user is appended to. */
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  ck_assert_int_eq(trace_on("relative", NULL, NULL), 0);
  put(cache, 2);
  library_wait_stat(cache, "trace_waiting", 0);
  ck_assert_uint_eq(trace_lines_read(path_of("traces/relative").text, NULL, NULL), 2);
  fcache_close(cache);
}
END_TEST

/* ---- rejected ---- */

START_TEST(path_outside_dir_rejected) {
  static const char elsewhere[] = "is not a file below the daemon's trace directory";

  serve();
  expect_refused("/tmp/trace",
                 "or one relative to that directory (not to yours), without \"..\"; a "
                 "service with PrivateTmp=yes has a /tmp of its own");
  expect_refused("sub/new", "its folder is missing");
  expect_refused(path_of("outside/new").text, elsewhere);
  expect_refused(path_of("outside/victim").text, elsewhere);
  expect_refused(path_of("outside/made/new").text, elsewhere);
  expect_refused(path_of("traces/../outside/victim").text, elsewhere);
  expect_refused("../outside/victim", elsewhere);
  expect_refused("sub/../../outside/victim", elsewhere);
  expect_refused("..", elsewhere);
  expect_refused("sub/..", elsewhere);
  expect_refused("sub/", elsewhere);
  expect_refused(".", elsewhere);
  expect_refused(path_of("traces").text, elsewhere);
  expect_refused(path_of("traces/").text, elsewhere);
  expect_refused(path_of("traces-and-more").text, elsewhere);
  ck_assert(is_untouched("outside/victim"));
  ck_assert(!exists("outside/new") && !exists("outside/made") && !exists("traces-and-more"));
  ck_assert(!exists("traces/sub"));
}
END_TEST

START_TEST(symbolic_link_rejected) {
  static const char is_link[] = "is a symbolic link";

  serve();
  ck_assert_int_eq(symlink(path_of("outside/victim").text, path_of("traces/link").text), 0);
  ck_assert_int_eq(symlink(path_of("outside/new").text, path_of("traces/dangling").text), 0);
  ck_assert_int_eq(symlink(path_of("outside").text, path_of("traces/dir").text), 0);
  ck_assert_int_eq(mkdir(path_of("traces/sub").text, 0755), 0);
  ck_assert_int_eq(symlink("../..", path_of("traces/sub/up").text), 0);
  ck_assert_int_eq(symlink("own", path_of("traces/to-own").text), 0); /* not even to a file below */
  write_victim("traces/own");
  expect_refused("link", is_link);
  expect_refused("dangling", is_link);
  expect_refused("dir/victim", is_link);
  expect_refused("dir/made/new", is_link);
  expect_refused("sub/up/outside/victim", is_link);
  expect_refused("to-own", is_link);
  expect_refused(path_of("traces/link").text, is_link);
  ck_assert(is_untouched("outside/victim") && is_untouched("traces/own"));
  ck_assert(!exists("outside/new") && !exists("outside/made"));
}
END_TEST

START_TEST(hard_linked_file_rejected) {
  serve();
  ck_assert_int_eq(link(path_of("outside/victim").text, path_of("traces/link").text), 0);
  expect_refused("link", "it has other names (hard links)");
  ck_assert(is_untouched("outside/victim"));
  ck_assert_int_eq(unlink(path_of("outside/victim").text), 0);
  ck_assert_int_eq(trace_on("link", NULL, NULL), 0); /* it is the only name now */
}
END_TEST

START_TEST(file_of_other_user_rejected) {
  if (geteuid() != 0) {
    printf("skipped: only root can give files away\n");
    return;
  }
  serve();
  write_victim("traces/theirs");
  ck_assert_int_eq(chmod(path_of("traces/theirs").text, 0666), 0);
  ck_assert_int_eq(chown(path_of("traces/theirs").text, 54321, 54321), 0);
  expect_refused("theirs", "it belongs to another user than the daemon's");
  ck_assert(is_untouched("traces/theirs"));
}
END_TEST

START_TEST(special_file_rejected) {
  serve();
  ck_assert_int_eq(mkfifo(path_of("traces/fifo").text, 0600), 0);
  ck_assert_int_eq(mkdir(path_of("traces/dir").text, 0700), 0);
  expect_refused("fifo", strerror(ENXIO)); /* it has no reader, and open() does not block */
  int reader = open(path_of("traces/fifo").text, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  expect_refused("fifo", "it is not a regular file");
  expect_refused("dir", strerror(EISDIR));
  write_victim("traces/file");
  expect_refused("file/new", "or not a directory");
  ck_assert_int_eq(close(reader), 0);
  ck_assert(is_untouched("traces/file"));
}
END_TEST

/* ---- which directory ---- */

START_TEST(no_dir_any_path_rejected) {
  harness_start(&served, NULL);
  expect_refused(path_of("outside/new").text,
                 "start it with --trace-dir=DIR, or with --trace=FILE");
  expect_refused("new", "--trace-dir=DIR");
  ck_assert(!exists("outside/new"));
}
END_TEST

static void turn_off(void) {
  const char *const argv[] = {harness_fcachectl(), "-S", served.socket, "trace", "off", NULL};

  ck_assert_int_eq(harness_run(argv, NULL, NULL), 0);
}

START_TEST(dir_of_trace_at_start_used) {
  harness_start(&served, "--trace", path_of("made/trace").text, NULL);
  turn_off();
  expect_traced_to("other", "made/other");
  expect_traced_to(path_of("made/trace").text, "made/trace");
  turn_off();
  expect_refused(path_of("outside/victim").text, "below the daemon's trace directory");
  ck_assert(is_untouched("outside/victim"));
}
END_TEST

/* The command line may name anything. Only the directory of a regular file becomes the trace
 * directory. */
START_TEST(dir_of_link_pipe_or_device_unused) {
  struct path ways[] = {path_of("outside/link"), path_of("outside/fifo"), {"/dev/null"}};

  ck_assert_int_eq(symlink("linked", ways[0].text), 0);
  ck_assert_int_eq(mkfifo(ways[1].text, 0600), 0);
  int reader = open(ways[1].text, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  for (size_t i = 0; i < 3; i++) {
    harness_start(&served, "--trace", ways[i].text, NULL);
    turn_off();
    expect_refused("new", "has no trace directory");
    ck_assert(!exists("outside/new"));
    ck_assert_int_eq(harness_stop(&served), 0);
  }
  ck_assert_int_eq(close(reader), 0);
}
END_TEST

START_TEST(unopenable_dir_fails_start) {
  struct path socket = path_of("s"), dir = path_of("outside/victim");
  const char *const argv[] = {harness_fcached(), "--socket", socket.text,
                              "--trace-dir",     dir.text,   NULL};
  char *err;

  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, dir.text));
  ck_assert_ptr_nonnull(strstr(err, "the trace directory"));
  ck_assert(!exists("s") && !exists("s.lock"));
  free(err);
}
END_TEST

/* The directory is the one that was opened, whatever has its name later. */
START_TEST(moved_dir_stays_open) {
  serve();
  ck_assert_int_eq(rename(path_of("traces").text, path_of("moved").text), 0);
  ck_assert_int_eq(symlink("outside", path_of("traces").text), 0);
  ck_assert_int_eq(trace_on("victim", NULL, NULL), 0);
  ck_assert(exists("moved/victim"));
  ck_assert(is_untouched("outside/victim"));
}
END_TEST

/* ---- rotation ---- */

static bool is_logged(void *text) {
  return harness_log_has(&served, text);
}

/* A file that a client named is opened again as it was opened first. */
START_TEST(rotation_of_client_file_rejects_link) {
  serve();
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  ck_assert_int_eq(trace_on("trace", NULL, NULL), 0);
  ck_assert_int_eq(rename(path_of("traces/trace").text, path_of("traces/trace.1").text), 0);
  ck_assert_int_eq(symlink("../outside/victim", path_of("traces/trace").text), 0);
  ck_assert_int_eq(kill(served.pid, SIGHUP), 0);
  ck_assert(harness_wait_until(is_logged, (char[]){"the trace stays in its old file"}, TIMEOUT_MS));
  put(cache, 1);
  library_wait_stat(cache, "trace_waiting", 0);
  ck_assert(is_untouched("outside/victim"));
  ck_assert_uint_eq(trace_lines_read(path_of("traces/trace.1").text, NULL, NULL), 1);
  ck_assert_int_eq(unlink(path_of("traces/trace").text), 0);
  ck_assert_int_eq(kill(served.pid, SIGHUP), 0);
  ck_assert(harness_wait_until(is_logged, (char[]){"the trace was opened again"}, TIMEOUT_MS));
  ck_assert(exists("traces/trace"));
  fcache_close(cache);
}
END_TEST

/* A link that the command line named is followed again. */
START_TEST(rotation_of_start_file_follows_link) {
  ck_assert_int_eq(symlink("first", path_of("current").text), 0);
  harness_start(&served, "--trace", path_of("current").text, NULL);
  ck_assert(exists("first"));
  ck_assert_int_eq(unlink(path_of("current").text), 0);
  ck_assert_int_eq(symlink("second", path_of("current").text), 0);
  ck_assert_int_eq(kill(served.pid, SIGHUP), 0);
  ck_assert(harness_wait_until(is_logged, (char[]){"the trace was opened again"}, TIMEOUT_MS));
  ck_assert(exists("second"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trace_dir");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, file_below_dir_accepted);
  tcase_add_test(tcase, path_outside_dir_rejected);
  tcase_add_test(tcase, symbolic_link_rejected);
  tcase_add_test(tcase, hard_linked_file_rejected);
  tcase_add_test(tcase, file_of_other_user_rejected);
  tcase_add_test(tcase, special_file_rejected);
  tcase_add_test(tcase, no_dir_any_path_rejected);
  tcase_add_test(tcase, dir_of_trace_at_start_used);
  tcase_add_test(tcase, dir_of_link_pipe_or_device_unused);
  tcase_add_test(tcase, unopenable_dir_fails_start);
  tcase_add_test(tcase, moved_dir_stays_open);
  tcase_add_test(tcase, rotation_of_client_file_rejects_link);
  tcase_add_test(tcase, rotation_of_start_file_follows_link);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
