/* The trace file of a whole daemon, fault 19 among them: only whole lines ever stand
 * in it, soon; it can be rotated; and a disk that is full, or a reader that does not
 * read, costs lines, which are counted and said, and never service. */
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

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 20000u
#define MANY 400u /* puts in one message */

static struct daemon served;
static char folder[HARNESS_PATH_SIZE];

struct path {
  char text[HARNESS_PATH_SIZE + 64];
};

static void start(void) {
  harness_folder(folder);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static struct path path_of(const char *name) {
  struct path path;

  (void)snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
  return path;
}

static void put(struct fcache *cache, unsigned number) {
  struct fcache_key key = {
      .op = "op", .view = "view", .prompt = fcache_hash(&number, sizeof number), .top_k = number};

  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 0, 0), FCACHE_OK);
}

/* Puts with the longest names: a trace line of more than a kilobyte each. */
static void put_many_long(struct fcache *cache) {
  static struct fcache_hash prompts[MANY];
  static struct fcache_bytes values[MANY];
  char name[256];

  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  ck_assert_int_eq(fcache_set_probe(cache, name), FCACHE_OK);
  for (unsigned i = 0; i < MANY; i++) {
    prompts[i] = fcache_hash(&i, sizeof i);
    values[i] = (struct fcache_bytes){"v", 1};
  }
  ck_assert_int_eq(fcache_put_many(cache, name, name, 0, prompts, values, MANY, 0, 0), FCACHE_OK);
}

static unsigned count_in_log(const char *text) {
  char *log = harness_log(&served);
  unsigned n = 0;

  for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
    n++;
  free(log);
  return n;
}

/* ---- when it works ---- */

struct growth {
  const char *path;
  size_t lines;  /* wanted */
  bool in_parts; /* the system may show a write of several pages before it is done */
};

/* How many lines a text has; what follows the last of them is none yet. */
static size_t count_lines(const char *text, size_t size) {
  size_t lines = 0;

  for (size_t i = 0; i < size; i++)
    lines += text[i] == '\n';
  return lines;
}

/* A reader sees whole lines, at any moment. */
static bool has_lines(void *arg) {
  struct growth *growth = arg;
  size_t size;
  char *text = harness_read_file(growth->path, &size);

  if (!text)
    return growth->lines == 0;
  ck_assert(growth->in_parts || size == 0 || text[size - 1] == '\n');
  size_t lines = count_lines(text, size);
  free(text);
  ck_assert_uint_le(lines, growth->lines);
  return lines == growth->lines;
}

