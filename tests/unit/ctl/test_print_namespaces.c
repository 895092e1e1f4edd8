/* fcachectl namespaces: rows within 80 columns, manifests below them, and JSON. */
#include <check.h>
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/commands/listing.h"
#include "client/ctl/print/text.h"
#include "proto/limits.h"
#include "tests/support/printed.h"
#include "tests/support/runner.h"

static struct fc_namespace_entry small_namespace(const char *manifest) {
  return (struct fc_namespace_entry){.name_space = fc_str_of("gpt2"),
                                     .manifest = fc_str_of(manifest),
                                     .entries = 2,
                                     .bytes = 448,
                                     .hits = 4,
                                     .misses = 2,
                                     .clients = 1,
                                     .idle_ns = 1500000000};
}

/* Everything at its widest. */
static struct fc_namespace_entry wide_namespace(const char *manifest) {
  return (struct fc_namespace_entry){.name_space = fc_str_of(printed_long_name()),
                                     .manifest = fc_str_of(manifest),
                                     .entries = 9999999,
                                     .bytes = UINT64_C(1023) << 20,
                                     .hits = 9999999,
                                     .misses = 0,
                                     .max_bytes = UINT64_C(1023) << 20,
                                     .clients = 9999999,
                                     .idle_ns = UINT64_C(8639999000000000)};
}

static void print_items(struct listing *listing, const void *items, size_t n) {
  for (size_t i = 0; i < n; i++)
    namespaces_print_namespace(listing, (const struct fc_namespace_entry *)items + i);
}

static char *print_namespaces(struct listing options, const struct fc_namespace_entry *namespaces,
                              size_t n) {
  return printed_listing(options, &namespaces_kind, print_items, namespaces, n);
}

#define HEADER "NAMESPACE ENTRIES  SIZE           HITS CLIENTS LAST USE\n"
#define SMALL_ROW "gpt2            2 448 B 4 / 6 (66.67%)       1   1.50 s\n"

START_TEST(namespaces_print_rows_with_manifests) {
  struct fc_namespace_entry namespaces[] = {
      small_namespace(
          "{\"model\": \"gpt2\", \"revision\": \"3f2c1\", \"scale\": 0.1, \"layers\": 12, "
          "\"adapter\": null, \"more\": {\"a\": [1, true]}}"),
      small_namespace(NULL), small_namespace("{}")};

  namespaces[1].hits = namespaces[1].misses = 0;
  printed_is(print_namespaces((struct listing){0}, namespaces, 3), HEADER SMALL_ROW
             "    model     gpt2\n"
             "    revision  3f2c1\n"
             "    scale     0.1\n"
             "    layers    12\n"
             "    adapter   null\n"
             "    more      {\"a\":[1,true]}\n"
             "gpt2            2 448 B      0 / 0 (-)       1   1.50 s\n" SMALL_ROW);
  printed_is(print_namespaces((struct listing){.filter.name_space = "n", .no_manifest = true},
                              namespaces, 1),
             HEADER SMALL_ROW);
  namespaces[0].max_bytes = 3u << 20;
  printed_is(print_namespaces((struct listing){.filter.name_space = "n", .no_manifest = true},
                              namespaces, 1),
             HEADER SMALL_ROW "    at most 3 MiB\n");
}
END_TEST

/* Also with a number too large for jansson, or a NUL in a string. */
START_TEST(namespaces_manifest_without_json_object_is_lines) {
  static const struct {
    const char *manifest, *lines;
  } cases[] = {{"gpt2, revision 3f2c1", "    gpt2, revision 3f2c1\n"},
               {"one\n\ntwo\n", "    one\n    \n    two\n"},
               {"[1, 2]", "    [1, 2]\n"},
               {"12", "    12\n"},
               {"{\"a\": 1", "    {\"a\": 1\n"},
               {"{\"a\": 18446744073709551616}", "    {\"a\": 18446744073709551616}\n"},
               {"{\"a\": \"\\u0000\"}", "    {\"a\": \"\\u0000\"}\n"},
               {"\n", "    \n"}};

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fc_namespace_entry entry = small_namespace(cases[i].manifest);
    char want[256];

    (void)snprintf(want, sizeof want, "%s%s", HEADER SMALL_ROW, cases[i].lines);
    printed_is(print_namespaces((struct listing){0}, &entry, 1), want);
  }
}
END_TEST

/* In keys, in values, and in a manifest without JSON. */
START_TEST(namespaces_hostile_manifest_is_safe) {
  static const char *const manifests[] = {
      "{\"a\\u001b[2J\": \"b\\u001b[31m\\u0007\\r\\nc\\u009b\\u007f\", \"l\": [\"\\u009b\"]}",
      "a\x1b[31m\r\b\x7f\xc2\x9b"};
  static const char *const lines[] = {"    a?[2J  b?[31m???c??\n    l      [\"?\"]\n",
                                      "    a?[31m????\n"};
  struct fc_namespace_entry entry = small_namespace(manifests[_i]);
  char want[256];

  (void)snprintf(want, sizeof want, "%s%s", HEADER SMALL_ROW, lines[_i]);
  printed_is(print_namespaces((struct listing){0}, &entry, 1), want);
}
END_TEST

