/* Images: a round trip, other versions, each single byte changed, and each length. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include <xxhash.h>

#include "proto/errors.h"
#include "proto/image/image_bytes.h"
#include "proto/image/image_reader.h"
#include "tests/support/expect.h"
#include "tests/support/image_builder.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

static struct built_image image;
static bool found[BUILT_RECORDS_MAX];

static void tear_down(void) {
  built_free(&image);
}

/* Reads all of a file. Returns the number of records, which are marked in found[]. */
static uint32_t read_all(struct image_reader *reader, bool heads_only) {
  struct image_read batch[IMAGE_BATCH];
  uint32_t n = 0;
  memset(found, 0, sizeof found);
  image_reader_rewind(reader, heads_only);
  for (int got; (got = image_reader_next(reader, batch)) != 0;) {
    EXPECT(got > 0);
    for (int i = 0; i < got; i++) {
      uint32_t number = built_number(&batch[i].record, batch[i].value);
      EXPECT(!found[number]);
      found[number] = true;
    }
    n += (uint32_t)got;
  }
  EXPECT_EQUAL(reader->records, n);
  return n;
}

static uint32_t read_bytes(const void *bytes, size_t size, struct image_reader *reader) {
  int fd = built_file(bytes, size);
  EXPECT_EQUAL(image_reader_open(reader, fd, 1 << 20), 0);
  uint32_t n = read_all(reader, false);
  EXPECT_EQUAL(close(fd), 0);
  return n;
}

/* ---- whole images ---- */

