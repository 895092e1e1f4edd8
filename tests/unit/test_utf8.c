#include "proto/utf8.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

START_TEST(a_character_has_its_number) {
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

/* Python's str.splitlines ends a line at each of these; a terminal obeys the others. */
START_TEST(clean_text_is_one_line) {
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

int main(void) {
  Suite *suite = suite_create("utf8");
  TCase *tests = tcase_create("utf8");
  tcase_add_test(tests, a_character_has_its_number);
  tcase_add_test(tests, clean_text_is_one_line);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