START_TEST(namespaces_fit_80_columns) {
  char *manifest = malloc(FC_MANIFEST_MAX + 1), *text;
  struct fc_namespace_entry namespaces[4] = {small_namespace(NULL)};

  ck_assert_ptr_nonnull(manifest);
  memset(manifest, 'm', FC_MANIFEST_MAX);
  manifest[FC_MANIFEST_MAX] = '\0';
  namespaces[1] = wide_namespace(manifest); /* one line */
  namespaces[2] = wide_namespace("{\"a key that is longer than its column\": \"v\", \"k\": 1}");
  memcpy(manifest, "{\"model\": \"", 11);
  memcpy(manifest + FC_MANIFEST_MAX - 2, "\"}", 2);
  namespaces[3] = wide_namespace(manifest);
  namespaces[3].entries = namespaces[3].bytes = namespaces[3].idle_ns = UINT64_MAX;
  namespaces[3].hits = UINT64_MAX / 2;
  namespaces[3].misses = UINT64_MAX / 2;
  text = print_namespaces((struct listing){0}, namespaces, 4);
  printed_fits(text);
  printed_contains(text, "nnnnnnn 9999999 1023 MiB 9999999 / 9999999 (100.00%) 9999999  "
                         "99d 23h\n    NAMESPACE nnnn");
  printed_contains(text, "    a key that i\xe2\x80\xa6 its column  v\n");
  printed_contains(text, "    k                         1\n");
  printed_contains(text, "    model  mmm");
  ck_assert_ptr_null(strstr(strstr(text, "CLIENTS") + 1, "CLIENTS")); /* one header */
  free(text);
  free(manifest);
}
END_TEST

START_TEST(namespaces_json_has_everything) {
  struct fc_namespace_entry namespaces[] = {
      small_namespace("{\"model\": \"gpt2\", \"layers\": 12, \"scale\": 1.25}"),
      small_namespace("gpt2\x1b"), wide_namespace(NULL), small_namespace("[1]")};
  json_t *all, *first, *manifest;

  namespaces[2].hits = 0;
  first = printed_first_object(print_namespaces((struct listing){.json = true}, namespaces, 4), 4,
                               &all);
  printed_string(first, "namespace", "gpt2");
  printed_number(first, "entries", 2);
  printed_number(first, "bytes", 448);
  ck_assert(json_is_null(json_object_get(first, "max_bytes")));
  printed_number(first, "cache_hits", 4);
  printed_number(first, "cache_misses", 2);
  ck_assert_double_eq_tol(json_real_value(json_object_get(first, "hit_rate")), 2.0 / 3, 1e-9);
  printed_number(first, "clients", 1);
  printed_number(first, "idle_s", 1.5);
  manifest = json_object_get(first, "manifest");
  printed_string(manifest, "model", "gpt2");
  printed_number(manifest, "layers", 12);
  ck_assert(json_is_integer(json_object_get(manifest, "layers")));
  printed_number(manifest, "scale", 1.25);
  ck_assert_uint_eq(json_object_size(first), 10);
  printed_string(json_array_get(all, 1), "manifest", "gpt2\x1b");
  ck_assert(json_is_null(json_object_get(json_array_get(all, 2), "manifest")));
  printed_number(json_array_get(all, 2), "hit_rate", 0);
  printed_number(json_array_get(all, 2), "max_bytes", (double)(UINT64_C(1023) << 20));
  printed_string(json_array_get(all, 3), "manifest", "[1]");
  json_decref(all);
  first = printed_first_object(
      print_namespaces((struct listing){.json = true, .no_manifest = true}, namespaces, 1), 1,
      &all);
  ck_assert_ptr_null(json_object_get(first, "manifest"));
  ck_assert_uint_eq(json_object_size(first), 9);
  json_decref(all);
}
END_TEST

START_TEST(namespaces_none_says_so_or_is_an_empty_array) {
  printed_is(print_namespaces((struct listing){0}, NULL, 0), "no namespaces yet\n");
  printed_is(print_namespaces((struct listing){.json = true}, NULL, 0), "[]\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("print_namespaces");
  TCase *tests = tcase_create("print_namespaces");

  setlocale(LC_CTYPE, "C.UTF-8");
  text_force_columns(PRINTED_COLUMNS);
  tcase_add_test(tests, namespaces_print_rows_with_manifests);
  tcase_add_test(tests, namespaces_manifest_without_json_object_is_lines);
  tcase_add_loop_test(tests, namespaces_hostile_manifest_is_safe, 0, 2);
  tcase_add_test(tests, namespaces_fit_80_columns);
  tcase_add_test(tests, namespaces_json_has_everything);
  tcase_add_test(tests, namespaces_none_says_so_or_is_an_empty_array);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
