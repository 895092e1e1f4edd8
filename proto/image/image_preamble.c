#include "proto/image/image_preamble.h"

#include <xxhash.h>

#include "proto/errors.h"
#include "proto/image/image_bytes.h"

#define PREAMBLE_MAGIC 0x4d494346u /* "FCIM" */
#define END_MAGIC 0x444e4546u      /* "FEND" */
#define SEED UINT64_C(0x6661636865643031)
#define ITEM_BYTES 8u /* of an item's tag and size */

/* Offsets in the preamble. */
enum {
  AT_CHECKSUM = 0,
  AT_VERSION = 12,
  AT_BYTES = 16,
  AT_SALT = 24,
  AT_FIXED_BYTES = 32,
  AT_FLAGS = 36,
  AT_CACHE_ID = 40,
  AT_LAST_STAMP = 48,
  AT_GENERATION = 56,
  AT_CLOCK_NS = 64,
  AT_WALL_NS = 72,
  AT_MAX_BYTES = 80,
  AT_RECORDS = 88,
  AT_CHARGE = 96,
  AT_RECORDS_AT = 104, /* 112 to 127 are zero */
  /* Offsets in the end. */
  AT_END_SALT = 16,
  AT_END_OFFSET = 24,
};
enum { FLAG_LAST = 1 };

static uint64_t checksum(const uint8_t *data, size_t size) {
  return XXH3_64bits_withSeed(data + IMAGE_MAGIC_AT, size - IMAGE_MAGIC_AT, SEED);
}

static void append_zeros(struct fc_buf *buf, size_t unit, size_t start) {
  static const uint8_t zeros[IMAGE_UNIT];
  (void)fc_buf_append(buf, zeros, (unit - (buf->size - start) % unit) % unit);
}

/* ---- writing ---- */

void image_preamble_begin(struct fc_buf *buf, const struct image_info *info) {
  uint8_t fixed[IMAGE_PREAMBLE_MIN] = {0};
  image_put32(fixed + IMAGE_MAGIC_AT, PREAMBLE_MAGIC);
  image_put32(fixed + AT_VERSION, IMAGE_VERSION);
  image_put64(fixed + AT_SALT, info->salt);
  image_put32(fixed + AT_FIXED_BYTES, IMAGE_PREAMBLE_MIN);
  image_put32(fixed + AT_FLAGS, info->is_last ? FLAG_LAST : 0);
  image_put64(fixed + AT_CACHE_ID, info->cache_id);
  image_put64(fixed + AT_LAST_STAMP, info->last_stamp);
  image_put64(fixed + AT_GENERATION, info->generation);
  image_put64(fixed + AT_CLOCK_NS, info->clock_ns);
  image_put64(fixed + AT_WALL_NS, info->wall_ns);
  image_put64(fixed + AT_MAX_BYTES, info->max_bytes);
  image_put64(fixed + AT_RECORDS, info->records);
  image_put64(fixed + AT_CHARGE, info->charge);
  image_put64(fixed + AT_RECORDS_AT, info->records_at);
  (void)fc_buf_append(buf, fixed, sizeof fixed); /* callers check buf->failed, as below */
}

static void begin_item(struct fc_buf *buf, enum image_tag tag, size_t size) {
  uint8_t head[ITEM_BYTES];
  image_put32(head, tag);
  image_put32(head + 4, (uint32_t)size);
  (void)fc_buf_append(buf, head, sizeof head);
}

void image_preamble_item(struct fc_buf *buf, enum image_tag tag, const void *data, size_t size) {
  begin_item(buf, tag, size);
  (void)fc_buf_append(buf, data, size);
  append_zeros(buf, 8, 0);
}

void image_preamble_numbers(struct fc_buf *buf, enum image_tag tag, const uint64_t *numbers,
                            size_t n) {
  begin_item(buf, tag, n * 8);
  for (size_t i = 0; i < n; i++) {
    uint8_t bytes[8];
    image_put64(bytes, numbers[i]);
    (void)fc_buf_append(buf, bytes, sizeof bytes);
  }
}

void image_preamble_finish(struct fc_buf *buf, size_t start) {
  append_zeros(buf, IMAGE_UNIT, start);
  if (buf->failed)
    return;
  image_put64(buf->data + start + AT_BYTES, buf->size - start);
  image_put64(buf->data + start, checksum(buf->data + start, buf->size - start));
}

