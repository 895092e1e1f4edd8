/* Text from clients on a terminal: cut to fit, without control characters. */
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/print/text.h"
#include "tests/support/runner.h"

#define ELLIPSIS "\xe2\x80\xa6"
#define WIDE1 "\xe5\x90\x8d"
#define WIDE2 "\xe5\x89\x8d"
#define WIDE3 "\xe7\xa9\xba"

static const struct {
  const char *text;
  size_t columns;
  const char *want;
} cuts[] = {
    {"abc", 5, "abc"},
    {"abcde", 5, "abcde"},
    {"abcdef", 5, "abcd" ELLIPSIS},
    /* Three wide characters are six columns. Two and the ellipsis are five. */
    {WIDE1 WIDE2 WIDE3, 6, WIDE1 WIDE2 WIDE3},
    {WIDE1 WIDE2 WIDE3, 5, WIDE1 WIDE2 ELLIPSIS},
    {WIDE1 WIDE2 WIDE3, 4, WIDE1 ELLIPSIS},
    {"e\xcc\x81"
     "abc",
     3,
     "e\xcc\x81"
     "a" ELLIPSIS}, /* a combining accent has no width */
    /* control characters: escape, invalid UTF-8, CSI as one character */
    {"a\x1b[31m", 10, "a?[31m"},
    {"\xff\xc3", 10, "??"},
    {"\xc2\x9b"
     "1m",
     10, "?1m"},
    /* ends of lines, and changes of the direction */
    {"a\xe2\x80\xa8\xe2\x80\xae\xc2\x85", 10, "a???"},
    /* invisible characters: two different names must not look the same */
    {"a\xe2\x80\x8b\xef\xb8\x8f\xc2\xad", 10, "a???"},
};

START_TEST(text_cut_fits_and_is_safe) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  ck_assert_ptr_nonnull(out);
  text_cut(out, cuts[_i].text, cuts[_i].columns);
  ck_assert_int_eq(fclose(out), 0);
  ck_assert_str_eq(text, cuts[_i].want);
  ck_assert_uint_le(text_width(text), cuts[_i].columns);
  free(text);
}
END_TEST

START_TEST(text_clean_replaces_and_cuts_whole_characters) {
  char text[16];

  ck_assert_str_eq(text_clean(text, sizeof text, "a\nb\x7f\xe2\x80\xa9"), "a?b??");
  ck_assert_str_eq(text_clean(text, 4, "abcdef"), "abc");
  ck_assert_str_eq(text_clean(text, 4, "ab\xc3\xa9"), "ab");
}
END_TEST

START_TEST(text_share_columns_reduces_the_widest) {
  size_t widths[] = {10, 3, 8}, tiny[] = {5, 5};
  const size_t least[] = {1, 1, 1}, headers[] = {4, 1};

  text_share_columns(widths, least, 3, 13);
  ck_assert_uint_eq(widths[0] + widths[1] + widths[2], 13);
  ck_assert_uint_eq(widths[1], 3);
  ck_assert_uint_eq(widths[0], 5);
  text_share_columns(tiny, headers, 2, 0);
  ck_assert(tiny[0] == 4 && tiny[1] == 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("text");
  TCase *tests = tcase_create("text");

  setlocale(LC_CTYPE, "C.UTF-8");
  tcase_add_loop_test(tests, text_cut_fits_and_is_safe, 0, sizeof cuts / sizeof cuts[0]);
  tcase_add_test(tests, text_clean_replaces_and_cuts_whole_characters);
  tcase_add_test(tests, text_share_columns_reduces_the_widest);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
