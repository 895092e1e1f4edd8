/* A disk or a reader that is slow or fails: the bound on unwritten lines, lost lines, and when the
 * trace is behind. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/trace_fixture.h"

START_TEST(failing_disk_loses_and_logs_once) {
  ck_assert_int_eq(trace_fixture_on("/dev/full"), 0);
  for (unsigned i = 0; i < 20; i++) {
    trace_fixture_write(0, 10);
    ck_assert(trace_fixture_run(10000));
  }
  ck_assert_uint_eq(tf.trace.events, 200);
  ck_assert_uint_eq(tf.trace.lost, 200);
  ck_assert_uint_eq(trace_lines(&tf.trace), 0);
  ck_assert_uint_eq(trace_fixture_logged("cannot be written to /dev/full"), 1); /* said once */
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  trace_fixture_write(0, 1);
  trace_fixture_close();
  ck_assert_uint_eq(trace_fixture_check_lines(tf.path, 0), 1);
  ck_assert_uint_eq(trace_fixture_logged("200 of 201 trace lines were lost"), 1);
}
END_TEST

START_TEST(slow_reader_unwritten_bounded) {
  char fifo[96];
  snprintf(fifo, sizeof fifo, "%s/fifo", tf.dir);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  ck_assert_int_eq(trace_fixture_on(fifo), FC_ETRACE); /* it has no reader */
  int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  (void)fcntl(reader, F_SETPIPE_SZ, 1 << 20); /* only makes the end of this test faster */
  ck_assert_int_eq(trace_fixture_on(fifo), 0);
  unsigned rounds = 0;
  uint64_t until = runner_now_ms() + 10000;
  /* On until it is full: the write that fills the pipe may end at any time. */
  while (rounds < 100 || (tf.trace.unwritten_bytes <= TRACE_UNWRITTEN_MAX - 2 * TRACE_LINE_MAX &&
                          runner_now_ms() < until)) {
    trace_fixture_write(rounds++ * 1000, 1000);
    (void)uv_run(&tf.loop, UV_RUN_NOWAIT);
    ck_assert_uint_le(tf.trace.unwritten_bytes, TRACE_UNWRITTEN_MAX);
  }
  ck_assert_uint_gt(tf.trace.lost, 0);
  ck_assert_uint_gt(tf.trace.unwritten_bytes, TRACE_UNWRITTEN_MAX - 2 * TRACE_LINE_MAX);
  ck_assert_uint_eq(trace_fixture_logged("too slow for the trace"), 1);
  /* Now it is read, at first too slowly: all that was kept arrives, in whole lines. */
  uint64_t lines = 0, torn = 0, all = rounds * 1000 + 50000;
  until = runner_now_ms() + 20000;
  char *text = malloc(1u << 20);
  ck_assert_ptr_nonnull(text);
  char last = '\n';
  while (lines < trace_lines(&tf.trace) && runner_now_ms() < until) {
    if (tf.trace.events < all)
      trace_fixture_write(0, 2000);
    ssize_t n = read(reader, text, 1u << 20);
    for (ssize_t i = 0; i < n; i++) {
      torn += last == '\n' && text[i] != '{'; /* an assertion per byte would take seconds */
      lines += text[i] == '\n';
      last = text[i];
    }
    (void)uv_run(&tf.loop, n > 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  }
  free(text);
  ck_assert_uint_eq(torn, 0);
  ck_assert_uint_eq(lines, trace_lines(&tf.trace));
  ck_assert_uint_eq(tf.trace.events, all);
  ck_assert(trace_fixture_run(10000));
  ck_assert_uint_eq(trace_fixture_logged("too slow for the trace"), 1); /* one episode, said once */
  trace_fixture_close();
  ck_assert(tf.was_flushed);
  close(reader);
}
END_TEST

START_TEST(behind_while_disk_writes) {
  ck_assert(!trace_is_behind(&tf.trace));
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  trace_fixture_write(0, 1000);
  ck_assert(!trace_is_behind(&tf.trace));
  trace_fixture_fall_behind();
  ck_assert(trace_is_behind(&tf.trace));
  ck_assert(trace_fixture_run(10000));
  ck_assert(!trace_is_behind(&tf.trace));
  trace_fixture_fall_behind();
  trace_off(&tf.trace);
  ck_assert(!trace_is_behind(&tf.trace));
}
END_TEST

/* Large buffers stay while lines come, and are given back when none come. */
START_TEST(large_buffers_given_back) {
  const size_t small = 2u << 20; /* both buffers of a stream, at most */
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  for (unsigned i = 0; i < 3; i++) {
    trace_fixture_fall_behind();
    size_t bytes = tf.trace.buffer_bytes;
    ck_assert_uint_gt(bytes, TRACE_UNWRITTEN_MAX / 2);
    ck_assert(trace_fixture_run(10000));
    /* On a slow machine, the timer may have been due twice since the last line. */
    bool was_idle = tf.trace.timer_events == tf.trace.events;
    ck_assert(was_idle || tf.trace.buffer_bytes >= bytes);
  }
  uint64_t until = runner_now_ms() + 10000;
  while (tf.trace.buffer_bytes > small && runner_now_ms() < until)
    (void)uv_run(&tf.loop, UV_RUN_ONCE);
  ck_assert_uint_le(tf.trace.buffer_bytes, small);
  ck_assert_int_eq(uv_is_active((uv_handle_t *)&tf.trace.timer), 0); /* and nothing is left to do */
  trace_fixture_fall_behind();
  ck_assert(trace_fixture_run(10000));
  ck_assert_uint_gt(tf.trace.buffer_bytes, small);
  trace_off(&tf.trace); /* a former file keeps none, even before it is closed */
  ck_assert_uint_le(tf.trace.buffer_bytes, small);
}
END_TEST

START_TEST(behind_failing_disk_never) {
  ck_assert_int_eq(trace_fixture_on("/dev/full"), 0);
  trace_fixture_write(0, 1);
  ck_assert(trace_fixture_run(10000));
  trace_fixture_fall_behind();
  ck_assert(!trace_is_behind(&tf.trace));
  ck_assert_int_eq(trace_fixture_on(tf.path), 0); /* another one is */
  ck_assert(trace_fixture_run(10000));
  trace_fixture_fall_behind();
  ck_assert(trace_is_behind(&tf.trace));
}
END_TEST

START_TEST(behind_pipe_while_read) {
  char fifo[96], text[4096];
  int reader = trace_fixture_make_fifo(fifo);
  ck_assert_int_eq(trace_fixture_on(fifo), 0);
  trace_fixture_fall_behind();
  ck_assert(trace_is_behind(&tf.trace));
  while (trace_is_behind(&tf.trace)) /* until a write got nothing into it */
    (void)uv_run(&tf.loop, UV_RUN_ONCE);
  while (!trace_is_behind(&tf.trace)) { /* until one did again */
    ck_assert_uint_gt(tf.trace.unwritten_bytes, TRACE_UNWRITTEN_MAX / 2);
    ck_assert_int_ge(read(reader, text, sizeof text), 0);
    (void)uv_run(&tf.loop, UV_RUN_ONCE);
  }
  close(reader);
}
END_TEST

START_TEST(behind_counts_current_file_only) {
  char fifo[96];
  int reader = trace_fixture_make_fifo(fifo);
  ck_assert_int_eq(trace_fixture_on(fifo), 0);
  trace_fixture_fall_behind();
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  ck_assert(!trace_is_behind(&tf.trace));
  trace_fixture_write(0, 8000); /* more than half of the quarter that is left */
  ck_assert_uint_eq(tf.trace.lost, 0);
  ck_assert(trace_is_behind(&tf.trace));
  while (trace_is_behind(&tf.trace)) /* this file moves on all the same */
    (void)uv_run(&tf.loop, UV_RUN_ONCE);
  ck_assert_uint_gt(tf.trace.unwritten_bytes, TRACE_UNWRITTEN_MAX / 2);
  close(reader);
}
END_TEST

START_TEST(behind_hanging_write_never) {
  ck_assert_int_eq(trace_fixture_on(tf.path), 0);
  uv_update_time(&tf.loop);
  uint64_t start = runner_now_ms();
  trace_fixture_fall_behind(); /* the write cannot end until the loop runs */
  ck_assert(trace_is_behind(&tf.trace));
  while (trace_is_behind(&tf.trace))
    uv_update_time(&tf.loop);
  ck_assert_uint_ge(runner_now_ms() - start, TRACE_HANG_MS - 10);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trace_behind");
  TCase *tcase = tcase_create("trace_behind");
  tcase_add_checked_fixture(tcase, trace_fixture_start, trace_fixture_end);
  tcase_set_timeout(tcase, 30);
  tcase_add_test(tcase, failing_disk_loses_and_logs_once);
  tcase_add_test(tcase, slow_reader_unwritten_bounded);
  tcase_add_test(tcase, behind_while_disk_writes);
  tcase_add_test(tcase, large_buffers_given_back);
  tcase_add_test(tcase, behind_failing_disk_never);
  tcase_add_test(tcase, behind_pipe_while_read);
  tcase_add_test(tcase, behind_counts_current_file_only);
  tcase_add_test(tcase, behind_hanging_write_never);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
