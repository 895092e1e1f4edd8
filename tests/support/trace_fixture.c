#include "tests/support/trace_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/runner.h"

struct trace_fixture tf;

void trace_fixture_start(void) {
  memset(&tf, 0, sizeof tf);
  strcpy(tf.dir, "/tmp/fcached-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(tf.dir));
  (void)snprintf(tf.path, sizeof tf.path, "%s/log", tf.dir);
  tf.log_fd = open(tf.path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ck_assert_int_ge(tf.log_fd, 0);
  log_init(&tf.log, tf.log_fd, true);
  (void)snprintf(tf.path, sizeof tf.path, "%s/t.jsonl", tf.dir);
  ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  ck_assert_int_eq(uv_loop_init(&tf.loop), 0);
  ck_assert_int_eq(trace_init(&tf.trace, &tf.loop, &tf.log), 0);
}

static void on_closed(struct trace *closed, void *arg, bool flushed) {
  ck_assert_ptr_eq(closed, &tf.trace);
  ck_assert_ptr_eq(arg, tf.dir);
  ck_assert(!tf.was_closed);
  tf.was_closed = true;
  tf.was_flushed = flushed;
}

void trace_fixture_close(void) {
  trace_close(&tf.trace, on_closed, tf.dir);
  ck_assert(!tf.was_closed); /* from the loop, not from the call */
  ck_assert_int_eq(uv_run(&tf.loop, UV_RUN_DEFAULT), 0);
  ck_assert(tf.was_closed);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(name);
}

void trace_fixture_end(void) {
  if (!tf.was_closed)
    trace_fixture_close();
  ck_assert_int_eq(uv_loop_close(&tf.loop), 0);
  (void)close(tf.log_fd);
  ck_assert_int_eq(nftw(tf.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int trace_fixture_on(const char *path) {
  return trace_on(&tf.trace, fc_str_of(path), &tf.reason);
}

void trace_fixture_write(unsigned first, unsigned n) {
  struct trace_context context = {.view = fc_str_of("base"),
                                  .op = fc_str_of("op"),
                                  .name_space = fc_str_of("ns"),
                                  .client = fc_str_of("client")};
  for (unsigned i = first; i < first + n; i++) {
    struct trace_event event = {.ts_ns = UINT64_C(1700000000000000000), .top_k = i};
    trace_write(&tf.trace, &context, &event);
  }
}

void trace_fixture_fall_behind(void) {
  while (tf.trace.unwritten_bytes <= TRACE_UNWRITTEN_MAX / 4 * 3)
    trace_fixture_write(0, 1000);
}

bool trace_fixture_run(unsigned ms) {
  uint64_t until = runner_now_ms() + ms;
  while (tf.trace.unwritten_bytes > 0 && runner_now_ms() < until)
    (void)uv_run(&tf.loop, UV_RUN_ONCE); /* the number of active handles does not matter */
  return tf.trace.unwritten_bytes == 0;
}

char *trace_fixture_read(const char *path) {
  FILE *file = fopen(path, "r");
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

unsigned trace_fixture_check_lines(const char *path, unsigned first) {
  char *text = trace_fixture_read(path);
  unsigned n = 0;
  for (char *line = text, *end; *line != '\0'; line = end + 1, n++) {
    char field[64];
    end = strchr(line, '\n');
    ck_assert_msg(end != NULL, "the file ends within a line");
    *end = '\0';
    (void)snprintf(field, sizeof field, "\"top_k\": %u,", first + n);
    ck_assert_msg(line[0] == '{' && end[-1] == '}' && strstr(line, field) != NULL, "%s", line);
  }
  free(text);
  return n;
}

unsigned trace_fixture_logged(const char *part) {
  char path[96];
  (void)snprintf(path, sizeof path, "%s/log", tf.dir);
  char *text = trace_fixture_read(path);
  unsigned n = 0;
  for (char *at = text; (at = strstr(at, part)) != NULL; at++)
    n++;
  free(text);
  return n;
}

int trace_fixture_make_fifo(char path[96]) {
  (void)snprintf(path, 96, "%s/fifo", tf.dir);
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ck_assert_int_ge(reader, 0);
  return reader;
}