START_TEST(image_round_trip_keeps_all) {
  struct image_reader reader;
  struct image_preamble items;
  struct image_item item;
  struct image_space space;
  uint64_t boots[3];
  built_make(&image, 5 << 20, 300000); /* records larger than the reader's buffer have their turn */
  built_free(&image);
  built_begin(&image);
  for (uint32_t i = 0; i < 40; i++)
    built_add(&image, i % 10 == 9 ? 1 << 20 : i * 100);
  built_finish(&image);
  int fd = built_file(image.bytes.data, image.bytes.size);
  ck_assert_int_eq(image_reader_open(&reader, fd, 1 << 20), 0);
  ck_assert(reader.has_first && reader.has_last && reader.info.is_last);
  ck_assert_uint_eq(reader.info.records, 40);
  ck_assert_uint_eq(read_all(&reader, true), 40);
  ck_assert_uint_eq(read_all(&reader, false), 40);
  ck_assert_uint_eq(reader.damaged + reader.too_large, 0);
  image_reader_items(&reader, &items);
  ck_assert(image_preamble_next(&items, &item));
  ck_assert_uint_eq(image_item_numbers(&item, boots, 3), 2);
  ck_assert(boots[0] == 11 && boots[1] == 12 && boots[2] == 0);
  ck_assert(image_preamble_next(&items, &item) && image_space_decode(&item, &space));
  ck_assert(fc_str_equal(space.name, fc_str_of("ns")));
  ck_assert(fc_str_equal(space.manifest, fc_str_of("{\"a\": 1}")));
  ck_assert_uint_eq(space.numbers[IMAGE_SPACE_COUNTERS], BUILT_SPACE + IMAGE_SPACE_COUNTERS);
  ck_assert(space.clears.n == 1 && space.clears.clears[0].any_op &&
            !space.clears.clears[0].any_view && space.clears.newest == 3);
  ck_assert(!image_preamble_next(&items, &item));
  image_reader_close(&reader);
  ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(value_above_max_value_skipped) {
  struct image_reader reader;
  built_begin(&image);
  built_add(&image, 100);
  built_add(&image, 1 << 20);
  built_add(&image, 101);
  built_finish(&image);
  int fd = built_file(image.bytes.data, image.bytes.size);
  ck_assert_int_eq(image_reader_open(&reader, fd, 1000), 0);
  ck_assert_uint_eq(read_all(&reader, false), 2);
  ck_assert_uint_eq(reader.too_large, 1);
  ck_assert_uint_eq(reader.damaged, 0);
  image_reader_close(&reader);
  ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(foreign_file_refused) {
  static const char *const files[] = {"", "x",
                                      "a text that is no image, and longer than a preamble"};
  static uint8_t zeros[4096];
  struct image_reader reader;
  for (size_t i = 0; i < 4; i++) {
    int fd = i < 3 ? built_file(files[i], strlen(files[i])) : built_file(zeros, sizeof zeros);
    ck_assert_int_eq(image_reader_open(&reader, fd, 1 << 20), FC_EINVAL);
    image_reader_close(&reader);
    ck_assert_int_eq(close(fd), 0);
  }
}
END_TEST

/* ---- other versions ---- */

#define SEED UINT64_C(0x6661636865643031)

/* Sets the version of a preamble, and adds `more` bytes of fixed fields. */
static void change_preamble(struct fc_buf *to, const uint8_t *from, uint32_t version,
                            uint32_t more) {
  uint8_t added[64];
  memset(added, 0xee, sizeof added);
  size_t start = to->size, size = image_preamble_bytes(from);
  (void)fc_buf_append(to, from, IMAGE_PREAMBLE_MIN);
  (void)fc_buf_append(to, added, more);
  (void)fc_buf_append(to, from + IMAGE_PREAMBLE_MIN, size - IMAGE_PREAMBLE_MIN);
  EXPECT(!to->failed);
  uint8_t *preamble = to->data + start;
  image_put32(preamble + 12, version);
  image_put64(preamble + 16, size + more);
  image_put32(preamble + 32, IMAGE_PREAMBLE_MIN + more);
  image_put64(preamble, XXH3_64bits_withSeed(preamble + 8, size + more - 8, SEED));
}

/* Copies a record with `more` bytes of fixed fields behind the known ones. */
static void change_record(struct fc_buf *to, const uint8_t *from, uint64_t size, uint32_t more) {
  static const uint8_t zeros[IMAGE_UNIT];
  uint8_t added[64];
  memset(added, 0xdd, sizeof added);
  size_t start = to->size;
  (void)fc_buf_append(to, from, IMAGE_FIXED_BYTES);
  (void)fc_buf_append(to, added, more);
  (void)fc_buf_append(to, from + IMAGE_FIXED_BYTES, size - IMAGE_FIXED_BYTES);
  (void)fc_buf_append(to, zeros, (16 - (size + more) % 16) % 16);
  EXPECT(!to->failed);
  uint8_t *record = to->data + start;
  image_put16(record + 12, (uint16_t)(IMAGE_FIXED_BYTES + more));
  size_t head = IMAGE_FIXED_BYTES + more + record[14] + record[15];
  image_put64(record, XXH3_64bits_withSeed(record + 8, head - 8, BUILT_SALT));
}

/* Makes the image one that a newer daemon would write: more fields everywhere, and unknown items.
 */
static void make_newer(struct fc_buf *to, uint32_t version) {
  struct fc_buf first = {0};
  change_preamble(&first, image.bytes.data, version, 32);
  image_put64(first.data + 104, first.size); /* the offset of the records */
  change_preamble(to, first.data, version, 0);
  image_put32(to->data + 32, IMAGE_PREAMBLE_MIN + 32);
  image_put64(to->data, XXH3_64bits_withSeed(to->data + 8, to->size - 8, SEED));
  fc_buf_free(&first);
  for (uint32_t i = 0; i < image.n; i++)
    change_record(to, image.bytes.data + image.starts[i], image.sizes[i], 24);
}

START_TEST(newer_version_with_more_fields_read) {
  struct fc_buf newer = {0};
  struct image_reader reader;
  struct image_preamble items;
  struct image_item item;
  struct image_space space;
  built_make(&image, 100000, 2000);
  make_newer(&newer, 2);
  ck_assert_uint_eq(read_bytes(newer.data, newer.size, &reader), image.n);
  ck_assert_uint_eq(reader.damaged, 0);
  ck_assert_uint_eq(reader.info.version, 2);
  image_reader_items(&reader, &items);
  ck_assert(image_preamble_next(&items, &item) && item.tag == IMAGE_BOOTS);
  ck_assert(image_preamble_next(&items, &item) && image_space_decode(&item, &space));
  image_reader_close(&reader);
  fc_buf_free(&newer);
}
END_TEST

START_TEST(much_newer_version_refused) {
  struct fc_buf newer = {0};
  struct image_reader reader;
  built_make(&image, 10000, 2000);
  make_newer(&newer, 3);
  int fd = built_file(newer.data, newer.size);
  ck_assert_int_eq(image_reader_open(&reader, fd, 1 << 20), FC_EVERSION);
  ck_assert_uint_eq(reader.info.version, 3);
  image_reader_close(&reader);
  ck_assert_int_eq(close(fd), 0);
  fc_buf_free(&newer);
}
END_TEST

/* ---- damage ---- */

/* Returns whether the scan, from record n on, finds the record n, with its value. Checks that the
 * record behind it is found where it is. */
static bool has_record(const uint8_t *data, uint32_t n) {
  struct image_scan scan = {.salt = BUILT_SALT};
  struct image_record record;
  size_t at = image.starts[n], head_bytes;
  size_t end = n + 1 < image.n ? image.starts[n + 2] : image.last_at;
  bool is_there = false;
  enum image_found what;
  while ((what = image_scan_next(&scan, data, end, true, &at, &record, &head_bytes)) ==
         IMAGE_FOUND_RECORD) {
    uint64_t digest = fc_key_digest(record.name_space, &record.key);
    bool good = image_value_checksum(data + at + head_bytes, record.value_size, digest) ==
                record.value_checksum;
    if (record.stamp == n + 3 + 1)
      break;
    EXPECT(record.stamp == n + 3 && at == image.starts[n]);
    is_there = good;
    at += image_record_bytes(head_bytes, record.value_size);
  }
  EXPECT(n + 1 == image.n || (what == IMAGE_FOUND_RECORD && at == image.starts[n + 1]));
  return is_there;
}

/* Changes each byte of the records, one at a time: exactly its record is gone. A byte of the
 * padding is in no record. */
START_TEST(changed_byte_removes_its_record_only) {
  built_make(&image, 1 << 20, 3000);
  uint8_t *data = image.bytes.data;
  uint32_t step = SANITIZER_SLOW ? 97 : 1;
  for (uint32_t n = 0; n < image.n; n++) {
    EXPECT(has_record(data, n));
    for (uint64_t at = image.starts[n]; at < image.starts[n + 1]; at += step) {
      uint8_t change = (uint8_t)(1u << at % 8);
      data[at] ^= change;
      EXPECT_EQUAL(has_record(data, n), at >= image.starts[n] + image.sizes[n]);
      data[at] ^= change;
    }
  }
}
END_TEST

/* Changes each byte of the preambles and of the end: no record is gone. */
START_TEST(changed_preamble_removes_nothing) {
  struct image_reader reader;
  built_make(&image, 3000, 200);
  uint8_t *data = image.bytes.data;
  for (uint64_t at = 0; at < image.bytes.size; at++) {
    if (at >= image.records_at && at < image.last_at)
      continue;
    data[at] ^= 0x40;
    EXPECT_EQUAL(read_bytes(data, image.bytes.size, &reader), image.n);
    EXPECT(reader.has_first == (at >= image.records_at));
    EXPECT(reader.has_last == (at < image.last_at));
    image_reader_close(&reader);
    data[at] ^= 0x40;
  }
}
END_TEST

/* The same for a sample of all bytes, with the whole file read each time. */
START_TEST(changed_byte_read_whole_removes_one) {
  struct image_reader reader;
  built_make(&image, 200000, 3000);
  uint8_t *data = image.bytes.data;
  for (uint64_t at = 0; at < image.bytes.size; at += SANITIZER_SLOW ? 1009 : 101) {
    uint32_t hit = 0;
    while (hit < image.n && !(at >= image.starts[hit] && at < image.starts[hit] + image.sizes[hit]))
      hit++;
    data[at] = (uint8_t)~data[at];
    EXPECT_EQUAL(read_bytes(data, image.bytes.size, &reader), image.n - (hit < image.n));
    EXPECT(hit == image.n || (!found[hit] && reader.damaged == 1));
    image_reader_close(&reader);
    data[at] = (uint8_t)~data[at];
  }
}
END_TEST

START_TEST(cut_file_keeps_whole_records) {
  struct image_reader reader;
  built_make(&image, 20000, 700);
  for (uint64_t size = 0; size <= image.bytes.size; size += SANITIZER_SLOW ? 13 : 1) {
    uint32_t whole = 0;
    while (whole < image.n && image.starts[whole] + image.sizes[whole] <= size)
      whole++;
    int fd = built_file(image.bytes.data, size);
    int rc = image_reader_open(&reader, fd, 1 << 20);
    EXPECT_EQUAL(rc, size < image.records_at ? FC_EINVAL : 0);
    if (rc == 0)
      EXPECT_EQUAL(read_all(&reader, false), whole);
    image_reader_close(&reader);
    EXPECT_EQUAL(close(fd), 0);
  }
}
END_TEST

/* A value that contains a copy of the image does not pose as records, when its own head is gone. */
START_TEST(image_in_value_not_read) {
  struct built_image outer;
  struct image_reader reader;
  built_make(&image, 10000, 500);
  built_begin(&outer);
  built_add(&outer, 20000);
  built_finish(&outer);
  uint8_t *value = outer.bytes.data + outer.starts[0] + outer.sizes[0] - 20000;
  value += (16 - (uint64_t)(value - outer.bytes.data) % 16) % 16;
  memcpy(value, image.bytes.data, 10000);
  for (uint32_t i = 0; i < 2; i++) /* another salt */
    image_put64(outer.bytes.data + (i == 0 ? 0 : outer.last_at) + 24, BUILT_SALT + 1);
  image_put64(outer.bytes.data,
              XXH3_64bits_withSeed(outer.bytes.data + 8, outer.records_at - 8, SEED));
  ck_assert_uint_eq(read_bytes(outer.bytes.data, outer.last_at, &reader), 0);
  ck_assert_uint_eq(reader.damaged, 1);
  image_reader_close(&reader);
  built_free(&outer);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("image");
  TCase *tests = tcase_create("image");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, NULL, tear_down);
  tcase_add_test(tests, image_round_trip_keeps_all);
  tcase_add_test(tests, value_above_max_value_skipped);
  tcase_add_test(tests, foreign_file_refused);
  tcase_add_test(tests, newer_version_with_more_fields_read);
  tcase_add_test(tests, much_newer_version_refused);
  tcase_add_test(tests, changed_byte_removes_its_record_only);
  tcase_add_test(tests, changed_preamble_removes_nothing);
  tcase_add_test(tests, changed_byte_read_whole_removes_one);
  tcase_add_test(tests, cut_file_keeps_whole_records);
  tcase_add_test(tests, image_in_value_not_read);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
