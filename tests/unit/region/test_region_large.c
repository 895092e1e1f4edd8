/* A region that no machine has room for, or whose numbers are as large as they get. */
#include "daemon/region/region_writer.h"

#include <check.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/runner.h"

#define LARGEST (UINT64_C(1) << 50) /* that --max-bytes may be */

/* At once, before any memory is asked for: no address space is that large. */
START_TEST(one_that_cannot_be_mapped_is_an_error) {
  struct region region;
  struct error_text why = {0};
  bool shared = _i != 0;
  ck_assert_int_eq(region_init(&region, LARGEST, 1 << 20, 1, shared, &why), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(why.text, "1125899906842624"));
  ck_assert_ptr_nonnull(strstr(why.text, "--max-bytes"));
  ck_assert_int_eq(region.fd, -1);
  ck_assert_ptr_null(region.base);
  region_deinit(&region); /* may be */
}
END_TEST

/* 64 GiB of buckets, and an arena with a 64th more than the entries. */
START_TEST(what_the_largest_takes_beside_its_entries) {
  uint64_t overhead = region_overhead_bytes(LARGEST);
  ck_assert_uint_ge(overhead, (UINT64_C(64) << 30) + (LARGEST >> 6));
  ck_assert_uint_le(overhead, (UINT64_C(65) << 30) + (LARGEST >> 6));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_large");
  TCase *tcase = tcase_create("region_large");
  tcase_add_loop_test(tcase, one_that_cannot_be_mapped_is_an_error, 0, 2);
  tcase_add_test(tcase, what_the_largest_takes_beside_its_entries);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
