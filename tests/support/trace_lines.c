#include "tests/support/trace_lines.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const fields[] = {"ts", "probe",   "view_id", "prompt_hash", "top_k",
                                     "op", "wall_ms", "hit",     "namespace",   "client"};

static void assert_fields(json_t *object, const char *text) {
  size_t n = 0;

  /* jansson keeps their order */
  for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
    const char *key = json_object_iter_key(at);

    if (n == sizeof fields / sizeof fields[0] || strcmp(key, fields[n]) != 0)
      ck_abort_msg("field %zu is %s: %s", n, key, text);
    n++;
  }
  if (n != sizeof fields / sizeof fields[0])
    ck_abort_msg("only %zu fields: %s", n, text);
}

static const char *name(json_t *object, const char *field, const char *text) {
  const char *value = json_string_value(json_object_get(object, field));

  if (!value || !*value)
    ck_abort_msg("%s is no name: %s", field, text);
  return value;
}

static struct trace_line parse(json_t *object, const char *text) {
  json_t *probe = json_object_get(object, "probe");
  json_t *hit = json_object_get(object, "hit");
  struct trace_line line = {.probe = json_string_value(probe),
                            .view = name(object, "view_id", text),
                            .prompt_hash = name(object, "prompt_hash", text),
                            .op = name(object, "op", text),
                            .name_space = name(object, "namespace", text),
                            .client = name(object, "client", text),
                            .top_k = json_integer_value(json_object_get(object, "top_k")),
                            .ts = json_number_value(json_object_get(object, "ts")),
                            .wall_ms = json_number_value(json_object_get(object, "wall_ms")),
                            .hit = json_is_true(hit)};
  bool valid =
      (line.probe || json_is_null(probe)) && json_is_boolean(hit) &&
      strlen(line.prompt_hash) == 32 && strspn(line.prompt_hash, "0123456789abcdef") == 32 &&
      json_is_integer(json_object_get(object, "top_k")) && line.top_k >= 0 &&
      json_is_number(json_object_get(object, "wall_ms")) && line.wall_ms >= 0 && line.ts > 1e9;

  if (!valid)
    ck_abort_msg("a field is not what it should be: %s", text);
  return line;
}

size_t trace_lines_read(const char *path, void (*fn)(void *arg, const struct trace_line *line),
                        void *arg) {
  FILE *file = fopen(path, "re");
  char *text = NULL;
  size_t capacity = 0, n = 0;
  ssize_t size;

  if (!file)
    ck_abort_msg("%s: %s", path, strerror(errno));
  while ((size = getline(&text, &capacity, file)) > 0) {
    json_t *object = json_loadb(text, (size_t)size, JSON_REJECT_DUPLICATES, NULL);

    if (text[size - 1] != '\n' || !json_is_object(object))
      ck_abort_msg("line %zu of %s is not a whole one: %s", n + 1, path, text);
    assert_fields(object, text);
    struct trace_line line = parse(object, text);
    if (fn)
      fn(arg, &line);
    json_decref(object);
    n++;
  }
  free(text);
  (void)fclose(file); /* only read */
  return n;
}

void trace_in_memory(char path[TRACE_PATH_SIZE]) {
  int fd = memfd_create("trace", MFD_CLOEXEC);

  if (fd < 0)
    ck_abort_msg("memfd_create: %s", strerror(errno));
  (void)snprintf(path, TRACE_PATH_SIZE, "/proc/%d/fd/%d", (int)getpid(), fd);
}