START_TEST(lines_are_soon_in_the_file_and_always_whole) {
  struct path trace = path_of("made/for/it/trace");
  struct growth growth = {.path = trace.text};

  harness_start(&served, "--trace", trace.text, NULL);
  struct fcache *cache = library_open(served.socket, "traced", "a worker", 0);
  for (unsigned i = 0; i < 15; i++) { /* they fit in one page */
    put(cache, i);
    growth.lines++;
    ck_assert(harness_wait_until(has_lines, &growth, 5000)); /* 100 ms, but for a busy machine */
  }
  growth.in_parts = true;
  for (unsigned i = 0; i < 5; i++) {
    put_many_long(cache);
    growth.lines += MANY;
  }
  ck_assert(harness_wait_until(has_lines, &growth, 5000));
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

static bool exists(void *path) {
  struct stat status;

  return stat(path, &status) == 0;
}

START_TEST(rotation_loses_no_line_and_no_order) {
  enum { ROTATIONS = 5, PUTS = 200 };
  struct path trace = path_of("trace"), old[ROTATIONS];
  unsigned number = 0;

  harness_start(&served, "--trace", trace.text, NULL);
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  for (int i = 0; i < ROTATIONS; i++) {
    char name[32];

    (void)snprintf(name, sizeof name, "trace.%d", i);
    old[i] = path_of(name);
    for (int j = 0; j < PUTS; j++)
      put(cache, number++);
    ck_assert_int_eq(rename(trace.text, old[i].text), 0);
    for (int j = 0; j < PUTS; j++)
      put(cache, number++); /* these go to the old one, which is only renamed */
    ck_assert_int_eq(kill(served.pid, SIGHUP), 0);
    ck_assert(harness_wait_until(exists, trace.text, TIMEOUT_MS));
  }
  put(cache, number++);
  ck_assert_uint_eq(library_figure(cache, "trace_lost"), 0);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  long long next = 0;
  for (int i = 0; i < ROTATIONS; i++)
    ck_assert_uint_ge(trace_lines_read(old[i].text, assert_next, &next), PUTS);
  ck_assert_uint_ge(trace_lines_read(trace.text, assert_next, &next), 1);
  ck_assert_int_eq(next, number); /* each once, all of them */
}
END_TEST

static bool is_not_served(void *arg) {
  (void)arg;
  return !exists(served.socket);
}

/* Two daemons must not write to one trace: the next one starts when the last line is out. */
START_TEST(nobody_starts_before_the_trace_is_written_out) {
  struct path fifo = path_of("fifo");
  const char *argv[] = {harness_fcached(), "--socket", NULL, NULL};
  char *err;

  ck_assert_int_eq(mkfifo(fifo.text, 0600), 0);
  int reader = open(fifo.text, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  harness_start(&served, "--trace", fifo.text, NULL);
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  put_many_long(cache); /* more than a FIFO holds: the last line waits for a reader */
  fcache_close(cache);
  ck_assert_int_eq(kill(served.pid, SIGTERM), 0);
  ck_assert(harness_wait_until(is_not_served, NULL, TIMEOUT_MS));
  argv[2] = served.socket;
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "already running"));
  free(err);
  (void)close(reader); /* no more lines can be written, which ends it at once */
  ck_assert_int_eq(harness_stop(&served), 0);
}
END_TEST

START_TEST(a_trace_that_cannot_be_opened_is_an_error_at_start) {
  struct path socket = path_of("s");
  char *err;
  const char *const argv[] = {harness_fcached(), "--socket", socket.text, "--trace", folder, NULL};

  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, folder));
  ck_assert_ptr_nonnull(strstr(err, "trace"));
  ck_assert(!exists(socket.text));
  ck_assert(!exists(path_of("s.lock").text));
  free(err);
}
END_TEST

/* ---- when it does not ---- */

static bool has_lost(void *cache) {
  put_many_long(cache);
  return library_figure(cache, "trace_lost") > 0;
}

static void assert_serves(struct fcache *cache) {
  struct fcache_key key = library_key("op", "view", "served all the same", 0);

  library_put_text(cache, &key, "value");
  char *text = library_get_text(cache, &key);
  ck_assert_str_eq(text, "value");
  free(text);
}

/* A device that has no room, ever. */
START_TEST(a_failing_disk_costs_lines_and_not_service) {
  harness_start(&served, "--trace", "/dev/full", NULL);
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  for (int i = 0; i < 5; i++) {
    uint64_t lost = library_figure(cache, "trace_lost");

    ck_assert(harness_wait_until(has_lost, cache, TIMEOUT_MS));
    while (library_figure(cache, "trace_lost") == lost) /* a batch more; bounded by the test's */
      assert_serves(cache);
  }
  ck_assert_uint_eq(count_in_log("the trace cannot be written to /dev/full"), 1);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_uint_eq(count_in_log("trace lines were lost"), 1);
}
END_TEST

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
  return count_in_log("the trace is written again") == 1;
}

