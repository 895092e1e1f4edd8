/* storm_keys.h - what is stored in a storm: keys that crowd into few buckets, and values
 * of which every byte follows from the key and the version. Versions are never used
 * twice. The pinned keys are the first ones: they are replaced, never evicted nor
 * cleared, so a miss of one of them is always an error. */
#ifndef FC_TESTS_STORM_KEYS_H
#define FC_TESTS_STORM_KEYS_H

#include "proto/key.h"

#define STORM_NAMESPACE 11u /* its id */
#define STORM_BOOT_ID 1u
#define STORM_KEYS 128u
#define STORM_PINNED 8u
#define STORM_GROUPS 8u /* ops, by which keys are cleared */
#define STORM_VALUE_MAX (96u << 10)

struct storm_key {
  struct fc_key key; /* its names are constants */
  uint64_t digest;
};

/* Keys of the namespace `name_space`, all in the first `crowd` of the region's buckets. */
void storm_keys_make(struct storm_key keys[STORM_KEYS], uint64_t name_space, uint64_t n_buckets,
                     uint32_t crowd);

struct fc_str storm_group_op(uint32_t group); /* of the keys but the pinned ones */
struct fc_str storm_churn_view(void);         /* likewise */

/* The next of a series of random numbers. */
uint64_t storm_random(uint64_t *state);

/* The value of that version, up to STORM_VALUE_MAX. */
uint32_t storm_value_size(uint32_t key, uint64_t version);
void storm_value_fill(uint8_t *value, uint32_t size, uint32_t key, uint64_t version);
bool storm_value_is(const uint8_t *value, size_t size, uint32_t key, uint64_t version);

#endif
