#include "tests/support/traced_daemon.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/library.h"

struct daemon traced_daemon;
char traced_dir[HARNESS_PATH_SIZE];

void traced_set_up(void) {
  harness_make_dir(traced_dir);
}

void traced_tear_down(void) {
  ck_assert_int_eq(harness_stop(&traced_daemon), 0);
}

struct traced_path traced_path(const char *name) {
  struct traced_path path;

  (void)snprintf(path.text, sizeof path.text, "%s/%s", traced_dir, name);
  return path;
}

void traced_put(struct fcache *cache, unsigned number) {
  struct fcache_key key = {
      .op = "op", .view = "view", .prompt = fcache_hash(&number, sizeof number), .top_k = number};

  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 0, 0), FCACHE_OK);
}

void traced_put_long(struct fcache *cache) {
  static struct fcache_hash prompts[TRACED_LONG_PUTS];
  static struct fcache_bytes values[TRACED_LONG_PUTS];
  char name[256];

  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  ck_assert_int_eq(fcache_set_probe(cache, name), FCACHE_OK);
  for (unsigned i = 0; i < TRACED_LONG_PUTS; i++) {
    prompts[i] = fcache_hash(&i, sizeof i);
    values[i] = (struct fcache_bytes){"v", 1};
  }
  ck_assert_int_eq(fcache_put_many(cache, name, name, 0, prompts, values, TRACED_LONG_PUTS, 0, 0),
                   FCACHE_OK);
}

unsigned traced_logged(const char *text) {
  char *log = harness_log(&traced_daemon);
  unsigned n = 0;

  for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
    n++;
  free(log);
  return n;
}

size_t traced_count_lines(const char *text, size_t size) {
  size_t lines = 0;

  for (size_t i = 0; i < size; i++)
    lines += text[i] == '\n';
  return lines;
}

bool traced_has_lines(void *arg) {
  struct traced_growth *growth = arg;
  size_t size;
  char *text = harness_read_file(growth->path, &size);

  if (!text)
    return growth->lines == 0;
  ck_assert(growth->in_parts || size == 0 || text[size - 1] == '\n');
  size_t lines = traced_count_lines(text, size);
  free(text);
  ck_assert_uint_le(lines, growth->lines);
  return lines == growth->lines;
}

bool traced_has_lost(void *cache) {
  traced_put_long(cache);
  return library_stat(cache, "trace_lost") > 0;
}

void traced_check_served(struct fcache *cache) {
  struct fcache_key key = library_key("op", "view", "served all the same", 0);

  library_put_text(cache, &key, "value");
  char *text = library_get_text(cache, &key);
  ck_assert_str_eq(text, "value");
  free(text);
}

bool traced_exists(void *path) {
  struct stat status;

  return stat(path, &status) == 0;
}
