#include "tests/support/seeded_values.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define ORIGIN 5u

static uint64_t random_state;
static uint8_t *scratch; /* the bytes of one value */

void seeded_open(void) {
  world_open(SEEDED_MAX_BYTES, SEEDED_VALUE_MAX, 8);
  world.ns = world_namespace("ns");
  random_state = 1;
}

void seeded_close(void) {
  world_close();
}

void random_seed(uint64_t seed) {
  random_state = seed;
}

static uint64_t next(void) { /* xorshift64* */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 0x2545f4914f6cdd1du;
}

uint32_t random_below(uint32_t n) {
  return (uint32_t)((next() >> 32) * n >> 32);
}

uint32_t random_log_uniform(uint32_t bits_max) {
  uint32_t bits = random_below(bits_max + 1);
  return (1u << bits) - (bits == 0 ? 0 : random_below(1u << (bits - 1)));
}

const uint8_t *seeded_bytes(uint64_t seed, uint32_t size) {
  if (scratch == NULL)
    scratch = malloc(SEEDED_VALUE_MAX);
  ck_assert_ptr_nonnull(scratch);
  for (uint32_t i = 0; i < size; i += 8) {
    uint64_t word = (seed + i) * 0x9e3779b97f4a7c15u;
    memcpy(scratch + i, &word, size - i < 8 ? size - i : 8);
  }
  return scratch;
}

int seeded_put(uint32_t n, uint64_t seed, uint32_t size) {
  struct fc_key key = key_number(n);
  struct store_put_info info = {.origin = ORIGIN, .compute_ns = seed};
  return store_put(&world.store, world.ns, &key, seeded_bytes(seed, size), size, &info);
}

void seeded_check(const struct entry *entry, uint32_t n, uint64_t seed, uint32_t size) {
  struct fc_key key = key_number(n);
  const uint8_t *bytes = seeded_bytes(seed, size);
  private_store_check_value(entry, bytes, size);
  ck_assert(entry_is(entry_placed(entry), world.ns->seed, &key));
  ck_assert_uint_eq(entry_compute_ns(entry), seed);
  ck_assert_uint_eq(entry_origin(entry), ORIGIN);
  uint64_t digest = fc_key_digest(world.ns->seed, &key);
  ck_assert_uint_eq(fc_region_checksum_of(entry_placed(entry)->shape),
                    (uint32_t)XXH3_64bits_withSeed(bytes, size, digest));
}

size_t seeded_pieces(const struct entry *entry) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  return entry_value(entry, pieces);
}
