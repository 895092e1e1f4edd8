#include "proto/utf8.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/runner.h"

START_TEST(char_decoded_gives_its_number) {
  static const struct {
    const char *text;
    size_t length;
    uint32_t code;
  } cases[] = {
      {"a", 1, 'a'},
      {"\x7f", 1, 0x7f},
      {"\xc2\x80", 2, 0x80},
      {"\xdf\xbf", 2, 0x7ff},
      {"\xe0\xa0\x80", 3, 0x800},
      {"\xe2\x80\xa8", 3, 0x2028},
      {"\xef\xbf\xbf", 3, 0xffff},
      {"\xf0\x90\x80\x80", 4, 0x10000},
      {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const uint8_t *s = (const uint8_t *)cases[i].text;
    uint32_t code = 0;
    ck_assert_uint_eq(fc_utf8_char(s, cases[i].length, &code), cases[i].length);
    ck_assert_uint_eq(code, cases[i].code);
    for (size_t size = 1; size < cases[i].length; size++)
      ck_assert_uint_eq(fc_utf8_char(s, size, &code), 0); /* cut */
  }
}
END_TEST

static void check_clean(const char *text, const char *want) {
  char buf[64];
  (void)snprintf(buf, sizeof buf, "%s", text);
  size_t size = fc_utf8_clean(buf, strlen(buf));
  ck_assert_uint_eq(size, strlen(want));
  ck_assert_mem_eq(buf, want, size);
}

/* Python's str.splitlines ends a line at some of these, and a terminal obeys the others. */
START_TEST(text_cleaned_is_one_line) {
  check_clean("", "");
  check_clean("plain", "plain");
  check_clean("na\xc3\xafve \xe5\x90\x8d \xf0\x9f\x98\x80",
              "na\xc3\xafve \xe5\x90\x8d \xf0\x9f\x98\x80");
  check_clean("a\nb\vc\fd\re\x1c\x1d\x1e\x7f", "a?b?c?d?e????");
  check_clean("a\xc2\x85"
              "b\xe2\x80\xa8"
              "c\xe2\x80\xa9"
              "d",
              "a?b?c?d");
  check_clean("a\xe2\x80\xae"
              "b\xe2\x81\xa6"
              "c\xd8\x9c"
              "d\xe2\x80\x8f",
              "a?b?c?d?");
  check_clean("\xc2\x9b"
              "1m\xff\xc0\x80",
              "?1m???");
  check_clean("cut \xe2\x80", "cut ??");
}
END_TEST

/* The first and the last of each range do not fit. Their neighbours outside fit, or belong to no
 * range. */
START_TEST(char_invisible_does_not_fit_line) {
  static const struct {
    uint32_t first, last;
  } unfit[] = {
      {0x0, 0x1f},        {0x7f, 0x9f},       {0xad, 0xad},     /* a soft hyphen */
      {0x34f, 0x34f},     {0x61c, 0x61c},     {0x115f, 0x1160}, /* the fillers of Hangul */
      {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f}, /* zero width, joiners, marks */
      {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},
      {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0x13430, 0x1343f},
      {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, /* the tags, and more selectors */
  };
  for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
    for (uint32_t code = unfit[i].first; code <= unfit[i].last; code++)
      ck_assert_msg(!fc_utf8_fits_line(code), "U+%04X", (unsigned)code);
    ck_assert(unfit[i].first == 0 || fc_utf8_fits_line(unfit[i].first - 1));
    ck_assert(fc_utf8_fits_line(unfit[i].last + 1));
  }
}
END_TEST

/* Letters, signs and spaces of many scripts, also those that Unicode counts as format characters
 * but that are seen, as the Arabic sign of a number; and what joins the letter before it. */
START_TEST(char_visible_fits_line) {
  static const uint32_t seen[] = {' ',    '~',     0xa0,    0xe9,    0x301,   0x5d0,  0x600,
                                  0x627,  0x6dd,   0x8e2,   0x915,   0x1100,  0x1161, 0x180a,
                                  0x2003, 0x2027,  0x202f,  0x205f,  0x3000,  0x540d, 0xac00,
                                  0xfffd, 0x110bd, 0x1f600, 0x20000, 0x10ffff};
  for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
    ck_assert_msg(fc_utf8_fits_line(seen[i]), "U+%04X", (unsigned)seen[i]);
}
END_TEST

START_TEST(text_cleaned_has_no_invisible_char) {
  check_clean("a\xc2\xad"
              "b\xe2\x80\x8b"
              "c\xef\xbb\xbf"
              "d\xe3\x85\xa4"
              "e\xf3\xa0\x81\x81"
              "f\xef\xb8\x8f",
              "a?b?c?d?e?f?");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("utf8");
  TCase *tests = tcase_create("utf8");
  tcase_add_test(tests, char_decoded_gives_its_number);
  tcase_add_test(tests, text_cleaned_is_one_line);
  tcase_add_test(tests, char_invisible_does_not_fit_line);
  tcase_add_test(tests, char_visible_fits_line);
  tcase_add_test(tests, text_cleaned_has_no_invisible_char);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
