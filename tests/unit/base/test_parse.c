#include "daemon/base/parse.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#include <check.h>
#include <stdlib.h>

static const struct {
  const char *text;
  uint64_t bytes;
} good[] = {
    {"0", 0},
    {"1048576", 1u << 20},
    {"7B", 7},
    {"7b", 7},
    {"64k", 64u << 10},
    {"64K", 64u << 10},
    {"10kb", 10u << 10},
    {"512M", 512u << 20},
    {"512MiB", 512u << 20},
    {"512mib", 512u << 20},
    {"1.5G", 3u << 29},
    {"2TiB", UINT64_C(2) << 40},
    {"0.5", 0},
    {"0.001k", 1},
    {"1.0000000000000000000000000000001k", 1024},
    {"007", 7},
    {"18446744073709551615", UINT64_MAX},
    {"16777215.999999T", (UINT64_C(16777215) << 40) + (UINT64_C(999999) << 40) / 1000000},
};

START_TEST(parse_size_valid_text_accepted) {
  uint64_t bytes = 99;
  ck_assert_int_eq(parse_size(good[_i].text, &bytes), 0);
  ck_assert_uint_eq(bytes, good[_i].bytes);
}
END_TEST

static const char *const bad[] = {
    "",
    " ",
    " 1",
    "1 ",
    "1 k",
    "-1",
    "+1",
    "k",
    ".5",
    "1.",
    "1.k",
    "1e6",
    "0x10",
    "1kk",
    "1ki",
    "1Bk",
    "1iB",
    "1P",
    "1.5.5",
    "1,5",
    "nan",
    "inf",
    "18446744073709551616",
    "16777216T",
    "99999999999999999999999999T",
};

START_TEST(parse_size_invalid_text_refused) {
  uint64_t bytes = 99;
  ck_assert_int_eq(parse_size(bad[_i], &bytes), FC_EINVAL);
  ck_assert_uint_eq(bytes, 99);
}
END_TEST

START_TEST(parse_number_field_ends_at_space_or_line_end) {
  static const char *const wrong[] = {"", "x", "7x", "7,", " 7", "-7", "18446744073709551616"};
  static const char *const right[] = {"7", "7 8", "7\n8"};
  for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
    uint64_t n = 99;
    ck_assert_msg(parse_number_field(right[i], &n) && n == 7, "%s", right[i]);
  }
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    uint64_t n = 99;
    ck_assert_msg(!parse_number_field(wrong[i], &n) && n == 99, "%s", wrong[i]);
  }
  ck_assert(!parse_number_field(NULL, &(uint64_t){0}));
}
END_TEST

START_TEST(format_size_rounds_down) {
  char text[FORMAT_SIZE_MAX];
  ck_assert_str_eq(format_size(0, text), "0 B");
  ck_assert_str_eq(format_size(1023, text), "1023 B");
  ck_assert_str_eq(format_size(1024, text), "1 KiB");
  ck_assert_str_eq(format_size(1025, text), "1.0 KiB");
  ck_assert_str_eq(format_size(1536, text), "1.5 KiB");
  ck_assert_str_eq(format_size(256u << 20, text), "256 MiB");
  ck_assert_str_eq(format_size((UINT64_C(1) << 30) - 1, text), "1023.9 MiB");
  ck_assert_str_eq(format_size(UINT64_MAX, text), "15.9 EiB");
  ck_assert_str_eq(format_size(UINT64_C(1) << 60, text), "1 EiB");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("parse");
  TCase *tc = tcase_create("parse");
  tcase_add_loop_test(tc, parse_size_valid_text_accepted, 0, sizeof good / sizeof good[0]);
  tcase_add_loop_test(tc, parse_size_invalid_text_refused, 0, sizeof bad / sizeof bad[0]);
  tcase_add_test(tc, parse_number_field_ends_at_space_or_line_end);
  tcase_add_test(tc, format_size_rounds_down);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
