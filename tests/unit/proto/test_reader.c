/* The reader of msgpack, against msgpack-c's packer. */
#include <check.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/wire/buf.h"
#include "proto/wire/reader.h"
#include "tests/support/runner.h"

static int write_buf(void *buf, const char *data, size_t size) {
  return fc_buf_append(buf, data, size);
}

/* Around every power of two, where encodings change. */
START_TEST(integers_of_every_size) {
  for (unsigned bit = 0; bit < 64; bit++)
    for (int off = -1; off <= 1; off++)
      for (int sign = -1; sign <= 1; sign += 2) {
        int64_t number = (int64_t)((((uint64_t)1 << bit) + (uint64_t)off) * (uint64_t)sign);
        struct fc_buf buf = {0};
        struct fc_cursor cursor;
        msgpack_packer packer;

        msgpack_packer_init(&packer, &buf, write_buf);
        msgpack_pack_int64(&packer, number);
        msgpack_pack_uint64(&packer, (uint64_t)number);
        msgpack_pack_fix_int64(&packer, number); /* the long form of any number */
        cursor = fc_cursor_init(buf.data, buf.size);
        ck_assert(fc_cursor_i64(&cursor) == number);
        ck_assert(fc_cursor_u64(&cursor) == (uint64_t)number);
        ck_assert(fc_cursor_i64(&cursor) == number);
        ck_assert_int_eq(cursor.error, 0);
        ck_assert_uint_eq(fc_cursor_left(&cursor), 0);
        cursor = fc_cursor_init(buf.data, buf.size);
        ck_assert(fc_cursor_u32(&cursor) == (number >= 0 && number <= UINT32_MAX ? number : 0));
        ck_assert_int_eq(cursor.error, number >= 0 && number <= UINT32_MAX ? 0 : FC_EPROTOCOL);
        fc_buf_free(&buf);
      }
}
END_TEST

START_TEST(strings_and_bins_of_every_head) {
  const uint32_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
  char *bytes = calloc(1, 65536);

  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct fc_buf buf = {0};
    struct fc_cursor cursor;
    msgpack_packer packer;
    struct fc_str str;
    uint32_t size;

    msgpack_packer_init(&packer, &buf, write_buf);
    msgpack_pack_str(&packer, sizes[i]);
    msgpack_pack_str_body(&packer, bytes, sizes[i]);
    msgpack_pack_bin(&packer, sizes[i]);
    msgpack_pack_bin_body(&packer, bytes, sizes[i]);
    cursor = fc_cursor_init(buf.data, buf.size);
    str = fc_cursor_str(&cursor);
    ck_assert_uint_eq(str.size, sizes[i]);
    ck_assert_ptr_nonnull(fc_cursor_bin(&cursor, &size));
    ck_assert_uint_eq(size, sizes[i]);
    ck_assert_int_eq(cursor.error, 0);
    ck_assert_uint_eq(fc_cursor_left(&cursor), 0);
    fc_buf_free(&buf);
  }
  free(bytes);
}
END_TEST

/* Tells NaN from NaN and -0.0 from 0.0. */
static uint64_t bits_of(double real) {
  uint64_t bits;

  memcpy(&bits, &real, sizeof bits);
  return bits;
}

START_TEST(reals_keep_their_bits) {
  const double reals[] = {0, -0.0, 0.1, -1e300, INFINITY, NAN};

  for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
    struct fc_buf buf = {0};
    struct fc_cursor cursor;
    msgpack_packer packer;
    double real;

    msgpack_packer_init(&packer, &buf, write_buf);
    msgpack_pack_double(&packer, reals[i]);
    msgpack_pack_float(&packer, 0.5f);
    cursor = fc_cursor_init(buf.data, buf.size);
    ck_assert(fc_cursor_kind(&cursor) == FC_KIND_REAL);
    real = fc_cursor_real(&cursor);
    ck_assert(bits_of(real) == bits_of(reals[i]));
    ck_assert(fc_cursor_real(&cursor) == 0.5);
    fc_buf_free(&buf);
  }
}
END_TEST

START_TEST(the_first_error_sticks) {
  struct fc_cursor cursor = fc_cursor_init((const uint8_t *)"\xa1x\1\2\3", 5);
  uint32_t size;

  fc_cursor_fail(&cursor, FC_ENAME);
  fc_cursor_fail(&cursor, FC_EINVAL);
  ck_assert(!fc_cursor_nil(&cursor));
  ck_assert(!fc_cursor_bool(&cursor));
  ck_assert_ptr_null(fc_cursor_str(&cursor).data);
  ck_assert_ptr_null(fc_cursor_bin(&cursor, &size));
  ck_assert_uint_eq(fc_cursor_array(&cursor), 0);
  ck_assert_uint_eq(fc_cursor_map(&cursor), 0);
  ck_assert_uint_eq(fc_cursor_u32(&cursor), 0);
  fc_cursor_skip(&cursor, 1);
  ck_assert(fc_cursor_kind(&cursor) == FC_KIND_END);
  ck_assert_int_eq(cursor.error, FC_ENAME);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cursor");
  TCase *tests = tcase_create("cursor");

  tcase_add_test(tests, integers_of_every_size);
  tcase_add_test(tests, strings_and_bins_of_every_head);
  tcase_add_test(tests, reals_keep_their_bits);
  tcase_add_test(tests, the_first_error_sticks);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