START_TEST(a_full_disk_costs_what_does_not_fit_and_recovers) {
  struct path disk = path_of("disk"), trace = path_of("disk/trace");

  if (!mount_small(disk.text))
    return;
  harness_start(&served, "--trace", trace.text, NULL);
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  ck_assert(harness_wait_until(has_lost, cache, TIMEOUT_MS));
  assert_serves(cache);
  /* what is on it is whole, though it ends where the disk did */
  size_t before = trace_lines_read(trace.text, NULL, NULL);
  ck_assert_uint_gt(before, 10);
  ck_assert_uint_eq(count_in_log("the trace cannot be written to"), 1);
  ck_assert_int_eq(mount(NULL, disk.text, NULL, MS_REMOUNT, "size=64m"), 0);
  ck_assert(harness_wait_until(is_written_again, NULL, TIMEOUT_MS));
  put_many_long(cache);
  uint64_t lines = library_figure(cache, "trace_lines"), lost = library_figure(cache, "trace_lost");
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  ck_assert_uint_eq(lines + lost, counters.cache_misses);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_uint_eq(trace_lines_read(trace.text, NULL, NULL), lines); /* all that was not lost */
  ck_assert_int_eq(umount2(disk.text, MNT_DETACH), 0);
}
END_TEST

/* ---- a full disk is freed ---- */

struct full {
  struct path disk, trace, other;
  struct fcache *cache;
  unsigned n_puts;
  size_t written; /* lines in the file; the others wait */
};

static uint64_t n_lines(const struct full *full) {
  return library_figure(full->cache, "trace_lines");
}

/* Lines that are in the file for good. Each try to write more leaves a part of a line at its end
 * for a moment, until the daemon takes it back. */
static size_t lines_on_disk(const struct full *full) {
  size_t size;
  char *text = harness_read_file(full->trace.text, &size);

  ck_assert_ptr_nonnull(text);
  size_t lines = count_lines(text, size);
  free(text);
  return lines;
}

/* A few lines at a time, so that those that do not fit are few: they are to fit on the empty disk.
 */
static bool cannot_be_written(void *arg) {
  struct full *full = arg;

  if (count_in_log("lines wait until there is room") == 1)
    return true;
  if (library_figure(full->cache, "trace_lines") == lines_on_disk(full))
    for (unsigned i = 0; i < 20; i++)
      put(full->cache, full->n_puts++);
  return false;
}

/* Traces to a disk until that is full, with a few lines that wait. */
static bool fill(struct full *full) {
  full->disk = path_of("disk");
  full->trace = path_of("disk/trace");
  full->other = path_of("other");
  if (!mount_small(full->disk.text))
    return false;
  harness_start(&served, "--trace", full->trace.text, "--trace-dir", folder, NULL);
  full->cache = library_open(served.socket, "traced", NULL, 0);
  ck_assert(harness_wait_until(cannot_be_written, full, TIMEOUT_MS));
  full->written = lines_on_disk(full);
  ck_assert_uint_eq(library_figure(full->cache, "trace_lost"), 0);
  ck_assert_uint_gt(n_lines(full), full->written);
  return true;
}

static void finish(struct full *full) {
  fcache_close(full->cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_uint_eq(count_in_log("trace lines were lost"), 0);
  ck_assert_int_eq(umount2(full->disk.text, MNT_DETACH), 0);
}

/* Does the daemon have no file open that has no name any more? */
static bool keeps_no_deleted_file(void *arg) {
  char path[64], target[256];
  bool none = true;

  (void)arg;
  for (int fd = 3; fd < 64; fd++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)served.pid, fd);
    ssize_t size = readlink(path, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = '\0';
    none = none && !(strstr(target, "/trace") && strstr(target, "(deleted)"));
  }
  return none;
}

static void ctl_trace(const char *word, const char *path, char **out) {
  const char *const argv[] = {
      harness_fcachectl(), "--socket", served.socket, "trace", word, path, NULL};

  ck_assert_int_eq(harness_run(argv, out, NULL), 0);
}