void image_end_encode(uint64_t salt, uint64_t offset, uint8_t end[IMAGE_END_BYTES]) {
  image_put32(end + IMAGE_MAGIC_AT, END_MAGIC);
  image_put32(end + AT_VERSION, IMAGE_VERSION);
  image_put64(end + AT_END_SALT, salt);
  image_put64(end + AT_END_OFFSET, offset);
  image_put64(end, checksum(end, IMAGE_END_BYTES));
}

/* ---- reading ---- */

uint64_t image_preamble_bytes(const uint8_t *data) {
  uint64_t bytes = image_get64(data + AT_BYTES);
  bool good = image_get32(data + IMAGE_MAGIC_AT) == PREAMBLE_MAGIC && bytes % IMAGE_UNIT == 0 &&
              bytes >= IMAGE_PREAMBLE_MIN && bytes <= IMAGE_PREAMBLE_MAX;
  return good ? bytes : 0;
}

bool image_is_preamble(const uint8_t *data, uint64_t salt) {
  return image_preamble_bytes(data) != 0 && image_get64(data + AT_SALT) == salt;
}

static void read_info(const uint8_t *data, struct image_info *info) {
  *info = (struct image_info){
      .salt = image_get64(data + AT_SALT),
      .cache_id = image_get64(data + AT_CACHE_ID),
      .last_stamp = image_get64(data + AT_LAST_STAMP),
      .generation = image_get64(data + AT_GENERATION),
      .clock_ns = image_get64(data + AT_CLOCK_NS),
      .wall_ns = image_get64(data + AT_WALL_NS),
      .max_bytes = image_get64(data + AT_MAX_BYTES),
      .records = image_get64(data + AT_RECORDS),
      .charge = image_get64(data + AT_CHARGE),
      .records_at = image_get64(data + AT_RECORDS_AT),
      .is_last = (image_get32(data + AT_FLAGS) & FLAG_LAST) != 0,
      .version = image_get32(data + AT_VERSION),
      .bytes = image_get64(data + AT_BYTES),
  };
}

int image_preamble_open(struct image_preamble *preamble, const uint8_t *data, size_t size) {
  *preamble = (struct image_preamble){.data = data};
  if (size < IMAGE_PREAMBLE_MIN)
    return FC_EINVAL;
  uint64_t bytes = image_preamble_bytes(data), fixed = image_get32(data + AT_FIXED_BYTES);
  if (bytes == 0 || bytes > size || image_get64(data) != checksum(data, bytes))
    return FC_EINVAL;
  read_info(data, &preamble->info);
  if (preamble->info.version < IMAGE_VERSION_MIN || preamble->info.version > IMAGE_VERSION_MAX)
    return FC_EVERSION;
  if (fixed < IMAGE_PREAMBLE_MIN || fixed > bytes || fixed % 8 != 0)
    return FC_EINVAL;
  preamble->at = fixed;
  return 0;
}

bool image_preamble_next(struct image_preamble *preamble, struct image_item *item) {
  uint64_t left = preamble->info.bytes - preamble->at;
  if (left < ITEM_BYTES)
    return false;
  const uint8_t *at = preamble->data + preamble->at;
  *item = (struct image_item){image_get32(at), at + ITEM_BYTES, image_get32(at + 4)};
  uint64_t bytes = ITEM_BYTES + (((uint64_t)item->size + 7) & ~UINT64_C(7));
  if (item->tag == 0 || bytes > left) /* the padding, or damaged: the checksum says otherwise */
    return false;
  preamble->at += bytes;
  return true;
}

size_t image_item_numbers(const struct image_item *item, uint64_t *numbers, size_t max) {
  size_t n = item->size / 8;
  for (size_t i = 0; i < max; i++)
    numbers[i] = i < n ? image_get64(item->data + i * 8) : 0;
  return n;
}

bool image_end_decode(const uint8_t end[IMAGE_END_BYTES], uint64_t *offset) {
  if (image_get32(end + IMAGE_MAGIC_AT) != END_MAGIC ||
      image_get64(end) != checksum(end, IMAGE_END_BYTES))
    return false;
  *offset = image_get64(end + AT_END_OFFSET);
  return true;
}
