/* A trace that works: on, off, rotation, and close. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/trace_fixture.h"

START_TEST(trace_off_writes_nothing) {
  trace_fixture_write(0, 10);
  trace_reopen(&tf.trace);
  trace_off(&tf.trace);
  ck_assert_uint_eq(tf.trace.events, 0);
  ck_assert(!trace_is_on(&tf.trace));
  ck_assert_ptr_null(trace_path(&tf.trace));
  trace_fixture_close();
  ck_assert(tf.was_flushed);
}
END_TEST

START_TEST(line_in_file_within_100_ms) {
  struct stat st;
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  ck_assert_str_eq(trace_path(&tf.trace), tf.path);
  ck_assert_int_eq(stat(tf.path, &st), 0);
  ck_assert_uint_eq(st.st_mode & 0777 & ~0640u, 0);
  uint64_t start =
      runner_now_ms(); /* before the loop reads its time: the test may be stopped in between */
  uv_update_time(&tf.loop);
  trace_fixture_write(0, 3);
  ck_assert_uint_le(uv_timer_get_due_in(&tf.trace.timer), 100 - 20); /* the rest is for the disk */
  ck_assert_int_eq(stat(tf.path, &st), 0);
  ck_assert_int_eq(st.st_size, 0); /* gathered */
  ck_assert(trace_fixture_run(10000));
  uint64_t took = runner_now_ms() - start;
  ck_assert_uint_ge(took, TRACE_DELAY_MS - 2);
  ck_assert_uint_lt(took, 10000); /* 100 on a machine that does nothing else */
  ck_assert_uint_eq(trace_fixture_check_lines(tf.path, 0), 3);
  ck_assert_uint_eq(trace_lines(&tf.trace), 3);
}
END_TEST

START_TEST(close_writes_waiting_lines) {
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  trace_fixture_write(0, 20000); /* several batches */
  trace_fixture_close();
  ck_assert(tf.was_flushed);
  ck_assert_uint_eq(trace_fixture_check_lines(tf.path, 0), 20000);
  ck_assert_uint_eq(tf.trace.lost, 0);
  ck_assert_uint_eq(tf.trace.unwritten_bytes, 0);
}
END_TEST

START_TEST(missing_directory_made_and_appended) {
  char deep[160];
  snprintf(deep, sizeof deep, "%s/a/b/c/t.jsonl", tf.dir);
  ck_assert_int_eq(trace_fixture_on(deep), 0);
  trace_fixture_write(0, 2);
  trace_off(&tf.trace);
  trace_fixture_write(77, 2);
  ck_assert_int_eq(trace_fixture_on(deep), 0);
  trace_fixture_write(2, 2);
  trace_fixture_close();
  ck_assert_uint_eq(trace_fixture_check_lines(deep, 0), 4);
}
END_TEST

START_TEST(unopenable_path_rejected) {
  char under[160];
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  ck_assert_int_eq(trace_fixture_on(tf.dir), FC_ETRACE);
  ck_assert_ptr_nonnull(strstr(tf.reason.text, tf.dir));
  snprintf(under, sizeof under, "%s/x", tf.path);
  ck_assert_int_eq(trace_fixture_on(under), FC_ETRACE);
  ck_assert_int_eq(trace_fixture_on(""), FC_ETRACE);
  ck_assert_int_eq(trace_on(&tf.trace, (struct fc_str){"a\0b", 3}, &tf.reason), FC_ETRACE);
  ck_assert_str_eq(trace_path(&tf.trace), tf.path); /* the former state stays */
  trace_fixture_write(0, 1);
  trace_fixture_close();
  ck_assert_uint_eq(trace_fixture_check_lines(tf.path, 0), 1);
}
END_TEST

START_TEST(rotation_splits_lines_between_files) {
  char old[128];
  snprintf(old, sizeof old, "%s.1", tf.path);
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  trace_fixture_write(0, 10);
  ck_assert_int_eq(rename(tf.path, old), 0);
  trace_reopen(&tf.trace);
  trace_fixture_write(10, 5);
  trace_reopen(&tf.trace); /* the same file: nothing changes */
  ck_assert_ptr_eq(tf.trace.files, tf.trace.current);
  ck_assert_uint_eq(trace_fixture_logged("the trace was opened again"), 2);
  trace_fixture_write(15, 5);
  ck_assert(trace_fixture_run(10000));
  ck_assert_uint_eq(trace_fixture_check_lines(old, 0), 10);
  ck_assert_uint_eq(trace_fixture_check_lines(tf.path, 10), 10);
}
END_TEST

