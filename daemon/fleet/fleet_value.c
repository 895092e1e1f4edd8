#include "daemon/fleet/fleet_value.h"

#include <string.h>

#include "daemon/base/check.h"
#include "proto/image/image_bytes.h"
#include "proto/xxh3.h"

enum {
  AT_FLAGS = 4,
  AT_SIZE = 8,
  AT_COMPUTE_NS = 16,
  AT_STAMP = FLEET_VALUE_STAMP_AT,
  AT_NODE = 32,
  AT_VERSION = 40,
  AT_CHECKSUM = 48,
  AT_DELETED = 56,
};

#define FLAG_TOMBSTONE 1u

/* `head` has its checksum or not: it counts as 0. */
static uint64_t checksum_of(const uint8_t head[FLEET_VALUE_HEAD], const struct fc_hash *hash,
                            const uint8_t *data, size_t size) {
  uint8_t without[FLEET_VALUE_HEAD + FC_HASH_SIZE];
  memcpy(without, head, FLEET_VALUE_HEAD);
  image_put64(without + AT_CHECKSUM, 0);
  memcpy(without + FLEET_VALUE_HEAD, hash->bytes, FC_HASH_SIZE);
  uint64_t seed = XXH3_64bits(without, sizeof without);
  return size == 0 ? seed : fc_xxh3_64(data, size, seed);
}

void fleet_value_encode_head(const struct fleet_value *value, const struct fc_hash *hash,
                             uint8_t head[FLEET_VALUE_HEAD]) {
  memset(head, 0, FLEET_VALUE_HEAD);
  memcpy(head, FLEET_VALUE_MAGIC, 4);
  image_put32(head + AT_FLAGS, value->deleted != 0 ? FLAG_TOMBSTONE : 0);
  image_put64(head + AT_SIZE, value->size);
  image_put64(head + AT_COMPUTE_NS, value->compute_ns);
  image_put64(head + AT_STAMP, value->stamp);
  image_put64(head + AT_NODE, value->node);
  image_put64(head + AT_VERSION, value->version);
  image_put64(head + AT_DELETED, value->deleted);
  check_eq(value->deleted != 0 && value->size != 0, 0);
  image_put64(head + AT_CHECKSUM, checksum_of(head, hash, value->data, value->size));
}

enum fleet_value_state fleet_value_decode(const void *data, size_t size, const struct fc_hash *hash,
                                          uint64_t version, uint64_t max_value,
                                          struct fleet_value *value) {
  const uint8_t *head = data;
  *value = (struct fleet_value){0};
  if (size < FLEET_VALUE_HEAD || memcmp(head, FLEET_VALUE_MAGIC, 4) != 0)
    return FLEET_VALUE_BAD;
  uint32_t flags = image_get32(head + AT_FLAGS);
  *value = (struct fleet_value){.data = head + FLEET_VALUE_HEAD,
                                .size = image_get64(head + AT_SIZE),
                                .compute_ns = image_get64(head + AT_COMPUTE_NS),
                                .stamp = image_get64(head + AT_STAMP),
                                .node = image_get64(head + AT_NODE),
                                .version = image_get64(head + AT_VERSION),
                                .deleted = image_get64(head + AT_DELETED)};
  uint64_t got = size - FLEET_VALUE_HEAD;
  if (value->version != version || (flags & ~FLAG_TOMBSTONE) != 0 ||
      (flags == FLAG_TOMBSTONE) != (value->deleted != 0))
    return FLEET_VALUE_BAD;
  if (value->size > max_value && got > max_value)
    return FLEET_VALUE_TOO_BIG;
  if (value->size != got ||
      image_get64(head + AT_CHECKSUM) != checksum_of(head, hash, value->data, got))
    return FLEET_VALUE_BAD;
  if (value->deleted == 0)
    return FLEET_VALUE_GOOD;
  value->data = NULL;
  return got == 0 ? FLEET_VALUE_TOMBSTONE : FLEET_VALUE_BAD;
}
