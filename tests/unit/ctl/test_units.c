/* Numbers with their units. */
#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/units.h"
#include "tests/support/runner.h"

START_TEST(units_bytes_have_three_digits) {
  char text[UNITS_SIZE];

  ck_assert_str_eq(units_bytes(0, text), "0 B");
  ck_assert_str_eq(units_bytes(1023, text), "1023 B");
  ck_assert_str_eq(units_bytes(1024, text), "1 KiB");
  ck_assert_str_eq(units_bytes(1536, text), "1.50 KiB");
  ck_assert_str_eq(units_bytes(256u << 20, text), "256 MiB");
  ck_assert_str_eq(units_bytes((256u << 20) + 1, text), "256 MiB");
  ck_assert_str_eq(units_bytes(UINT64_C(12345678901), text), "11.5 GiB");
  ck_assert_str_eq(units_bytes(UINT64_MAX, text), "16.0 EiB");
  ck_assert_uint_eq(strlen(units_bytes(UINT64_C(1023) << 50, text)), 8); /* the widest */
}
END_TEST

START_TEST(units_seconds_have_their_unit) {
  char text[UNITS_SIZE];

  ck_assert_str_eq(units_seconds(0, text), "0 s");
  ck_assert_str_eq(units_seconds(31.24e-9, text), "31.2 ns");
  ck_assert_str_eq(units_seconds(0.9996e-6, text), "1.00 us");
  ck_assert_str_eq(units_seconds(12.34e-6, text), "12.3 us");
  ck_assert_str_eq(units_seconds(4.561e-3, text), "4.56 ms");
  ck_assert_str_eq(units_seconds(0.9996, text), "1.00 s");
  ck_assert_str_eq(units_seconds(59.94, text), "59.9 s");
  ck_assert_str_eq(units_seconds(59.96, text), "1m 00s");
  ck_assert_str_eq(units_seconds(3599.99, text), "59m 59s");
  ck_assert_str_eq(units_seconds(11100, text), "3h 05m");
  ck_assert_str_eq(units_seconds(12 * 86400.0 + 4 * 3600, text), "12d 4h");
  ck_assert_str_eq(units_seconds(100 * 86400.0 - 1, text), "99d 23h");
  ck_assert_str_eq(units_seconds(100 * 86400.0 + 23 * 3600, text), "100d");
  ck_assert_str_eq(units_seconds((double)UINT64_MAX / 1e9, text), "213503d");
  ck_assert_str_eq(units_seconds(-1, text), "-");
  ck_assert_str_eq(units_seconds(0.0 / strtod("0", NULL), text), "-");
}
END_TEST

START_TEST(units_pid_beyond_linux_is_a_dash) {
  char text[UNITS_SIZE];

  ck_assert_str_eq(units_pid(1, text), "1");
  ck_assert_str_eq(units_pid(4194304, text), "4194304");
  ck_assert_str_eq(units_pid(4194305, text), "-");
  ck_assert_str_eq(units_pid(0, text), "-");
  ck_assert_str_eq(units_pid(INT64_MIN, text), "-");
}
END_TEST

START_TEST(units_count_large_is_short) {
  char text[UNITS_SIZE];

  ck_assert_str_eq(units_count(0, text), "0");
  ck_assert_str_eq(units_count(9999999, text), "9999999");
  ck_assert_str_eq(units_count(12345678, text), "12.3M");
  ck_assert_str_eq(units_count(UINT64_C(4560000000), text), "4.56G");
  ck_assert_str_eq(units_count(UINT64_MAX, text), "18.4E");
}
END_TEST

START_TEST(units_share_of_nothing_is_a_dash) {
  char text[UNITS_SIZE];

  ck_assert_str_eq(units_percent(0, 0, text), "-");
  ck_assert_str_eq(units_percent(1, 3, text), "33.33%");
  ck_assert_str_eq(units_share(8, 10, text), "8 / 10 (80.00%)");
  ck_assert_str_eq(units_share(0, 0, text), "0 / 0 (-)");
  ck_assert_str_eq(units_share_bytes(512, 1024, text), "512 B / 1 KiB (50.00%)");
  ck_assert_str_eq(units_share_short(20000000, 40000000, text), "20.0M / 40.0M (50.00%)");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("units");
  TCase *tests = tcase_create("units");

  setlocale(LC_CTYPE, "C.UTF-8");
  tcase_add_test(tests, units_bytes_have_three_digits);
  tcase_add_test(tests, units_seconds_have_their_unit);
  tcase_add_test(tests, units_pid_beyond_linux_is_a_dash);
  tcase_add_test(tests, units_count_large_is_short);
  tcase_add_test(tests, units_share_of_nothing_is_a_dash);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
