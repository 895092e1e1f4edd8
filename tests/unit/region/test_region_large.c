/* Regions of the largest size that --max-bytes allows, and larger than any memory. */
#include "daemon/region/region_writer.h"

#include <check.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/runner.h"

#define LARGEST (UINT64_C(1) << 50) /* the largest --max-bytes */

/* The address space is too small, so it fails before memory is requested. */
START_TEST(region_of_largest_size_refused) {
  struct region region;
  struct fault why = {0};
  bool shared = _i != 0;
  ck_assert_int_eq(region_writer_init(&region, LARGEST, 1 << 20, 1, shared, &why), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(why.text, "1125899906842624"));
  ck_assert_ptr_nonnull(strstr(why.text, "--max-bytes"));
  ck_assert_int_eq(region.fd, -1);
  ck_assert_ptr_null(region.base);
  region_writer_deinit(&region); /* idempotent */
}
END_TEST

/* 64 GiB of buckets, and an arena with a 64th more than the entries. */
START_TEST(overhead_of_largest_size_computed) {
  uint64_t overhead = region_writer_overhead_bytes(LARGEST);
  ck_assert_uint_ge(overhead, (UINT64_C(64) << 30) + (LARGEST >> 6));
  ck_assert_uint_le(overhead, (UINT64_C(65) << 30) + (LARGEST >> 6));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_large");
  TCase *tcase = tcase_create("region_large");
  tcase_add_loop_test(tcase, region_of_largest_size_refused, 0, 2);
  tcase_add_test(tcase, overhead_of_largest_size_computed);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
