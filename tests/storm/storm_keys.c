#include "storm_keys.h"

#include <string.h>

#include "proto/shm/region_layout.h"

static const char *const ops[STORM_GROUPS] = {"op0", "op1", "op2", "op3",
                                              "op4", "op5", "op6", "op7"};

struct fc_str storm_group_op(uint32_t group) {
  return fc_str_of(ops[group]);
}

struct fc_str storm_churn_view(void) {
  return fc_str_of("churn");
}

void storm_keys_make(struct storm_key keys[STORM_KEYS], uint64_t name_space, uint64_t n_buckets,
                     uint32_t crowd) {
  uint32_t top_k = 0;
  for (uint32_t i = 0; i < STORM_KEYS; i++) {
    struct storm_key *key = &keys[i];
    bool pinned = i < STORM_PINNED;
    key->key = (struct fc_key){
        .op = pinned ? fc_str_of("pinned") : storm_group_op(i % STORM_GROUPS),
        .view = pinned ? fc_str_of("pinned") : storm_churn_view(),
        .prompt = fc_hash_prompt(&i, sizeof i),
    };
    do {
      key->key.top_k = top_k++;
      key->digest = fc_key_digest(name_space, &key->key);
    } while (fc_region_bucket_of(key->digest, n_buckets) >= crowd);
  }
}

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

uint64_t storm_random(uint64_t *state) {
  *state += UINT64_C(0x9e3779b97f4a7c15);
  return mix(*state);
}

static uint64_t seed_of(uint32_t key, uint64_t version) {
  return mix(version << 16 ^ key);
}

static uint64_t word_at(uint64_t seed, size_t i) {
  return seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
}

/* Most values are small, as results are. Some need a move of others, and some may be in pieces.
 * Every second version of a key has the same size, so that many replacements have the old size. */
uint32_t storm_value_size(uint32_t key, uint64_t version) {
  uint64_t random = mix(seed_of(key, version));
  random = random >> 63 != 0 ? random : mix(seed_of(key, 0));
  uint32_t kind = (uint32_t)(random % 100);
  uint32_t more = (uint32_t)(random >> 32);
  if (kind < 50)
    return more % 600;
  if (kind < 75 || key < STORM_PINNED)
    return 600 + more % 3400;
  if (kind < 93)
    return (4u << 10) + more % (28u << 10);
  return (32u << 10) + more % (STORM_VALUE_MAX - (32u << 10) + 1);
}

void storm_value_fill(uint8_t *value, uint32_t size, uint32_t key, uint64_t version) {
  uint64_t seed = seed_of(key, version);
  for (size_t i = 0; i < size; i += 8) {
    uint64_t word = word_at(seed, i / 8);
    memcpy(value + i, &word, size - i < 8 ? size - i : 8);
  }
}

bool storm_value_is(const uint8_t *value, size_t size, uint32_t key, uint64_t version) {
  uint64_t seed = seed_of(key, version), wrong = 0, word;
  if (size != storm_value_size(key, version))
    return false;
  for (size_t i = 0; i < size / 8; i++) {
    memcpy(&word, value + i * 8, 8);
    wrong |= word ^ word_at(seed, i);
  }
  word = word_at(seed, size / 8);
  return wrong == 0 && (size % 8 == 0 || memcmp(value + size / 8 * 8, &word, size % 8) == 0);
}
