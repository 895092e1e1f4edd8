/* storm_keys.h - the keys and values of a storm. The keys share few buckets. Every byte of a value
 * follows from the key and the version, and versions are never reused. The first keys are pinned:
 * they are replaced but never evicted or cleared, so a miss of one is always an error. */
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

/* Makes keys of the namespace `name_space`, all in the first `crowd` buckets of the region. */
void storm_keys_make(struct storm_key keys[STORM_KEYS], uint64_t name_space, uint64_t n_buckets,
                     uint32_t crowd);

struct fc_str storm_group_op(uint32_t group); /* of the keys that are not pinned */
struct fc_str storm_churn_view(void);         /* of the keys that are not pinned */

/* Returns the next random number of a series. */
uint64_t storm_random(uint64_t *state);

/* Make the value of a version, of up to STORM_VALUE_MAX bytes. */
uint32_t storm_value_size(uint32_t key, uint64_t version);
void storm_value_fill(uint8_t *value, uint32_t size, uint32_t key, uint64_t version);
bool storm_value_is(const uint8_t *value, size_t size, uint32_t key, uint64_t version);

#endif
