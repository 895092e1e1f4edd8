#include "tests/support/image_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/expect.h"
#include "tests/support/keys.h"

static uint8_t *value_of(uint32_t n, uint32_t size) {
  static uint8_t value[1 << 20];
  EXPECT(size <= sizeof value);
  for (uint32_t i = 0; i < size; i++)
    value[i] = (uint8_t)(n * 31 + i * 7 + i / 256);
  return value;
}

static struct image_record record_of(uint32_t n, uint32_t size) {
  struct fc_key key = key_named(n % 2 == 0 ? "op" : "another", n % 3 == 0 ? "v" : "base", n);
  return (struct image_record){
      .name_space = BUILT_SPACE,
      .key = key,
      .value_size = size,
      .value_checksum =
          image_value_checksum(value_of(n, size), size, fc_key_digest(BUILT_SPACE, &key)),
      .origin = n + 1,
      .compute_ns = n + 2,
      .stamp = n + 3,
      .last_use_ns = n + 4,
      .hits = n,
  };
}

static void add_preamble(struct built_image *image, bool is_last) {
  struct image_info info = {.salt = BUILT_SALT,
                            .cache_id = 5,
                            .last_stamp = 1 + BUILT_RECORDS_MAX,
                            .generation = 9,
                            .records_at = image->records_at,
                            .records = image->n,
                            .is_last = is_last};
  struct image_space space = {.name = fc_str_of("ns"), .manifest = fc_str_of("{\"a\": 1}")};
  for (size_t i = 0; i < IMAGE_SPACE_NUMBERS; i++)
    space.numbers[i] = BUILT_SPACE + i;
  space.clears = (struct image_clears){.floor = 1, .newest = 3, .n = 1};
  space.clears.clears[0] = (struct image_clear){.generation = 3, .any_op = true};
  size_t start = image->bytes.size;
  uint64_t boots[] = {11, 12};
  image_preamble_begin(&image->bytes, &info);
  image_preamble_numbers(&image->bytes, IMAGE_BOOTS, boots, 2);
  image_space_encode(&image->bytes, &space);
  image_preamble_finish(&image->bytes, start);
  EXPECT(!image->bytes.failed);
}

void built_begin(struct built_image *image) {
  *image = (struct built_image){0};
  add_preamble(image, false);
  image->records_at = image->bytes.size;
  fc_buf_reset(&image->bytes);
  add_preamble(image, false); /* once more, with the offset */
  image->starts[0] = image->records_at;
}

void built_add(struct built_image *image, uint32_t value_size) {
  static const uint8_t zeros[IMAGE_UNIT];
  uint8_t head[IMAGE_HEAD_MAX];
  EXPECT(image->n < BUILT_RECORDS_MAX);
  struct image_record record = record_of(image->n, value_size);
  size_t head_bytes = image_record_encode(&record, BUILT_SALT, head);
  uint64_t bytes = image_record_bytes(head_bytes, value_size);
  image->sizes[image->n] = head_bytes + value_size;
  (void)fc_buf_append(&image->bytes, head, head_bytes);
  (void)fc_buf_append(&image->bytes, value_of(image->n, value_size), value_size);
  (void)fc_buf_append(&image->bytes, zeros, bytes - image->sizes[image->n]);
  image->n++;
  image->starts[image->n] = image->bytes.size;
  EXPECT(!image->bytes.failed);
}

void built_finish(struct built_image *image) {
  uint8_t end[IMAGE_END_BYTES];
  image->last_at = image->bytes.size;
  add_preamble(image, true);
  image_end_encode(BUILT_SALT, image->last_at, end);
  EXPECT_EQUAL(fc_buf_append(&image->bytes, end, sizeof end), 0);
}

void built_free(struct built_image *image) {
  fc_buf_free(&image->bytes);
}

void built_make(struct built_image *image, uint64_t bytes, uint32_t value_max) {
  built_begin(image);
  for (uint32_t i = 0; image->bytes.size < bytes; i++)
    built_add(image, i % 5 == 0 ? 64 : (i * 977) % (value_max + 1));
  built_finish(image);
}

uint32_t built_number(const struct image_record *record, const uint8_t *value) {
  EXPECT(record->stamp >= 3 && record->stamp < 3 + BUILT_RECORDS_MAX);
  uint32_t n = (uint32_t)record->stamp - 3;
  struct image_record wanted = record_of(n, record->value_size);
  EXPECT(fc_str_equal(record->key.op, wanted.key.op));
  EXPECT(fc_str_equal(record->key.view, wanted.key.view));
  EXPECT(memcmp(&record->key.prompt, &wanted.key.prompt, FC_HASH_SIZE) == 0);
  EXPECT(record->key.top_k == wanted.key.top_k && record->name_space == wanted.name_space);
  EXPECT(record->origin == wanted.origin && record->compute_ns == wanted.compute_ns);
  EXPECT(record->last_use_ns == wanted.last_use_ns && record->hits == wanted.hits);
  EXPECT(record->value_checksum == wanted.value_checksum);
  if (value != NULL)
    EXPECT(memcmp(value, value_of(n, record->value_size), record->value_size) == 0);
  return n;
}

int built_file(const void *bytes, size_t size) {
  int fd = memfd_create("test-image", MFD_CLOEXEC);
  EXPECT(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
  return fd;
}