START_TEST(a_full_disk_is_freed_by_removing_the_trace) {
  struct full full = {0};

  if (!fill(&full))
    return;
  ck_assert_int_eq(unlink(full.trace.text), 0);
  ck_assert_int_eq(kill(served.pid, SIGHUP), 0);
  struct growth rest = {full.trace.text, n_lines(&full) - full.written, true};
  ck_assert(harness_wait_until(has_lines, &rest, TIMEOUT_MS));
  ck_assert(harness_wait_until(keeps_no_deleted_file, NULL, TIMEOUT_MS));
  put(full.cache, UINT32_MAX);
  rest.lines++;
  ck_assert(harness_wait_until(has_lines, &rest, TIMEOUT_MS));
  ck_assert_uint_eq(library_figure(full.cache, "trace_lost"), 0);
  ck_assert_uint_eq(library_figure(full.cache, "trace_waiting"), 0);
  finish(&full);
}
END_TEST

/* The disk is still full, and the lines wait for the new file; that counts as waiting. */
START_TEST(a_full_disk_is_freed_by_moving_the_trace_first) {
  struct full full = {0};

  if (!fill(&full))
    return;
  struct path moved = path_of("disk/trace.1");
  ck_assert_int_eq(rename(full.trace.text, moved.text), 0);
  ck_assert_int_eq(kill(served.pid, SIGHUP), 0);
  struct growth rest = {full.trace.text, 0, true};
  ck_assert(harness_wait_until(has_lines, &rest, TIMEOUT_MS));
  ck_assert_uint_eq(trace_lines_read(moved.text, NULL, NULL), full.written);
  rest.lines = n_lines(&full) - full.written;
  ck_assert_uint_eq(library_figure(full.cache, "trace_waiting"), rest.lines);
  ck_assert_int_eq(unlink(moved.text), 0);
  ck_assert(harness_wait_until(has_lines, &rest, TIMEOUT_MS));
  ck_assert(keeps_no_deleted_file(NULL));
  ck_assert_uint_eq(library_figure(full.cache, "trace_lost"), 0);
  finish(&full);
}
END_TEST

START_TEST(a_trace_elsewhere_gets_the_lines_of_a_full_disk) {
  struct full full = {0};

  if (!fill(&full))
    return;
  uint64_t waiting = n_lines(&full) - full.written;
  ck_assert_int_eq(unlink(full.trace.text), 0);
  ctl_trace("on", full.other.text, NULL);
  struct growth rest = {full.other.text, waiting, true};
  ck_assert(harness_wait_until(has_lines, &rest, TIMEOUT_MS));
  ck_assert(harness_wait_until(keeps_no_deleted_file, NULL, TIMEOUT_MS));
  ck_assert_uint_eq(library_figure(full.cache, "trace_lost"), 0);
  finish(&full);
}
END_TEST

static bool has_lost_all_that_waited(void *arg) {
  struct full *full = arg;

  return library_figure(full->cache, "trace_lost") > 0 &&
         library_figure(full->cache, "trace_lines") == full->written;
}

START_TEST(a_trace_that_is_turned_off_loses_at_once_what_a_full_disk_does_not_take) {
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
  ck_assert(harness_wait_until(has_lost_all_that_waited, &full, TIMEOUT_MS));
  ck_assert_uint_eq(library_figure(full.cache, "trace_lost"), waiting);
  ck_assert(harness_wait_until(keeps_no_deleted_file, NULL, TIMEOUT_MS));
  fcache_close(full.cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_int_eq(umount2(full.disk.text, MNT_DETACH), 0);
}
END_TEST

/* ---- a full disk, and a line on it without its end ---- */

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
  return count_in_log("lines wait until there is room") == 1;
}

enum way { AT_START, BY_COMMAND, BY_SIGNAL, N_WAYS };

