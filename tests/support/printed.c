#include "printed.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/text.h"

void printed_add_stat(struct stats_snapshot *snapshot, const char *name_space, const char *name,
                      enum fcache_stat_kind kind, double number, const char *text) {
  struct fcache_stat stat = {.name_space = name_space,
                             .name = name,
                             .kind = kind,
                             .integer = (uint64_t)number,
                             .real = number,
                             .text = text};

  stats_snapshot_add(snapshot, &stat);
  ck_assert(!snapshot->failed);
}

void printed_fits(const char *text) {
  char *copy = strdup(text), *rest = copy;

  ck_assert_ptr_nonnull(copy);
  for (char *line; (line = strsep(&rest, "\n")) != NULL;)
    if (text_width(line) > PRINTED_COLUMNS)
      ck_abort_msg("%zu columns: %s", text_width(line), line);
  free(copy);
}

void printed_is(char *text, const char *want) {
  ck_assert_str_eq(text, want);
  free(text);
}

void printed_contains(const char *text, const char *part) {
  if (!strstr(text, part))
    ck_abort_msg("no \"%s\" in: %s", part, text);
}

char *printed_listing(struct listing options, const struct listing_kind *kind,
                      void (*print)(struct listing *listing, const void *items, size_t n),
                      const void *items, size_t n) {
  char *text = NULL;
  size_t size;

  options.out = open_memstream(&text, &size);
  listing_begin(&options, kind);
  print(&options, items, n);
  listing_end(&options, kind, true);
  ck_assert_int_eq(fclose(options.out), 0);
  ck_assert(!options.failed);
  ck_assert_uint_eq(options.n, n);
  return text;
}

json_t *printed_first_object(char *text, size_t n, json_t **all) {
  *all = json_loads(text, 0, NULL);
  if (!*all)
    ck_abort_msg("no JSON: %s", text);
  ck_assert_uint_eq(json_array_size(*all), n);
  free(text);
  return json_array_get(*all, 0);
}

void printed_string(const json_t *object, const char *name, const char *want) {
  ck_assert_ptr_nonnull(json_object_get(object, name));
  ck_assert_pstr_eq(json_string_value(json_object_get(object, name)), want);
}

void printed_number(const json_t *object, const char *name, double want) {
  const json_t *value = json_object_get(object, name);

  ck_assert(json_is_number(value));
  ck_assert_double_eq(json_number_value(value), want);
}

const char *printed_long_name(void) {
  static char name[256];

  memset(name, 'n', sizeof name - 1);
  return name;
}

struct fc_key printed_key(const char *op, const char *view) {
  return (struct fc_key){.op = fc_str_of(op),
                         .view = fc_str_of(view),
                         .top_k = 64,
                         .prompt = {{0xab, 0xcd, 0xef, 0x01}}};
}

void printed_key_is(const json_t *object) {
  printed_string(object, "op", "logprob_of");
  printed_string(object, "view", "base");
  printed_string(object, "prompt_hash", "abcdef01000000000000000000000000");
  printed_number(object, "top_k", 64);
}
