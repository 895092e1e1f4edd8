/* crash_keys.h - the keys and values of the crash storm. A value contains its key's number and its
 * version, and all its bytes follow from these, so any wrong value is recognised. Most keys have an
 * owner, the one worker that puts them. The leased keys are put by any worker that has the lease.
 *
 * A version is a tick of the board's clock, and says whether the put carried an epoch. */
#ifndef FC_TESTS_CRASH_KEYS_H
#define FC_TESTS_CRASH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fcache.h"

#define CRASH_WORKERS 8u
#define CRASH_SPACES 3u
#define CRASH_VIEWS 2u
#define CRASH_OPS 4u          /* the last one has the leased keys */
#define CRASH_OWNED_KEYS 768u /* the first ones */
#define CRASH_LEASED_KEYS 96u
#define CRASH_KEYS (CRASH_OWNED_KEYS + CRASH_LEASED_KEYS)
#define CRASH_VALUE_MIN 64u
#define CRASH_VALUE_MAX (1u << 20)
/* Some lives have large values of the first keys, so that a clear takes several slices. */
#define CRASH_LARGE_KEYS 24u
#define CRASH_LARGE (256u << 10)

/* The tick at which the put or its computation began, and whether the put has the epoch of a miss
 * that came before. */
static inline uint64_t crash_version_of(uint64_t tick, bool has_epoch) {
  return tick << 1 | (has_epoch ? 1u : 0u);
}
static inline uint64_t crash_version_tick(uint64_t version) {
  return version >> 1;
}
static inline bool crash_version_has_epoch(uint64_t version) {
  return (version & 1) != 0;
}

/* The parts of a key, by their numbers. */
struct crash_place {
  uint32_t space, view, op;
};
struct crash_place crash_key_place(uint32_t key);
static inline bool crash_key_is_leased(uint32_t key) {
  return key >= CRASH_OWNED_KEYS;
}

/* Names. A number past the last one (CRASH_SPACES, ...) is NULL, which selects any. */
const char *crash_space_name(uint32_t space);
const char *crash_view_name(uint32_t view);
const char *crash_op_name(uint32_t op);

/* Returns the key of a number. top_k is the number, which finds it again in a list. */
struct fcache_key crash_key_of(uint32_t key);

/* Sizes follow from key and version: CRASH_VALUE_MIN to CRASH_VALUE_MAX bytes, mostly small. */
uint32_t crash_value_size(uint32_t key, uint64_t version);
void crash_value_fill(uint8_t *value, uint32_t size, uint32_t key, uint64_t version);
/* Returns whether all bytes are those of the key, in the version that the value names. */
bool crash_value_check(const void *value, size_t size, uint32_t key, uint64_t *version);

#endif
