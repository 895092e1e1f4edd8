/* region_lookup.h - lookups in a region by the key that the store has. */
#ifndef FC_TESTS_REGION_LOOKUP_H
#define FC_TESTS_REGION_LOOKUP_H

#include "client/lib/shm/region_reader.h"

/* Looks up the key in a namespace. `digest` selects the bucket: fc_key_digest, or any. */
static inline enum region_reader_result
region_lookup(const struct region_reader *map, uint64_t name_space, uint64_t digest,
              const struct fc_key *key, struct fcache_value *value, struct region_reader_hit *hit) {
  uint8_t names[REGION_NAMES_BYTES];
  region_reader_pack_names(names, key);
  struct region_key sought = region_key_of(digest, name_space, &key->prompt, key->top_k, names,
                                           key->op.size, key->view.size);
  return region_reader_get(map, &sought, value, hit);
}

#endif
