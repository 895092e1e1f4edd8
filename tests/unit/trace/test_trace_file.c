/* Whole lines in the file: lines that were torn or cut, and disks without space. */
#include "daemon/trace/trace_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/runner.h"
#include "tests/support/trace_fixture.h"

START_TEST(torn_line_ended_first) {
  int fd = open(tf.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_eq(write(fd, "{\"ts\": 17", 9), 9);
  close(fd);
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  trace_fixture_write(0, 1);
  trace_fixture_close();
  char *text = trace_fixture_read(tf.path);
  ck_assert_int_eq(strncmp(text, "{\"ts\": 17\n{\"ts\": 1700000000.000000, ", 36), 0);
  free(text);
}
END_TEST

/* In a child: a file that may grow to `limit` bytes only takes whole lines. */
static int limited_child(void) {
  static const char text[] = "first\nsecond\nthird\n";
  struct trace_file file;
  struct stat st;
  size_t written;
  struct rlimit limit = {16, RLIM_INFINITY};
  if (trace_file_open(&file, NULL, fc_str_of(tf.path), &tf.reason) < 0)
    return 1;
  if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
    return 2;
  int error = trace_file_write(&file, text, sizeof text - 1, &written);
  if (error != EFBIG || written != 13 || fstat(file.fd, &st) < 0 || st.st_size != 13)
    return 3;
  limit.rlim_cur = RLIM_INFINITY;
  if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
    return 4;
  if (trace_file_write(&file, text + written, sizeof text - 1 - written, &written) != 0 ||
      written != 6)
    return 5;
  return trace_file_deinit(&file) == 0 ? 0 : 6;
}

START_TEST(short_write_cut_to_whole_lines) {
  int status;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(limited_child());
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  char *text = trace_fixture_read(tf.path);
  ck_assert_str_eq(text, "first\nsecond\nthird\n");
  free(text);
}
END_TEST

/* A pipe: the beginning cannot be cut off, so the rest is written first. */
START_TEST(begun_line_continued) {
  char fifo[96], chunk[4096], last = 0;
  struct trace_file file;
  size_t written, total = 0;
  int reader = trace_fixture_make_fifo(fifo);
  ck_assert_int_eq(trace_file_open(&file, NULL, fc_str_of(fifo), &tf.reason), 0);
  size_t size = 200001; /* one line, larger than the pipe */
  char *line = malloc(size);
  ck_assert_ptr_nonnull(line);
  memset(line, 'x', size);
  line[size - 1] = '\n';
  int error = trace_file_write(&file, line, size, &written);
  ck_assert_int_eq(error, EAGAIN);
  ck_assert_uint_gt(written, 0);
  while (total < size) {
    ssize_t n = read(reader, chunk, sizeof chunk);
    if (n > 0) {
      total += (size_t)n;
      last = chunk[n - 1];
      continue;
    }
    size_t more;
    error = trace_file_write(&file, line + written, size - written, &more);
    ck_assert(error == 0 || error == EAGAIN);
    written += more;
  }
  ck_assert_int_eq(last, '\n');
  free(line);
  (void)trace_file_deinit(&file);
  close(reader);
}
END_TEST

static int full_disk_child(void) {
  struct rlimit limit = {5000, RLIM_INFINITY};
  trace_fixture_start();
  if (trace_fixture_on(tf.path) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
    return 1;
  limit.rlim_cur = RLIM_INFINITY;
  trace_fixture_write(0, 100);
  if (!trace_fixture_run(10000) || tf.trace.lost == 0 || tf.trace.lost == 100)
    return 2;
  unsigned first = trace_fixture_check_lines(tf.path, 0);
  if (first != 100 - tf.trace.lost)
    return 3;
  if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
    return 4;
  trace_fixture_write(first, 50); /* it goes on, in the same file, after a whole line */
  trace_fixture_close();
  if (trace_fixture_check_lines(tf.path, 0) != first + 50 || !tf.was_flushed)
    return 5;
  trace_fixture_end();
  return 0;
}

START_TEST(failed_write_then_space_continues) {
  int status;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(full_disk_child());
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
}
END_TEST

#define SKIPPED 77

/* On a full file system in its own mount namespace. */
static int no_room_child(void) {
  char mounted[80], file[96], filler[96];
  trace_fixture_start();
  snprintf(mounted, sizeof mounted, "%s/m", tf.dir);
  snprintf(file, sizeof file, "%s/t", mounted);
  snprintf(filler, sizeof filler, "%s/f", mounted);
  if (mkdir(mounted, 0700) < 0)
    return 1;
  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("none", mounted, "tmpfs", 0, "size=64k") < 0) {
    trace_fixture_end();
    return SKIPPED;
  }
  int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  char block[4096] = {0};
  for (int i = 0; i < 14; i++)
    (void)!write(fd, block, sizeof block); /* 8 KiB are left */
  if (trace_fixture_on(file) < 0)
    return 2;
  trace_fixture_write(0, 1000);
  uint64_t until = runner_now_ms() + 10000;
  while (trace_fixture_logged("lines wait until there is room") == 0 && runner_now_ms() < until)
    (void)uv_run(&tf.loop, UV_RUN_ONCE);
  if (trace_fixture_logged("lines wait until there is room") != 1 || tf.trace.lost != 0)
    return 3;
  unsigned n = trace_fixture_check_lines(file, 0);
  if (n == 0 || n >= 1000) /* whole lines, and as many as there was room for */
    return 4;
  if (ftruncate(fd, 0) < 0 || mount("none", mounted, "tmpfs", MS_REMOUNT, "size=4m") < 0)
    return 5;
  if (!trace_fixture_run(10000) || trace_fixture_check_lines(file, 0) != 1000 || tf.trace.lost != 0)
    return 6;
  if (close(fd) < 0)
    return 7;
  trace_fixture_close();
  if (umount(mounted) < 0)
    return 8;
  trace_fixture_end();
  return 0;
}

START_TEST(full_disk_lines_wait_for_space) {
  int status;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(no_room_child());
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFEXITED(status));
  if (WEXITSTATUS(status) == SKIPPED)
    printf("skipped: no small disk can be mounted here\n");
  else
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trace_file");
  TCase *tcase = tcase_create("trace_file");
  tcase_add_checked_fixture(tcase, trace_fixture_start, trace_fixture_end);
  tcase_set_timeout(tcase, 30);
  tcase_add_test(tcase, torn_line_ended_first);
  tcase_add_test(tcase, short_write_cut_to_whole_lines);
  tcase_add_test(tcase, begun_line_continued);
  suite_add_tcase(suite, tcase);
  /* Their children start a fixture of their own. */
  TCase *children = tcase_create("full_disk");
  tcase_set_timeout(children, 30);
  tcase_add_test(children, failed_write_then_space_continues);
  tcase_add_test(children, full_disk_lines_wait_for_space);
  suite_add_tcase(suite, children);
  return runner_run(suite);
}
