/* fcachectl list: rows within 80 columns, and JSON. */
#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/commands/listing.h"
#include "client/ctl/print/text.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

/* Every column as wide as it comes: 7 digits, "1023 MiB", "99d 23h". */
static struct fc_list_entry wide_entry(const char *name) {
  return (struct fc_list_entry){.name_space = fc_str_of(name),
                                .key = {.op = fc_str_of(name),
                                        .view = fc_str_of(name),
                                        .top_k = 9999999,
                                        .prompt = {{0xab, 0xcd, 0xef, 0x01}}},
                                .value_size = 1023u << 20,
                                .charge = UINT32_MAX,
                                .compute_ns = UINT64_C(8639999000000000),
                                .idle_ns = UINT64_C(8639999000000000),
                                .hits = 9999999};
}

static void print_items(struct listing *listing, const void *items, size_t n) {
  for (size_t i = 0; i < n; i++)
    list_print_entry(listing, (const struct fc_list_entry *)items + i);
}

static char *print_list(struct listing options, const struct fc_list_entry *entries, size_t n) {
  return printed_listing(options, &list_kind, print_items, entries, n);
}

START_TEST(list_widest_entries_fit_80_columns) {
  struct fc_list_entry entries[2];
  char *text, name[256];

  memset(name, 'n', 255);
  name[255] = '\0';
  entries[0] = entries[1] = wide_entry(name);
  entries[1].key.top_k = UINT32_MAX;
  entries[1].value_size = UINT32_MAX;
  entries[1].compute_ns = entries[1].idle_ns = entries[1].hits = UINT64_MAX;
  text = print_list((struct listing){.filter.name_space = _i == 1 ? "n" : NULL}, entries, 2);
  printed_fits(text);
  printed_contains(text, "nnnnnn    9999999 abcdef 1023 MiB 99d 23h 99d 23h 9999999\n");
  printed_contains(text, " 4294967295 abcdef 4.00 GiB 213503d 213503d   18.4E\n");
  printed_contains(text, "\n    OP nnn"); /* in full */
  printed_contains(text, "\n    VIEW nnn");
  free(text);
}
END_TEST

START_TEST(list_many_entries_repeat_the_header) {
  static struct fc_list_entry entries[1500];
  char *text, *again;

  for (size_t i = 0; i < 1500; i++)
    entries[i] = wide_entry("x");
  text = print_list((struct listing){0}, entries, 1500);
  again = strstr(strstr(text, "TOP_K") + 1, "TOP_K");
  ck_assert_ptr_nonnull(again);
  ck_assert_ptr_null(strstr(again + 1, "TOP_K"));
  free(text);
}
END_TEST

START_TEST(list_json_is_an_array) {
  struct fc_list_entry entries[] = {wide_entry("x"), wide_entry("y")};
  json_t *all,
      *first = printed_first_object(print_list((struct listing){.json = true}, entries, (size_t)_i),
                                    (size_t)_i, &all);

  if (_i > 0) {
    printed_string(first, "prompt_hash", "abcdef01000000000000000000000000");
    printed_number(first, "value_bytes", 1023u << 20);
    ck_assert_uint_eq(json_object_size(first), 10);
  }
  json_decref(all);
}
END_TEST

START_TEST(list_none_says_so) {
  printed_is(print_list((struct listing){0}, NULL, 0), "no entries\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("print_list");
  TCase *tests = tcase_create("print_list");

  setlocale(LC_CTYPE, "C.UTF-8");
  text_force_columns(PRINTED_COLUMNS);
  tcase_add_loop_test(tests, list_widest_entries_fit_80_columns, 0, 2);
  tcase_add_test(tests, list_many_entries_repeat_the_header);
  tcase_add_loop_test(tests, list_json_is_an_array, 0, 3);
  tcase_add_test(tests, list_none_says_so);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
