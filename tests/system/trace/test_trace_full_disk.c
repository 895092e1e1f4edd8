/* A trace on a full disk: what fits is whole, the rest waits for space or goes to another file, and
 * removing the file gives the space back. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/library.h"
#include "tests/support/trace_lines.h"
#include "tests/support/traced_daemon.h"

/* A disk of 64 KiB, where the machine lets us have one. */
static bool mount_small(const char *at) {
  if (mkdir(at, 0700) < 0 || unshare(CLONE_NEWNS) < 0 ||
      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("tmpfs", at, "tmpfs", 0, "size=64k") < 0) {
    printf("skipped: no small disk can be mounted: %s\n", strerror(errno));
    return false;
  }
  return true;
}

static bool is_written_again(void *arg) {
  (void)arg;
  return traced_logged("the trace is written again") == 1;
}

START_TEST(full_disk_loses_what_does_not_fit) {
  struct traced_path disk = traced_path("disk"), trace = traced_path("disk/trace");

  if (!mount_small(disk.text))
    return;
  harness_start(&traced_daemon, "--trace", trace.text, NULL);
  struct fcache *cache = library_open(traced_daemon.socket, "traced", NULL, 0);
  ck_assert(harness_wait_until(traced_has_lost, cache, TRACED_TIMEOUT_MS));
  traced_check_served(cache);
  /* all lines in the file are whole */
  size_t before = trace_lines_read(trace.text, NULL, NULL);
  ck_assert_uint_gt(before, 10);
  ck_assert_uint_eq(traced_logged("the trace cannot be written to"), 1);
  ck_assert_int_eq(mount(NULL, disk.text, NULL, MS_REMOUNT, "size=64m"), 0);
  ck_assert(harness_wait_until(is_written_again, NULL, TRACED_TIMEOUT_MS));
  traced_put_long(cache);
  uint64_t lines = library_stat(cache, "trace_lines"), lost = library_stat(cache, "trace_lost");
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(lines + lost, counters.cache_misses);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
  ck_assert_uint_eq(trace_lines_read(trace.text, NULL, NULL), lines); /* all that was not lost */
  ck_assert_int_eq(umount2(disk.text, MNT_DETACH), 0);
}
END_TEST

struct full {
  struct traced_path disk, trace, other;
  struct fcache *cache;
  unsigned n_puts;
  size_t written; /* lines in the file; the others wait */
};

static uint64_t n_lines(const struct full *full) {
  return library_stat(full->cache, "trace_lines");
}

/* Lines that are in the file for good. Each try to write more leaves a part of a line at its end
 * for a moment, until the daemon takes it back. */
static size_t lines_on_disk(const struct full *full) {
  size_t size;
  char *text = harness_read_file(full->trace.text, &size);

  ck_assert_ptr_nonnull(text);
  size_t lines = traced_count_lines(text, size);
  free(text);
  return lines;
}

/* A few lines at a time, so that those that do not fit are few: they are to fit on the empty disk.
 */
static bool cannot_be_written(void *arg) {
  struct full *full = arg;

  if (traced_logged("lines wait until there is room") == 1)
    return true;
  if (library_stat(full->cache, "trace_lines") == lines_on_disk(full))
    for (unsigned i = 0; i < 20; i++)
      traced_put(full->cache, full->n_puts++);
  return false;
}

/* Traces to a disk until that is full, with a few lines that wait. */
static bool fill(struct full *full) {
  full->disk = traced_path("disk");
  full->trace = traced_path("disk/trace");
  full->other = traced_path("other");
  if (!mount_small(full->disk.text))
    return false;
  harness_start(&traced_daemon, "--trace", full->trace.text, "--trace-dir", traced_dir, NULL);
  full->cache = library_open(traced_daemon.socket, "traced", NULL, 0);
  ck_assert(harness_wait_until(cannot_be_written, full, TRACED_TIMEOUT_MS));
  full->written = lines_on_disk(full);
  ck_assert_uint_eq(library_stat(full->cache, "trace_lost"), 0);
  ck_assert_uint_gt(n_lines(full), full->written);
  return true;
}

