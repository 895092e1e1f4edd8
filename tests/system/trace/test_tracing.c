/* The trace file of a whole daemon: lines are soon in the file and always whole, it can be rotated,
 * and a disk or reader that takes nothing costs lines and not service. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/library.h"
#include "tests/support/trace_lines.h"
#include "tests/support/traced_daemon.h"

START_TEST(lines_soon_in_file_and_whole) {
  struct traced_path trace = traced_path("made/for/it/trace");
  struct traced_growth growth = {.path = trace.text};

  harness_start(&traced_daemon, "--trace", trace.text, NULL);
  struct fcache *cache = library_open(traced_daemon.socket, "traced", "a worker", 0);
  for (unsigned i = 0; i < 15; i++) { /* they fit in one page */
    traced_put(cache, i);
    growth.lines++;
    ck_assert(
        harness_wait_until(traced_has_lines, &growth, 5000)); /* 100 ms, but for a busy machine */
  }
  growth.in_parts = true;
  for (unsigned i = 0; i < 5; i++) {
    traced_put_long(cache);
    growth.lines += TRACED_LONG_PUTS;
  }
  ck_assert(harness_wait_until(traced_has_lines, &growth, 5000));
  ck_assert_uint_eq(trace_lines_read(trace.text, NULL, NULL), growth.lines);
  fcache_close(cache);
}
END_TEST

/* Reads lines whose top_k are a sequence. */
static void assert_next(void *arg, const struct trace_line *line) {
  long long *next = arg;

  ck_assert_int_eq(line->top_k, *next);
  ++*next;
}

START_TEST(rotation_keeps_lines_and_order) {
  enum { ROTATIONS = 5, PUTS = 200 };
  struct traced_path trace = traced_path("trace"), old[ROTATIONS];
  unsigned number = 0;

  harness_start(&traced_daemon, "--trace", trace.text, NULL);
  struct fcache *cache = library_open(traced_daemon.socket, "traced", NULL, 0);
  for (int i = 0; i < ROTATIONS; i++) {
    char name[32];

    (void)snprintf(name, sizeof name, "trace.%d", i);
    old[i] = traced_path(name);
    for (int j = 0; j < PUTS; j++)
      traced_put(cache, number++);
    ck_assert_int_eq(rename(trace.text, old[i].text), 0);
    for (int j = 0; j < PUTS; j++)
      traced_put(cache, number++); /* these go to the old one, which is only renamed */
    ck_assert_int_eq(kill(traced_daemon.pid, SIGHUP), 0);
    ck_assert(harness_wait_until(traced_exists, trace.text, TRACED_TIMEOUT_MS));
  }
  traced_put(cache, number++);
  ck_assert_uint_eq(library_stat(cache, "trace_lost"), 0);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
  long long next = 0;
  for (int i = 0; i < ROTATIONS; i++)
    ck_assert_uint_ge(trace_lines_read(old[i].text, assert_next, &next), PUTS);
  ck_assert_uint_ge(trace_lines_read(trace.text, assert_next, &next), 1);
  ck_assert_int_eq(next, number); /* each once, all of them */
}
END_TEST

static bool is_not_served(void *arg) {
  (void)arg;
  return !traced_exists(traced_daemon.socket);
}

/* Two daemons must not write to one trace: the next one starts when the last line is out. */
START_TEST(next_daemon_waits_for_trace) {
  struct traced_path fifo = traced_path("fifo");
  const char *argv[] = {harness_fcached(), "--socket", NULL, NULL};
  char *err;

  ck_assert_int_eq(mkfifo(fifo.text, 0600), 0);
  int reader = open(fifo.text, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  harness_start(&traced_daemon, "--trace", fifo.text, NULL);
  struct fcache *cache = library_open(traced_daemon.socket, "traced", NULL, 0);
  traced_put_long(cache); /* more than a FIFO holds: the last line waits for a reader */
  fcache_close(cache);
  ck_assert_int_eq(kill(traced_daemon.pid, SIGTERM), 0);
  ck_assert(harness_wait_until(is_not_served, NULL, TRACED_TIMEOUT_MS));
  argv[2] = traced_daemon.socket;
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "already running"));
  free(err);
  (void)close(reader); /* no more lines can be written, which ends it at once */
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
}
END_TEST

START_TEST(unopenable_trace_fails_start) {
  struct traced_path socket = traced_path("s");
  char *err;
  const char *const argv[] = {harness_fcached(), "--socket", socket.text,
                              "--trace",         traced_dir, NULL};

  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, traced_dir));
  ck_assert_ptr_nonnull(strstr(err, "trace"));
  ck_assert(!traced_exists(socket.text));
  ck_assert(!traced_exists(traced_path("s.lock").text));
  free(err);
}
END_TEST

/* A device that has no room, ever. */
START_TEST(failing_disk_costs_lines_only) {
  harness_start(&traced_daemon, "--trace", "/dev/full", NULL);
  struct fcache *cache = library_open(traced_daemon.socket, "traced", NULL, 0);
  for (int i = 0; i < 5; i++) {
    uint64_t lost = library_stat(cache, "trace_lost");

    ck_assert(harness_wait_until(traced_has_lost, cache, TRACED_TIMEOUT_MS));
    while (library_stat(cache, "trace_lost") == lost) /* a batch more; bounded by the test's */
      traced_check_served(cache);
  }
  ck_assert_uint_eq(traced_logged("the trace cannot be written to /dev/full"), 1);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
  ck_assert_uint_eq(traced_logged("trace lines were lost"), 1);
}
END_TEST

/* A FIFO without a reader cannot be opened; with one that never reads it fills up. */
START_TEST(unread_fifo_blocks_nothing) {
  struct traced_path fifo = traced_path("fifo"), socket = traced_path("s");
  char *err;
  const char *const argv[] = {harness_fcached(), "--socket", socket.text,
                              "--trace",         fifo.text,  NULL};

  ck_assert_int_eq(mkfifo(fifo.text, 0600), 0);
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1); /* open() does not block */
  ck_assert_ptr_nonnull(strstr(err, fifo.text));
  free(err);

  int reader = open(fifo.text, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  harness_start(&traced_daemon, "--trace", fifo.text, NULL);
  struct fcache *cache = library_open(traced_daemon.socket, "traced", NULL, 0);
  ck_assert(harness_wait_until(traced_has_lost, cache, TRACED_TIMEOUT_MS));
  for (int i = 0; i < 100; i++)
    traced_check_served(cache);
  ck_assert_uint_eq(traced_logged("lines are lost and counted"), 1);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&traced_daemon), 0); /* nor does the end wait for it */
  (void)close(reader);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tracing");
  TCase *tcase = tcase_create("tracing");
  tcase_add_checked_fixture(tcase, traced_set_up, traced_tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, lines_soon_in_file_and_whole);
  tcase_add_test(tcase, rotation_keeps_lines_and_order);
  tcase_add_test(tcase, next_daemon_waits_for_trace);
  tcase_add_test(tcase, unopenable_trace_fails_start);
  tcase_add_test(tcase, failing_disk_costs_lines_only);
  tcase_add_test(tcase, unread_fifo_blocks_nothing);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
