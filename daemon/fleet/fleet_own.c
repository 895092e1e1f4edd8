#include "daemon/fleet/fleet_own.h"

#include <stdlib.h>

#include "proto/errors.h"
#include "proto/image/image_bytes.h"

int fleet_own_init(struct fleet_own *own) {
  *own = (struct fleet_own){.words = calloc(1, FLEET_OWN_BYTES)};
  return own->words == NULL ? FC_ENOMEM : 0;
}

void fleet_own_deinit(struct fleet_own *own) {
  free(own->words);
  *own = (struct fleet_own){0};
}

/* The hash is uniform. The version is spread over all bits by a multiplication. */
static uint32_t bit_of(const struct fc_hash *hash, uint64_t version) {
  uint64_t mixed = image_get64(hash->bytes) ^ (version * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
  return (uint32_t)(mixed & (FLEET_OWN_BITS - 1));
}

void fleet_own_mark(struct fleet_own *own, const struct fc_hash *hash, uint64_t version) {
  uint32_t bit = bit_of(hash, version);
  uint64_t mask = UINT64_C(1) << (bit % 64);
  own->n += (own->words[bit / 64] & mask) == 0;
  own->words[bit / 64] |= mask;
}

bool fleet_own_has(const struct fleet_own *own, const struct fc_hash *hash, uint64_t version) {
  uint32_t bit = bit_of(hash, version);
  return (own->words[bit / 64] >> (bit % 64) & 1) != 0;
}