static void finish(struct full *full) {
  fcache_close(full->cache);
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
  ck_assert_uint_eq(traced_logged("trace lines were lost"), 0);
  ck_assert_int_eq(umount2(full->disk.text, MNT_DETACH), 0);
}

/* Does the daemon have no file open that has no name any more? */
static bool keeps_no_deleted_file(void *arg) {
  char path[64], target[256];
  bool none = true;

  (void)arg;
  for (int fd = 3; fd < 64; fd++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)traced_daemon.pid, fd);
    ssize_t size = readlink(path, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = '\0';
    none = none && !(strstr(target, "/trace") && strstr(target, "(deleted)"));
  }
  return none;
}

static void ctl_trace(const char *word, const char *path, char **out) {
  const char *const argv[] = {
      harness_fcachectl(), "--socket", traced_daemon.socket, "trace", word, path, NULL};

  ck_assert_int_eq(harness_run(argv, out, NULL), 0);
}

START_TEST(removed_trace_frees_full_disk) {
  struct full full = {0};

  if (!fill(&full))
    return;
  ck_assert_int_eq(unlink(full.trace.text), 0);
  ck_assert_int_eq(kill(traced_daemon.pid, SIGHUP), 0);
  struct traced_growth rest = {full.trace.text, n_lines(&full) - full.written, true};
  ck_assert(harness_wait_until(traced_has_lines, &rest, TRACED_TIMEOUT_MS));
  ck_assert(harness_wait_until(keeps_no_deleted_file, NULL, TRACED_TIMEOUT_MS));
  traced_put(full.cache, UINT32_MAX);
  rest.lines++;
  ck_assert(harness_wait_until(traced_has_lines, &rest, TRACED_TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(full.cache, "trace_lost"), 0);
  ck_assert_uint_eq(library_stat(full.cache, "trace_waiting"), 0);
  finish(&full);
}
END_TEST

/* The disk is still full, and the lines wait for the new file; that counts as waiting. */
START_TEST(moved_trace_frees_full_disk) {
  struct full full = {0};

  if (!fill(&full))
    return;
  struct traced_path moved = traced_path("disk/trace.1");
  ck_assert_int_eq(rename(full.trace.text, moved.text), 0);
  ck_assert_int_eq(kill(traced_daemon.pid, SIGHUP), 0);
  struct traced_growth rest = {full.trace.text, 0, true};
  ck_assert(harness_wait_until(traced_has_lines, &rest, TRACED_TIMEOUT_MS));
  ck_assert_uint_eq(trace_lines_read(moved.text, NULL, NULL), full.written);
  rest.lines = n_lines(&full) - full.written;
  ck_assert_uint_eq(library_stat(full.cache, "trace_waiting"), rest.lines);
  ck_assert_int_eq(unlink(moved.text), 0);
  ck_assert(harness_wait_until(traced_has_lines, &rest, TRACED_TIMEOUT_MS));
  ck_assert(keeps_no_deleted_file(NULL));
  ck_assert_uint_eq(library_stat(full.cache, "trace_lost"), 0);
  finish(&full);
}
END_TEST

START_TEST(other_file_gets_waiting_lines) {
  struct full full = {0};

  if (!fill(&full))
    return;
  uint64_t waiting = n_lines(&full) - full.written;
  ck_assert_int_eq(unlink(full.trace.text), 0);
  ctl_trace("on", full.other.text, NULL);
  struct traced_growth rest = {full.other.text, waiting, true};
  ck_assert(harness_wait_until(traced_has_lines, &rest, TRACED_TIMEOUT_MS));
  ck_assert(harness_wait_until(keeps_no_deleted_file, NULL, TRACED_TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(full.cache, "trace_lost"), 0);
  finish(&full);
}
END_TEST

static bool has_lost_all_that_waited(void *arg) {
  struct full *full = arg;

  return library_stat(full->cache, "trace_lost") > 0 &&
         library_stat(full->cache, "trace_lines") == full->written;
}

START_TEST(trace_off_on_full_disk_loses_waiting_lines) {
  struct full full = {0};
  char *out, want[64];

  if (!fill(&full))
    return;
  uint64_t waiting = n_lines(&full) - full.written;
  ctl_trace("status", NULL, &out);
  (void)snprintf(want, sizeof want, "0 lost, %llu not written yet\n", (unsigned long long)waiting);
  ck_assert_msg(strstr(out, want) != NULL, "no \"%s\" in %s", want, out);
  free(out);
  ck_assert_int_eq(unlink(full.trace.text), 0);
  ctl_trace("off", NULL, NULL);
  ck_assert(harness_wait_until(has_lost_all_that_waited, &full, TRACED_TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(full.cache, "trace_lost"), waiting);
  ck_assert(harness_wait_until(keeps_no_deleted_file, NULL, TRACED_TIMEOUT_MS));
  fcache_close(full.cache);
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
  ck_assert_int_eq(umount2(full.disk.text, MNT_DETACH), 0);
}
END_TEST

#define TORN_BYTES 4096 /* whole blocks: there is no room for one byte more */

/* Makes `path` a file that ends within a line, and fills the disk with `filler`. */
static void tear(const char *path, const char *filler) {
  char block[TORN_BYTES];
  FILE *file = fopen(path, "we");

  memset(block, '.', sizeof block);
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(block, sizeof block, 1, file), 1);
  ck_assert_int_eq(fclose(file), 0);
  int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_ge(fd, 0);
  while (write(fd, block, sizeof block) > 0)
    ;
  ck_assert_int_eq(errno, ENOSPC);
  ck_assert_int_eq(close(fd), 0);
}

static bool waits_for_room(void *arg) {
  (void)arg;
  return traced_logged("lines wait until there is room") == 1;
}

enum way { AT_START, BY_COMMAND, BY_SIGNAL, N_WAYS };

static void trace_to_torn(enum way way, const char *trace, const char *filler) {
  struct traced_growth none = {trace, 0, true};

  if (way == AT_START)
    tear(trace, filler);
  harness_start(&traced_daemon, "--trace-dir", traced_dir, way == BY_COMMAND ? NULL : "--trace",
                trace, NULL);
  if (way == AT_START)
    return;
  ck_assert(traced_has_lines(&none));
  (void)unlink(trace); /* for BY_SIGNAL, to be another file at its path */
  tear(trace, filler);
  if (way == BY_COMMAND)
    ctl_trace("on", trace, NULL);
  else
    ck_assert_int_eq(kill(traced_daemon.pid, SIGHUP), 0);
}

START_TEST(torn_file_on_full_disk_accepted) {
  struct traced_path disk = traced_path("disk"), trace = traced_path("disk/trace"),
                     filler = traced_path("disk/x");

  if (!mount_small(disk.text))
    return;
  trace_to_torn((enum way)_i, trace.text, filler.text);
  struct fcache *cache = library_open(traced_daemon.socket, "traced", NULL, 0);
  traced_put(cache, 1);
  ck_assert(harness_wait_until(waits_for_room, NULL, TRACED_TIMEOUT_MS));
  traced_check_served(cache);
  ck_assert_uint_eq(library_stat(cache, "trace_lost"), 0);
  ck_assert_int_eq(unlink(filler.text), 0);
  struct traced_growth whole = {trace.text, 1 + library_stat(cache, "trace_lines"), false};
  ck_assert(harness_wait_until(is_written_again, NULL, TRACED_TIMEOUT_MS));
  ck_assert(traced_has_lines(&whole));
  char *text = harness_read_file(trace.text, NULL);
  ck_assert_int_eq(strncmp(text + TORN_BYTES, "\n{\"ts\": ", 8), 0);
  free(text);
  ck_assert_uint_eq(library_stat(cache, "trace_waiting"), 0);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
  ck_assert_int_eq(umount2(disk.text, MNT_DETACH), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trace_full_disk");
  TCase *tcase = tcase_create("trace_full_disk");
  tcase_add_checked_fixture(tcase, traced_set_up, traced_tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, full_disk_loses_what_does_not_fit);
  tcase_add_test(tcase, removed_trace_frees_full_disk);
  tcase_add_test(tcase, moved_trace_frees_full_disk);
  tcase_add_test(tcase, other_file_gets_waiting_lines);
  tcase_add_test(tcase, trace_off_on_full_disk_loses_waiting_lines);
  tcase_add_loop_test(tcase, torn_file_on_full_disk_accepted, 0, N_WAYS);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
