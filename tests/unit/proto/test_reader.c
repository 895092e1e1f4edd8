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
START_TEST(integer_every_form_read) {
  for (unsigned bit = 0; bit < 64; bit++)
    for (int off = -1; off <= 1; off++)
      for (int sign = -1; sign <= 1; sign += 2) {
        int64_t number = (int64_t)((((uint64_t)1 << bit) + (uint64_t)off) * (uint64_t)sign);
        struct fc_buf buf = {0};
        struct fc_reader reader;
        msgpack_packer packer;

        msgpack_packer_init(&packer, &buf, write_buf);
        msgpack_pack_int64(&packer, number);
        msgpack_pack_uint64(&packer, (uint64_t)number);
        msgpack_pack_fix_int64(&packer, number); /* the long form of any number */
        reader = fc_reader_init(buf.data, buf.size);
        ck_assert(fc_read_i64(&reader) == number);
        ck_assert(fc_read_u64(&reader) == (uint64_t)number);
        ck_assert(fc_read_i64(&reader) == number);
        ck_assert_int_eq(reader.error, 0);
        ck_assert_uint_eq(fc_reader_left(&reader), 0);
        reader = fc_reader_init(buf.data, buf.size);
        ck_assert(fc_read_u32(&reader) == (number >= 0 && number <= UINT32_MAX ? number : 0));
        ck_assert_int_eq(reader.error, number >= 0 && number <= UINT32_MAX ? 0 : FC_EPROTOCOL);
        fc_buf_free(&buf);
      }
}
END_TEST

START_TEST(str_and_bin_every_head_read) {
  const uint32_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
  char *bytes = calloc(1, 65536);

  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct fc_buf buf = {0};
    struct fc_reader reader;
    msgpack_packer packer;
    struct fc_str str;
    uint32_t size;

    msgpack_packer_init(&packer, &buf, write_buf);
    msgpack_pack_str(&packer, sizes[i]);
    msgpack_pack_str_body(&packer, bytes, sizes[i]);
    msgpack_pack_bin(&packer, sizes[i]);
    msgpack_pack_bin_body(&packer, bytes, sizes[i]);
    reader = fc_reader_init(buf.data, buf.size);
    str = fc_read_str(&reader);
    ck_assert_uint_eq(str.size, sizes[i]);
    ck_assert_ptr_nonnull(fc_read_bin(&reader, &size));
    ck_assert_uint_eq(size, sizes[i]);
    ck_assert_int_eq(reader.error, 0);
    ck_assert_uint_eq(fc_reader_left(&reader), 0);
    fc_buf_free(&buf);
  }
  free(bytes);
}
END_TEST

/* The bits of two NaNs, or of -0.0 and 0.0, differ. */
static uint64_t bits_of(double real) {
  uint64_t bits;

  memcpy(&bits, &real, sizeof bits);
  return bits;
}

START_TEST(real_read_keeps_its_bits) {
  const double reals[] = {0, -0.0, 0.1, -1e300, INFINITY, NAN};

  for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
    struct fc_buf buf = {0};
    struct fc_reader reader;
    msgpack_packer packer;
    double real;

    msgpack_packer_init(&packer, &buf, write_buf);
    msgpack_pack_double(&packer, reals[i]);
    msgpack_pack_float(&packer, 0.5f);
    reader = fc_reader_init(buf.data, buf.size);
    ck_assert(fc_reader_type(&reader) == FC_TYPE_REAL);
    real = fc_read_real(&reader);
    ck_assert(bits_of(real) == bits_of(reals[i]));
    ck_assert(fc_read_real(&reader) == 0.5);
    fc_buf_free(&buf);
  }
}
END_TEST

START_TEST(reader_after_error_keeps_first_error) {
  struct fc_reader reader = fc_reader_init((const uint8_t *)"\xa1x\1\2\3", 5);
  uint32_t size;

  fc_reader_fail(&reader, FC_ENAME);
  fc_reader_fail(&reader, FC_EINVAL);
  ck_assert(!fc_read_nil(&reader));
  ck_assert(!fc_read_bool(&reader));
  ck_assert_ptr_null(fc_read_str(&reader).data);
  ck_assert_ptr_null(fc_read_bin(&reader, &size));
  ck_assert_uint_eq(fc_read_array(&reader), 0);
  ck_assert_uint_eq(fc_read_map(&reader), 0);
  ck_assert_uint_eq(fc_read_u32(&reader), 0);
  fc_read_skip(&reader, 1);
  ck_assert(fc_reader_type(&reader) == FC_TYPE_END);
  ck_assert_int_eq(reader.error, FC_ENAME);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reader");
  TCase *tests = tcase_create("reader");

  tcase_add_test(tests, integer_every_form_read);
  tcase_add_test(tests, str_and_bin_every_head_read);
  tcase_add_test(tests, real_read_keeps_its_bits);
  tcase_add_test(tests, reader_after_error_keeps_first_error);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