static void trace_to_torn(enum way way, const char *trace, const char *filler) {
  struct growth none = {trace, 0, true};

  if (way == AT_START)
    tear(trace, filler);
  harness_start(&served, "--trace-dir", folder, way == BY_COMMAND ? NULL : "--trace", trace, NULL);
  if (way == AT_START)
    return;
  ck_assert(has_lines(&none));
  (void)unlink(trace); /* for BY_SIGNAL, to be another file at its path */
  tear(trace, filler);
  if (way == BY_COMMAND)
    ctl_trace("on", trace, NULL);
  else
    ck_assert_int_eq(kill(served.pid, SIGHUP), 0);
}

START_TEST(a_full_disk_does_not_refuse_a_file_that_ends_within_a_line) {
  struct path disk = path_of("disk"), trace = path_of("disk/trace"), filler = path_of("disk/x");

  if (!mount_small(disk.text))
    return;
  trace_to_torn((enum way)_i, trace.text, filler.text);
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  put(cache, 1);
  ck_assert(harness_wait_until(waits_for_room, NULL, TIMEOUT_MS));
  assert_serves(cache);
  ck_assert_uint_eq(library_figure(cache, "trace_lost"), 0);
  ck_assert_int_eq(unlink(filler.text), 0);
  struct growth whole = {trace.text, 1 + library_figure(cache, "trace_lines"), false};
  ck_assert(harness_wait_until(is_written_again, NULL, TIMEOUT_MS));
  ck_assert(has_lines(&whole));
  char *text = harness_read_file(trace.text, NULL);
  ck_assert_int_eq(strncmp(text + TORN_BYTES, "\n{\"ts\": ", 8), 0);
  free(text);
  ck_assert_uint_eq(library_figure(cache, "trace_waiting"), 0);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_int_eq(umount2(disk.text, MNT_DETACH), 0);
}
END_TEST

/* A FIFO without a reader cannot be opened; with one that never reads it fills up. */
START_TEST(a_fifo_that_nobody_reads_blocks_nothing) {
  struct path fifo = path_of("fifo"), socket = path_of("s");
  char *err;
  const char *const argv[] = {harness_fcached(), "--socket", socket.text,
                              "--trace",         fifo.text,  NULL};

  ck_assert_int_eq(mkfifo(fifo.text, 0600), 0);
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1); /* and not for ever in open() */
  ck_assert_ptr_nonnull(strstr(err, fifo.text));
  free(err);

  int reader = open(fifo.text, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  harness_start(&served, "--trace", fifo.text, NULL);
  struct fcache *cache = library_open(served.socket, "traced", NULL, 0);
  ck_assert(harness_wait_until(has_lost, cache, TIMEOUT_MS));
  for (int i = 0; i < 100; i++)
    assert_serves(cache);
  ck_assert_uint_eq(count_in_log("lines are lost and counted"), 1);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0); /* nor does the end wait for it */
  (void)close(reader);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tracing");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, lines_are_soon_in_the_file_and_always_whole);
  tcase_add_test(tcase, rotation_loses_no_line_and_no_order);
  tcase_add_test(tcase, nobody_starts_before_the_trace_is_written_out);
  tcase_add_test(tcase, a_trace_that_cannot_be_opened_is_an_error_at_start);
  tcase_add_test(tcase, a_failing_disk_costs_lines_and_not_service);
  tcase_add_test(tcase, a_full_disk_costs_what_does_not_fit_and_recovers);
  tcase_add_test(tcase, a_full_disk_is_freed_by_removing_the_trace);
  tcase_add_test(tcase, a_full_disk_is_freed_by_moving_the_trace_first);
  tcase_add_test(tcase, a_trace_elsewhere_gets_the_lines_of_a_full_disk);
  tcase_add_test(tcase, a_trace_that_is_turned_off_loses_at_once_what_a_full_disk_does_not_take);
  tcase_add_loop_test(tcase, a_full_disk_does_not_refuse_a_file_that_ends_within_a_line, 0, N_WAYS);
  tcase_add_test(tcase, a_fifo_that_nobody_reads_blocks_nothing);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
