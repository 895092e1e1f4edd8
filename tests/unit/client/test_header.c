/* <fcache.h> as its user sees it, with nothing else included: results, texts, values,
 * hashes. */
#include "fcache.h"
#include "tests/support/runner.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(strerror_each_result_own_text) {
  static const int codes[] = {
      FCACHE_OK,     FCACHE_MISS,         FCACHE_NOT_STORED,   FCACHE_LEASED,    FCACHE_EINVAL,
      FCACHE_ENOMEM, FCACHE_ENONAMESPACE, FCACHE_ENAME,        FCACHE_ETOOBIG,   FCACHE_EMAXENTRIES,
      FCACHE_EBATCH, FCACHE_EDENIED,      FCACHE_EUNAVAILABLE, FCACHE_EPROTOCOL, FCACHE_EREFUSED};
  size_t n = sizeof codes / sizeof codes[0];
  for (size_t i = 0; i < n; i++) {
    const char *text = fcache_strerror(codes[i]);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_gt(strlen(text), 0);
    ck_assert_str_ne(text, fcache_strerror(12345)); /* that of unknown codes */
    for (size_t j = 0; j < i; j++)
      ck_assert_str_ne(text, fcache_strerror(codes[j]));
  }
  ck_assert_ptr_nonnull(fcache_strerror(-12345));
}
END_TEST

START_TEST(flags_one_bit_each) {
  static const unsigned flags[] = {FCACHE_UNRECORDED, FCACHE_KEEP_FIRST, FCACHE_LEASE};
  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    ck_assert_uint_ne(flags[i], 0);
    ck_assert_uint_eq(flags[i] & (flags[i] - 1), 0);
    for (size_t j = 0; j < i; j++)
      ck_assert_uint_eq(flags[i] & flags[j], 0);
  }
}
END_TEST

START_TEST(options_init_sets_size_only) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_options zero = {0};
  ck_assert_uint_eq(options.struct_size, sizeof options);
  zero.struct_size = sizeof zero;
  ck_assert(options.socket == zero.socket && options.name_space == zero.name_space &&
            options.client == zero.client && options.deadline_ms == zero.deadline_ms &&
            options.max_entries == zero.max_entries && options.log == zero.log &&
            options.log_arg == zero.log_arg && options.lease_ms == zero.lease_ms &&
            options.wait_ms == zero.wait_ms);
  ck_assert_uint_ne(FCACHE_NO_WAIT, zero.wait_ms); /* 0 means the same as lease_ms */
}
END_TEST

START_TEST(value_set_again_reuses_buffer) {
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_value_set(&value, NULL, 0), FCACHE_OK);
  ck_assert_uint_eq(value.size, 0);
  ck_assert_int_eq(fcache_value_set(&value, "longer", 6), FCACHE_OK);
  size_t capacity = value.capacity;
  const void *data = value.data;
  ck_assert_int_eq(fcache_value_set(&value, "sh\0t", 4), FCACHE_OK);
  ck_assert_uint_eq(value.size, 4);
  ck_assert_mem_eq(value.data, "sh\0t", 4);
  ck_assert_uint_eq(value.capacity, capacity);
  ck_assert_ptr_eq(value.data, data);
  ck_assert_int_eq(fcache_value_set(&value, "x", SIZE_MAX), FCACHE_ENOMEM);
  ck_assert_mem_eq(value.data, "sh\0t", 4); /* as it was */
  ck_assert_uint_eq(value.size, 4);
  fcache_value_free(&value);
  ck_assert_ptr_null(value.data);
  ck_assert_uint_eq(value.size + value.capacity, 0);
  fcache_value_free(&value);
}
END_TEST

START_TEST(hash_of_bytes_is_xxh3) {
  /* XXH3-128 with seed 0 of no bytes, as published with xxHash */
  static const uint8_t of_nothing[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                         0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
  struct fcache_hash hash = fcache_hash(NULL, 0);
  ck_assert_mem_eq(hash.bytes, of_nothing, 16);
  struct fcache_hash with_nul = fcache_hash("a\0b", 3), without = fcache_hash("a", 1);
  ck_assert_mem_ne(with_nul.bytes, without.bytes, 16);
}
END_TEST

START_TEST(close_null_allowed) {
  fcache_close(NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("header");
  TCase *tcase = tcase_create("header");
  tcase_add_test(tcase, strerror_each_result_own_text);
  tcase_add_test(tcase, flags_one_bit_each);
  tcase_add_test(tcase, options_init_sets_size_only);
  tcase_add_test(tcase, value_set_again_reuses_buffer);
  tcase_add_test(tcase, hash_of_bytes_is_xxh3);
  tcase_add_test(tcase, close_null_allowed);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