START_TEST(failed_rotation_keeps_old_file) {
  char sub[80], sub_file[96], moved[96];
  snprintf(sub, sizeof sub, "%s/sub", tf.dir);
  snprintf(sub_file, sizeof sub_file, "%s/t", sub);
  snprintf(moved, sizeof moved, "%s/t", tf.dir);
  ck_assert_int_eq(trace_fixture_on(sub_file), 0);
  trace_fixture_write(0, 1);
  ck_assert_int_eq(rename(sub_file, moved), 0);
  ck_assert_int_eq(mkdir(sub_file, 0700), 0); /* cannot be opened to write */
  trace_reopen(&tf.trace);
  ck_assert_uint_eq(trace_fixture_logged("the trace stays in its old file"), 1);
  trace_fixture_write(1, 1);
  trace_fixture_close();
  ck_assert_uint_eq(trace_fixture_check_lines(moved, 0), 2);
}
END_TEST

START_TEST(former_file_reopened_while_draining) {
  char fifo[96];
  int reader = trace_fixture_make_fifo(fifo);
  ck_assert_int_eq(trace_fixture_on(fifo), 0);
  trace_fixture_write(0, 2000); /* more than it holds */
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  trace_fixture_write(0, 10); /* not held up by the FIFO */
  uint64_t until = runner_now_ms() + 10000;
  while (trace_fixture_check_lines(tf.path, 0) < 10 && runner_now_ms() < until)
    (void)uv_run(&tf.loop, UV_RUN_ONCE);
  ck_assert_uint_eq(trace_fixture_check_lines(tf.path, 0), 10);
  ck_assert_int_eq(trace_fixture_on(fifo), 0); /* the draining one is taken up again */
  ck_assert_str_eq(trace_path(&tf.trace), fifo);
  close(reader); /* EPIPE: its lines are lost, and counted */
  trace_fixture_close();
  ck_assert(tf.was_flushed);
  ck_assert_uint_eq(tf.trace.events, 2010);
  ck_assert_uint_gt(tf.trace.lost, 0);
}
END_TEST

START_TEST(close_with_stuck_reader_bounded) {
  char fifo[96];
  int reader = trace_fixture_make_fifo(fifo);
  ck_assert_int_eq(trace_fixture_on(fifo), 0);
  trace_fixture_write(0, 2000);
  uint64_t start = runner_now_ms();
  trace_fixture_close();
  ck_assert_uint_lt(runner_now_ms() - start, TRACE_CLOSE_MAX_MS + 2000);
  ck_assert(tf.was_flushed); /* settled: the struct may go */
  ck_assert_uint_gt(tf.trace.lost, 0);
  ck_assert_uint_eq(tf.trace.unwritten_bytes, 0);
  ck_assert_uint_eq(trace_fixture_logged("trace lines were lost"), 1);
  close(reader);
}
END_TEST

/* While the pool writes, the file may end within a line, which is none of ours to end. */
START_TEST(same_file_reopened_untouched) {
  struct stat st;
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  int fd = open(tf.path, O_WRONLY | O_APPEND | O_CLOEXEC);
  ck_assert_int_eq(write(fd, "{\"ts\": 17", 9), 9);
  trace_reopen(&tf.trace);
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  ck_assert_int_eq(fstat(fd, &st), 0);
  ck_assert_int_eq(st.st_size, 9);
  close(fd);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trace");
  TCase *tcase = tcase_create("trace");
  tcase_add_checked_fixture(tcase, trace_fixture_start, trace_fixture_end);
  tcase_set_timeout(tcase, 30);
  tcase_add_test(tcase, trace_off_writes_nothing);
  tcase_add_test(tcase, line_in_file_within_100_ms);
  tcase_add_test(tcase, close_writes_waiting_lines);
  tcase_add_test(tcase, missing_directory_made_and_appended);
  tcase_add_test(tcase, unopenable_path_rejected);
  tcase_add_test(tcase, rotation_splits_lines_between_files);
  tcase_add_test(tcase, failed_rotation_keeps_old_file);
  tcase_add_test(tcase, former_file_reopened_while_draining);
  tcase_add_test(tcase, close_with_stuck_reader_bounded);
  tcase_add_test(tcase, same_file_reopened_untouched);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
