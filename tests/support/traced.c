#include "traced.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void traced_start(struct traced *traced) {
  struct error_text reason;
  memset(traced, 0, sizeof *traced);
  int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  log_init(&traced->log, fd, false);
  strcpy(traced->dir, "/tmp/fcached-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(traced->dir));
  (void)snprintf(traced->path, sizeof traced->path, "%s/t.jsonl", traced->dir);
  ck_assert_int_eq(uv_loop_init(&traced->loop), 0);
  ck_assert_int_eq(trace_init(&traced->trace, &traced->loop, &traced->log), 0);
  ck_assert_int_eq(trace_on(&traced->trace, fc_str_of(traced->path), &reason), 0);
}

static void on_closed(struct trace *trace, void *arg, bool flushed) {
  (void)trace;
  (void)arg;
  ck_assert(flushed);
}

void traced_end(struct traced *traced) {
  trace_close(&traced->trace, on_closed, NULL);
  ck_assert_int_eq(uv_run(&traced->loop, UV_RUN_DEFAULT), 0);
  ck_assert_int_eq(uv_loop_close(&traced->loop), 0);
  ck_assert_int_eq(close(traced->log.fd), 0);
  ck_assert_int_eq(unlink(traced->path), 0);
  ck_assert_int_eq(rmdir(traced->dir), 0);
  free(traced->text);
}

static void append(struct traced *traced) {
  struct trace_context context = {.view = fc_str_of("base"),
                                  .op = fc_str_of("op"),
                                  .name_space = fc_str_of("ns"),
                                  .client = fc_str_of("filler")};
  struct trace_event event = {0};
  trace_write(&traced->trace, &context, &event);
}

/* The loop does not run in these two, so no write ends. */
void traced_fall_behind(struct traced *traced) {
  while (!trace_is_behind(&traced->trace))
    append(traced);
}

void traced_fill(struct traced *traced) {
  while (traced->trace.lost == 0)
    append(traced);
}

void traced_write_out(struct traced *traced) {
  while (traced->trace.unwritten_bytes > 0)
    (void)uv_run(&traced->loop, UV_RUN_ONCE); /* the number of active handles does not matter */
}

static char *read_whole(const char *path, size_t *whole) {
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(size + 1);
  ck_assert_ptr_nonnull(text);
  ck_assert_uint_eq(fread(text, 1, size, file), size);
  text[size] = '\0';
  ck_assert_int_eq(fclose(file), 0);
  *whole = size;
  return text;
}

/* Uses no functions for strings: AddressSanitizer checks the whole text at each call. */
const char *traced_text(struct traced *traced) {
  traced_write_out(traced);
  free(traced->text);
  traced->text = read_whole(traced->path, &traced->size);
  char *to = traced->text, *past = traced->text + traced->size;
  for (char *line = traced->text, *end; line < past; line = end) {
    end = memchr(line, '\n', (size_t)(past - line));
    ck_assert_msg(end != NULL, "the file ends within a line");
    size_t size = (size_t)(++end - line);
    if (memmem(line, size, "\"client\": \"filler\"", 18) == NULL) {
      memmove(to, line, size);
      to += size;
    }
  }
  *to = '\0';
  traced->size = (size_t)(to - traced->text);
  return traced->text;
}

unsigned traced_count(struct traced *traced, const char *part) {
  unsigned n = 0;
  const char *at = traced_text(traced), *past = at + traced->size;
  while ((at = memmem(at, (size_t)(past - at), part, strlen(part))) != NULL) {
    at++;
    n++;
  }
  return n;
}
