#include "proto/image/image_record.h"

#include <string.h>

#include "proto/image/image_bytes.h"
#include "proto/xxh3.h"

#define RECORD_MAGIC 0x43455246u /* "FREC" */

/* Offsets in the head. The first field is the checksum of all others. */
enum {
  AT_CHECKSUM = 0,
  AT_FIXED_BYTES = 12,
  AT_OP_SIZE = 14,
  AT_VIEW_SIZE = 15,
  AT_NAME_SPACE = 16,
  AT_PROMPT = 24,
  AT_TOP_K = 40,
  AT_VALUE_SIZE = 44,
  AT_VALUE_CHECKSUM = 48,
  AT_ORIGIN = 52,
  AT_COMPUTE_NS = 56,
  AT_STAMP = 64,
  AT_LAST_USE_NS = 72,
  AT_HITS = 80,
};

static uint64_t head_checksum(const uint8_t *head, size_t bytes, uint64_t salt) {
  return XXH3_64bits_withSeed(head + IMAGE_MAGIC_AT, bytes - IMAGE_MAGIC_AT, salt);
}

uint32_t image_value_checksum(const void *value, size_t size, uint64_t digest) {
  return (uint32_t)fc_xxh3_64(value, size, digest);
}

size_t image_record_encode(const struct image_record *record, uint64_t salt,
                           uint8_t head[IMAGE_HEAD_MAX]) {
  const struct fc_key *key = &record->key;
  size_t bytes = IMAGE_FIXED_BYTES + key->op.size + key->view.size;
  image_put32(head + IMAGE_MAGIC_AT, RECORD_MAGIC);
  image_put16(head + AT_FIXED_BYTES, IMAGE_FIXED_BYTES);
  head[AT_OP_SIZE] = (uint8_t)key->op.size;
  head[AT_VIEW_SIZE] = (uint8_t)key->view.size;
  image_put64(head + AT_NAME_SPACE, record->name_space);
  memcpy(head + AT_PROMPT, key->prompt.bytes, FC_HASH_SIZE);
  image_put32(head + AT_TOP_K, key->top_k);
  image_put32(head + AT_VALUE_SIZE, record->value_size);
  image_put32(head + AT_VALUE_CHECKSUM, record->value_checksum);
  image_put32(head + AT_ORIGIN, record->origin);
  image_put64(head + AT_COMPUTE_NS, record->compute_ns);
  image_put64(head + AT_STAMP, record->stamp);
  image_put64(head + AT_LAST_USE_NS, record->last_use_ns);
  image_put64(head + AT_HITS, record->hits);
  memcpy(head + IMAGE_FIXED_BYTES, key->op.data, key->op.size);
  memcpy(head + IMAGE_FIXED_BYTES + key->op.size, key->view.data, key->view.size);
  image_put64(head + AT_CHECKSUM, head_checksum(head, bytes, salt));
  return bytes;
}

static void read_fields(const uint8_t *head, size_t fixed, struct image_record *record) {
  uint32_t op_size = head[AT_OP_SIZE], view_size = head[AT_VIEW_SIZE];
  const char *names = (const char *)head + fixed;
  *record = (struct image_record){
      .name_space = image_get64(head + AT_NAME_SPACE),
      .key = {.op = {names, op_size},
              .view = {names + op_size, view_size},
              .top_k = image_get32(head + AT_TOP_K)},
      .value_size = image_get32(head + AT_VALUE_SIZE),
      .value_checksum = image_get32(head + AT_VALUE_CHECKSUM),
      .origin = image_get32(head + AT_ORIGIN),
      .compute_ns = image_get64(head + AT_COMPUTE_NS),
      .stamp = image_get64(head + AT_STAMP),
      .last_use_ns = image_get64(head + AT_LAST_USE_NS),
      .hits = image_get64(head + AT_HITS),
  };
  memcpy(record->key.prompt.bytes, head + AT_PROMPT, FC_HASH_SIZE);
}

enum image_head image_record_decode(const uint8_t *data, size_t size, uint64_t salt,
                                    struct image_record *record, size_t *head_bytes) {
  if (size < IMAGE_UNIT)
    return IMAGE_HEAD_PART;
  size_t fixed = image_get16(data + AT_FIXED_BYTES);
  if (image_get32(data + IMAGE_MAGIC_AT) != RECORD_MAGIC || fixed < IMAGE_FIXED_MIN ||
      fixed > IMAGE_FIXED_MAX)
    return IMAGE_HEAD_NONE;
  size_t bytes = fixed + data[AT_OP_SIZE] + data[AT_VIEW_SIZE];
  if (size < bytes)
    return IMAGE_HEAD_PART;
  if (image_get64(data + AT_CHECKSUM) != head_checksum(data, bytes, salt))
    return IMAGE_HEAD_NONE;
  read_fields(data, fixed, record);
  *head_bytes = bytes;
  return record->stamp != 0 ? IMAGE_HEAD_WHOLE : IMAGE_HEAD_NONE;
}
