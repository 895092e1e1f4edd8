#include "daemon/trace/trace.h"
#include "daemon/trace/trace_file.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[96];
static uv_loop_t loop;
static struct trace trace;
static struct error_text fault;
static struct log journal;
static int journal_fd;
static bool was_closed, was_flushed;

static void on_closed(struct trace *closed, void *arg, bool flushed) {
  ck_assert_ptr_eq(closed, &trace);
  ck_assert_ptr_eq(arg, dir);
  ck_assert(!was_closed);
  was_closed = true;
  was_flushed = flushed;
}

static void set_up(void) {
  strcpy(dir, "/tmp/fcached-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/log", dir);
  journal_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ck_assert_int_ge(journal_fd, 0);
  log_init(&journal, journal_fd, true);
  snprintf(path, sizeof path, "%s/t.jsonl", dir);
  ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  ck_assert_int_eq(trace_init(&trace, &loop, &journal), 0);
  was_closed = false;
}

static void close_trace(void) {
  trace_close(&trace, on_closed, dir);
  ck_assert(!was_closed); /* from the loop, not from the call */
  ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
  ck_assert(was_closed);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(name);
}

static void tear_down(void) {
  if (!was_closed)
    close_trace();
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  close(journal_fd);
  ck_assert_int_eq(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int on(const char *where) {
  return trace_on(&trace, fc_str_of(where), &fault);
}

static void put_lines(unsigned first, unsigned n) {
  for (unsigned i = first; i < first + n; i++) {
    struct trace_event event = {.ts_ns = UINT64_C(1700000000000000000),
                                .view = fc_str_of("base"),
                                .top_k = i,
                                .op = fc_str_of("op"),
                                .name_space = fc_str_of("ns"),
                                .client = fc_str_of("client")};
    trace_write(&trace, &event);
  }
}

static char *read_whole(const char *name) {
  FILE *file = fopen(name, "r");
  ck_assert_ptr_nonnull(file);
  size_t capacity = 64u << 20, size;
  char *text = malloc(capacity);
  ck_assert_ptr_nonnull(text);
  size = fread(text, 1, capacity - 1, file);
  text[size] = '\0';
  ck_assert_int_eq(fclose(file), 0);
  char *fit = realloc(text, size + 1);
  return fit != NULL ? fit : text;
}

/* The file has whole lines only, and their top_k are first, first + 1, ... Returns how many. */
static unsigned check_lines(const char *name, unsigned first) {
  char *text = read_whole(name);
  unsigned n = 0;
  for (char *line = text, *end; *line != '\0'; line = end + 1, n++) {
    char field[64];
    end = strchr(line, '\n');
    ck_assert_msg(end != NULL, "the file ends within a line");
    *end = '\0';
    snprintf(field, sizeof field, "\"top_k\": %u,", first + n);
    ck_assert_msg(line[0] == '{' && end[-1] == '}' && strstr(line, field) != NULL, "%s", line);
  }
  free(text);
  return n;
}

static unsigned count_in_journal(const char *part) {
  char name[96];
  snprintf(name, sizeof name, "%s/log", dir);
  char *text = read_whole(name);
  unsigned n = 0;
  for (char *at = text; (at = strstr(at, part)) != NULL; at++)
    n++;
  free(text);
  return n;
}

/* Runs the loop until nothing is unwritten; false after `ms`. */
static bool run_until_written(unsigned ms) {
  uint64_t until = runner_now_ms() + ms;
  while (trace.unwritten_bytes > 0 && runner_now_ms() < until)
    (void)uv_run(&loop, UV_RUN_ONCE); /* how many handles are left is not of interest */
  return trace.unwritten_bytes == 0;
}

START_TEST(off_is_nothing) {
  put_lines(0, 10);
  trace_reopen(&trace);
  trace_off(&trace);
  ck_assert_uint_eq(trace.events, 0);
  ck_assert(!trace_is_on(&trace));
  ck_assert_ptr_null(trace_path(&trace));
  close_trace();
  ck_assert(was_flushed);
}
END_TEST

START_TEST(in_the_file_within_100_ms) {
  struct stat st;
  ck_assert_int_eq(on(path), 0);
  ck_assert_str_eq(trace_path(&trace), path);
  ck_assert_int_eq(stat(path, &st), 0);
  ck_assert_uint_eq(st.st_mode & 0777 & ~0640u, 0);
  uint64_t start = runner_now_ms(); /* before the loop's own time: it may stand still in between */
  uv_update_time(&loop);
  put_lines(0, 3);
  ck_assert_uint_le(uv_timer_get_due_in(&trace.timer), 100 - 20); /* what is left is the disk's */
  ck_assert_int_eq(stat(path, &st), 0);
  ck_assert_int_eq(st.st_size, 0); /* gathered */
  ck_assert(run_until_written(10000));
  uint64_t took = runner_now_ms() - start;
  ck_assert_uint_ge(took, TRACE_DELAY_MS - 2);
  ck_assert_uint_lt(took, 10000); /* 100 on a machine that does nothing else */
  ck_assert_uint_eq(check_lines(path, 0), 3);
  ck_assert_uint_eq(trace_lines(&trace), 3);
}
END_TEST

START_TEST(close_writes_the_rest) {
  ck_assert_int_eq(on(path), 0);
  put_lines(0, 20000); /* several batches */
  close_trace();
  ck_assert(was_flushed);
  ck_assert_uint_eq(check_lines(path, 0), 20000);
  ck_assert_uint_eq(trace.lost, 0);
  ck_assert_uint_eq(trace.unwritten_bytes, 0);
}
END_TEST

START_TEST(makes_the_directory_and_appends) {
  char deep[160];
  snprintf(deep, sizeof deep, "%s/a/b/c/t.jsonl", dir);
  ck_assert_int_eq(on(deep), 0);
  put_lines(0, 2);
  trace_off(&trace);
  put_lines(77, 2);
  ck_assert_int_eq(on(deep), 0);
  put_lines(2, 2);
  close_trace();
  ck_assert_uint_eq(check_lines(deep, 0), 4);
}
END_TEST

START_TEST(refuses_what_it_cannot_open) {
  char under[160];
  ck_assert_int_eq(on(path), 0);
  ck_assert_int_eq(on(dir), FC_ETRACE);
  ck_assert_ptr_nonnull(strstr(fault.text, dir));
  snprintf(under, sizeof under, "%s/x", path);
  ck_assert_int_eq(on(under), FC_ETRACE);
  ck_assert_int_eq(on(""), FC_ETRACE);
  ck_assert_int_eq(trace_on(&trace, (struct fc_str){"a\0b", 3}, &fault), FC_ETRACE);
  ck_assert_str_eq(trace_path(&trace), path); /* the former state stays */
  put_lines(0, 1);
  close_trace();
  ck_assert_uint_eq(check_lines(path, 0), 1);
}
END_TEST

START_TEST(rotation) {
  char old[128];
  snprintf(old, sizeof old, "%s.1", path);
  ck_assert_int_eq(on(path), 0);
  put_lines(0, 10);
  ck_assert_int_eq(rename(path, old), 0);
  trace_reopen(&trace);
  put_lines(10, 5);
  trace_reopen(&trace); /* the same file: nothing changes */
  ck_assert_ptr_eq(trace.files, trace.current);
  ck_assert_uint_eq(count_in_journal("the trace was opened again"), 2);
  put_lines(15, 5);
  ck_assert(run_until_written(10000));
  ck_assert_uint_eq(check_lines(old, 0), 10);
  ck_assert_uint_eq(check_lines(path, 10), 10);
}
END_TEST

START_TEST(failed_rotation_keeps_the_old_file) {
  char sub[80], sub_file[96], moved[96];
  snprintf(sub, sizeof sub, "%s/sub", dir);
  snprintf(sub_file, sizeof sub_file, "%s/t", sub);
  snprintf(moved, sizeof moved, "%s/t", dir);
  ck_assert_int_eq(on(sub_file), 0);
  put_lines(0, 1);
  ck_assert_int_eq(rename(sub_file, moved), 0);
  ck_assert_int_eq(mkdir(sub_file, 0700), 0); /* cannot be opened to write */
  trace_reopen(&trace);
  ck_assert_uint_eq(count_in_journal("the trace stays in its old file"), 1);
  put_lines(1, 1);
  close_trace();
  ck_assert_uint_eq(check_lines(moved, 0), 2);
}
END_TEST

START_TEST(many_files_while_draining) {
  char fifo[96];
  snprintf(fifo, sizeof fifo, "%s/fifo", dir);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_eq(on(fifo), 0);
  put_lines(0, 2000); /* more than it holds */
  ck_assert_int_eq(on(path), 0);
  put_lines(0, 10); /* not held up by the FIFO */
  uint64_t until = runner_now_ms() + 10000;
  while (check_lines(path, 0) < 10 && runner_now_ms() < until)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_eq(check_lines(path, 0), 10);
  ck_assert_int_eq(on(fifo), 0); /* the draining one is taken up again */
  ck_assert_str_eq(trace_path(&trace), fifo);
  close(reader); /* EPIPE: its lines are lost, and counted */
  close_trace();
  ck_assert(was_flushed);
  ck_assert_uint_eq(trace.events, 2010);
  ck_assert_uint_gt(trace.lost, 0);
}
END_TEST

START_TEST(failing_disk) {
  ck_assert_int_eq(on("/dev/full"), 0);
  for (unsigned i = 0; i < 20; i++) {
    put_lines(0, 10);
    ck_assert(run_until_written(10000));
  }
  ck_assert_uint_eq(trace.events, 200);
  ck_assert_uint_eq(trace.lost, 200);
  ck_assert_uint_eq(trace_lines(&trace), 0);
  ck_assert_uint_eq(count_in_journal("cannot be written to /dev/full"), 1); /* said once */
  ck_assert_int_eq(on(path), 0);
  put_lines(0, 1);
  close_trace();
  ck_assert_uint_eq(check_lines(path, 0), 1);
  ck_assert_uint_eq(count_in_journal("200 of 201 trace lines were lost"), 1);
}
END_TEST

START_TEST(slow_disk_is_bounded) {
  char fifo[96];
  snprintf(fifo, sizeof fifo, "%s/fifo", dir);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  ck_assert_int_eq(on(fifo), FC_ETRACE); /* nobody has it open to read */
  int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  (void)fcntl(reader, F_SETPIPE_SZ, 1 << 20); /* only makes the end of this test faster */
  ck_assert_int_eq(on(fifo), 0);
  unsigned rounds = 0;
  uint64_t until = runner_now_ms() + 10000;
  /* On until it is full: the write that fills the pipe may end at any time. */
  while (rounds < 100 || (trace.unwritten_bytes <= TRACE_UNWRITTEN_MAX - 2 * TRACE_LINE_MAX &&
                          runner_now_ms() < until)) {
    put_lines(rounds++ * 1000, 1000);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_le(trace.unwritten_bytes, TRACE_UNWRITTEN_MAX);
  }
  ck_assert_uint_gt(trace.lost, 0);
  ck_assert_uint_gt(trace.unwritten_bytes, TRACE_UNWRITTEN_MAX - 2 * TRACE_LINE_MAX);
  ck_assert_uint_eq(count_in_journal("as fast as it comes"), 1);
  /* Now it is read, at first too slowly: all that was kept arrives, in whole lines. */
  uint64_t lines = 0, torn = 0, all = rounds * 1000 + 50000;
  until = runner_now_ms() + 20000;
  char *text = malloc(1u << 20);
  ck_assert_ptr_nonnull(text);
  char last = '\n';
  while (lines < trace_lines(&trace) && runner_now_ms() < until) {
    if (trace.events < all)
      put_lines(0, 2000);
    ssize_t n = read(reader, text, 1u << 20);
    for (ssize_t i = 0; i < n; i++) {
      torn += last == '\n' && text[i] != '{'; /* an assertion per byte would take seconds */
      lines += text[i] == '\n';
      last = text[i];
    }
    (void)uv_run(&loop, n > 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  }
  free(text);
  ck_assert_uint_eq(torn, 0);
  ck_assert_uint_eq(lines, trace_lines(&trace));
  ck_assert_uint_eq(trace.events, all);
  ck_assert(run_until_written(10000));
  ck_assert_uint_eq(count_in_journal("as fast as it comes"), 1); /* one episode, said once */
  close_trace();
  ck_assert(was_flushed);
  close(reader);
}
END_TEST

/* Well over half of what may wait; the loop does not run meanwhile. */
static void fill_half(void) {
  while (trace.unwritten_bytes <= TRACE_UNWRITTEN_MAX / 4 * 3)
    put_lines(0, 1000);
}

START_TEST(is_behind_while_the_disk_takes_its_time) {
  ck_assert(!trace_is_behind(&trace));
  ck_assert_int_eq(on(path), 0);
  put_lines(0, 1000);
  ck_assert(!trace_is_behind(&trace));
  fill_half();
  ck_assert(trace_is_behind(&trace));
  ck_assert(run_until_written(10000));
  ck_assert(!trace_is_behind(&trace));
  fill_half();
  trace_off(&trace);
  ck_assert(!trace_is_behind(&trace));
}
END_TEST

START_TEST(a_disk_that_fails_is_not_waited_for) {
  ck_assert_int_eq(on("/dev/full"), 0);
  put_lines(0, 1);
  ck_assert(run_until_written(10000));
  fill_half();
  ck_assert(!trace_is_behind(&trace));
  ck_assert_int_eq(on(path), 0); /* another one is */
  ck_assert(run_until_written(10000));
  fill_half();
  ck_assert(trace_is_behind(&trace));
}
END_TEST

START_TEST(a_pipe_is_waited_for_while_somebody_reads) {
  char fifo[96], text[4096];
  snprintf(fifo, sizeof fifo, "%s/fifo", dir);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  ck_assert_int_eq(on(fifo), 0);
  fill_half();
  ck_assert(trace_is_behind(&trace));
  while (trace_is_behind(&trace)) /* until a write got nothing into it */
    (void)uv_run(&loop, UV_RUN_ONCE);
  while (!trace_is_behind(&trace)) { /* until one did again */
    ck_assert_uint_gt(trace.unwritten_bytes, TRACE_UNWRITTEN_MAX / 2);
    ck_assert_int_ge(read(reader, text, sizeof text), 0);
    (void)uv_run(&loop, UV_RUN_ONCE);
  }
  close(reader);
}
END_TEST

START_TEST(a_former_file_that_is_stuck_is_not_waited_for) {
  char fifo[96];
  snprintf(fifo, sizeof fifo, "%s/fifo", dir);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_eq(on(fifo), 0);
  fill_half();
  ck_assert_int_eq(on(path), 0);
  ck_assert(!trace_is_behind(&trace));
  put_lines(0, 8000); /* more than half of the quarter that is left */
  ck_assert_uint_eq(trace.lost, 0);
  ck_assert(trace_is_behind(&trace));
  while (trace_is_behind(&trace)) /* this file moves on all the same */
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_uint_gt(trace.unwritten_bytes, TRACE_UNWRITTEN_MAX / 2);
  close(reader);
}
END_TEST

START_TEST(a_write_that_hangs_is_not_waited_for) {
  ck_assert_int_eq(on(path), 0);
  uv_update_time(&loop);
  uint64_t start = runner_now_ms();
  fill_half(); /* the loop hears of no end of the write until it runs */
  ck_assert(trace_is_behind(&trace));
  while (trace_is_behind(&trace))
    uv_update_time(&loop);
  ck_assert_uint_ge(runner_now_ms() - start, TRACE_HANG_MS - 10);
}
END_TEST

START_TEST(close_is_bounded) {
  char fifo[96];
  snprintf(fifo, sizeof fifo, "%s/fifo", dir);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_eq(on(fifo), 0);
  put_lines(0, 2000);
  uint64_t start = runner_now_ms();
  close_trace();
  ck_assert_uint_lt(runner_now_ms() - start, TRACE_CLOSE_MAX_MS + 2000);
  ck_assert(was_flushed); /* settled: the struct may go */
  ck_assert_uint_gt(trace.lost, 0);
  ck_assert_uint_eq(trace.unwritten_bytes, 0);
  ck_assert_uint_eq(count_in_journal("trace lines were lost"), 1);
  close(reader);
}
END_TEST

START_TEST(ends_a_torn_line_first) {
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_eq(write(fd, "{\"ts\": 17", 9), 9);
  close(fd);
  ck_assert_int_eq(on(path), 0);
  put_lines(0, 1);
  close_trace();
  char *text = read_whole(path);
  ck_assert_int_eq(strncmp(text, "{\"ts\": 17\n{\"ts\": 1700000000.000000, ", 36), 0);
  free(text);
}
END_TEST

/* While the pool writes, the file may end within a line, which is none of ours to end. */
START_TEST(the_same_file_is_opened_again_untouched) {
  struct stat st;
  ck_assert_int_eq(on(path), 0);
  int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  ck_assert_int_eq(write(fd, "{\"ts\": 17", 9), 9);
  trace_reopen(&trace);
  ck_assert_int_eq(on(path), 0);
  ck_assert_int_eq(fstat(fd, &st), 0);
  ck_assert_int_eq(st.st_size, 9);
  close(fd);
}
END_TEST

/* In a child: a file that may grow to `limit` bytes only takes whole lines. */
static int limited_child(void) {
  static const char text[] = "first\nsecond\nthird\n";
  struct trace_file file;
  struct stat st;
  size_t written;
  struct rlimit limit = {16, RLIM_INFINITY};
  if (trace_file_open(&file, NULL, fc_str_of(path), &fault) < 0)
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

START_TEST(short_write_is_cut_to_whole_lines) {
  int status;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(limited_child());
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  char *text = read_whole(path);
  ck_assert_str_eq(text, "first\nsecond\nthird\n");
  free(text);
}
END_TEST

/* The same where the beginning cannot be taken back: the rest follows first. */
START_TEST(begun_line_is_finished) {
  char fifo[96], chunk[4096], last = 0;
  struct trace_file file;
  size_t written, total = 0;
  snprintf(fifo, sizeof fifo, "%s/fifo", dir);
  ck_assert_int_eq(mkfifo(fifo, 0600), 0);
  int reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_eq(trace_file_open(&file, NULL, fc_str_of(fifo), &fault), 0);
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
  set_up();
  if (on(path) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
    return 1;
  limit.rlim_cur = RLIM_INFINITY;
  put_lines(0, 100);
  if (!run_until_written(10000) || trace.lost == 0 || trace.lost == 100)
    return 2;
  unsigned first = check_lines(path, 0);
  if (first != 100 - trace.lost)
    return 3;
  if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
    return 4;
  put_lines(first, 50); /* it goes on, in the same file, after a whole line */
  close_trace();
  if (check_lines(path, 0) != first + 50 || !was_flushed)
    return 5;
  tear_down();
  return 0;
}

START_TEST(goes_on_after_a_failure) {
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

/* On a real file system without room, of a mount namespace of its own. */
static int no_room_child(void) {
  char mounted[80], file[96], filler[96];
  set_up();
  snprintf(mounted, sizeof mounted, "%s/m", dir);
  snprintf(file, sizeof file, "%s/t", mounted);
  snprintf(filler, sizeof filler, "%s/f", mounted);
  if (mkdir(mounted, 0700) < 0)
    return 1;
  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("none", mounted, "tmpfs", 0, "size=64k") < 0) {
    tear_down();
    return SKIPPED;
  }
  int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  char block[4096] = {0};
  for (int i = 0; i < 14; i++)
    (void)!write(fd, block, sizeof block); /* what is left is 8 KiB */
  if (on(file) < 0)
    return 2;
  put_lines(0, 1000);
  uint64_t until = runner_now_ms() + 10000;
  while (count_in_journal("lines wait until there is room") == 0 && runner_now_ms() < until)
    (void)uv_run(&loop, UV_RUN_ONCE);
  if (count_in_journal("lines wait until there is room") != 1 || trace.lost != 0)
    return 3;
  unsigned n = check_lines(file, 0);
  if (n == 0 || n >= 1000) /* whole lines, and as many as there was room for */
    return 4;
  if (ftruncate(fd, 0) < 0 || mount("none", mounted, "tmpfs", MS_REMOUNT, "size=4m") < 0)
    return 5;
  if (!run_until_written(10000) || check_lines(file, 0) != 1000 || trace.lost != 0)
    return 6;
  if (close(fd) < 0)
    return 7;
  close_trace();
  if (umount(mounted) < 0)
    return 8;
  tear_down();
  return 0;
}

START_TEST(waits_for_room) {
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
  Suite *suite = suite_create("trace");
  TCase *tc = tcase_create("trace");
  tcase_add_checked_fixture(tc, set_up, tear_down);
  tcase_set_timeout(tc, 30);
  tcase_add_test(tc, off_is_nothing);
  tcase_add_test(tc, in_the_file_within_100_ms);
  tcase_add_test(tc, close_writes_the_rest);
  tcase_add_test(tc, makes_the_directory_and_appends);
  tcase_add_test(tc, refuses_what_it_cannot_open);
  tcase_add_test(tc, rotation);
  tcase_add_test(tc, failed_rotation_keeps_the_old_file);
  tcase_add_test(tc, many_files_while_draining);
  tcase_add_test(tc, failing_disk);
  tcase_add_test(tc, slow_disk_is_bounded);
  tcase_add_test(tc, is_behind_while_the_disk_takes_its_time);
  tcase_add_test(tc, a_disk_that_fails_is_not_waited_for);
  tcase_add_test(tc, a_pipe_is_waited_for_while_somebody_reads);
  tcase_add_test(tc, a_former_file_that_is_stuck_is_not_waited_for);
  tcase_add_test(tc, a_write_that_hangs_is_not_waited_for);
  tcase_add_test(tc, close_is_bounded);
  tcase_add_test(tc, ends_a_torn_line_first);
  tcase_add_test(tc, the_same_file_is_opened_again_untouched);
  tcase_add_test(tc, short_write_is_cut_to_whole_lines);
  tcase_add_test(tc, begun_line_is_finished);
  suite_add_tcase(suite, tc);
  TCase *forked = tcase_create("in a process of its own");
  tcase_set_timeout(forked, 30);
  tcase_add_test(forked, goes_on_after_a_failure);
  tcase_add_test(forked, waits_for_room);
  suite_add_tcase(suite, forked);
  return runner_run(suite);
}
