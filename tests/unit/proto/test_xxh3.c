/* XXH3 with the vectors of this processor gives what libxxhash gives, at every size up to some of
 * its blocks and at every alignment. */
#include "proto/xxh3.h"

#include <check.h>

#include "tests/support/runner.h"

#define SIZE_MAX_TESTED 5000u
#define SEED UINT64_C(0x9e3779b97f4a7c15)

static uint8_t bytes[SIZE_MAX_TESTED + 64];

START_TEST(any_size_equals_library) {
  for (size_t size = 0; size <= SIZE_MAX_TESTED; size++) {
    const uint8_t *at = bytes + size % 64;
    XXH128_hash_t ours = fc_xxh3_128(at, size), theirs = XXH3_128bits(at, size);
    ck_assert_uint_eq(fc_xxh3_64(at, size, SEED), XXH3_64bits_withSeed(at, size, SEED));
    ck_assert_uint_eq(fc_xxh3_64(at, size, 0), XXH3_64bits(at, size));
    ck_assert(XXH128_isEqual(ours, theirs));
  }
}
END_TEST

START_TEST(nothing_needs_no_memory) {
  ck_assert_uint_eq(fc_xxh3_64(NULL, 0, SEED), XXH3_64bits_withSeed("", 0, SEED));
  ck_assert(XXH128_isEqual(fc_xxh3_128(NULL, 0), XXH3_128bits("", 0)));
}
END_TEST

int main(void) {
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 31u + (i >> 8) * 7u);
  Suite *suite = suite_create("xxh3");
  TCase *tcase = tcase_create("xxh3");
  tcase_add_test(tcase, any_size_equals_library);
  tcase_add_test(tcase, nothing_needs_no_memory);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
