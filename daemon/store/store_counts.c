#include "daemon/store/store_counts.h"

#include <string.h>
#include <xxhash.h>

/* A clear may name a view, an op or both, in one namespace or in all: an entry counts in each. */
#define WAYS 6u

void store_counts_init(struct store_counts *counts, uint64_t seed) {
  memset(counts, 0, sizeof *counts);
  counts->seed = seed;
}

static uint64_t hash_of(const struct store_counts *counts, struct fc_str name) {
  return name.data == NULL ? 0 : XXH3_64bits_withSeed(name.data, name.size, counts->seed);
}

/* From the hashes of names, each 0 for any. */
static uint32_t slot_of(uint64_t name_space, uint64_t view, uint64_t op) {
  uint64_t x = name_space + view * 0x9e3779b97f4a7c15u + op * 0xc2b2ae3d27d4eb4fu;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  return (uint32_t)((x ^ (x >> 32)) & (STORE_COUNTS - 1));
}

static void slots_of(const struct store_counts *counts, uint64_t namespace_seed, struct fc_str view,
                     struct fc_str op, uint32_t slots[WAYS]) {
  uint64_t v = hash_of(counts, view), o = hash_of(counts, op);
  slots[0] = slot_of(namespace_seed, v, 0);
  slots[1] = slot_of(namespace_seed, 0, o);
  slots[2] = slot_of(namespace_seed, v, o);
  slots[3] = slot_of(0, v, 0);
  slots[4] = slot_of(0, 0, o);
  slots[5] = slot_of(0, v, o);
}

void store_counts_add(struct store_counts *counts, uint64_t namespace_seed, struct fc_str view,
                      struct fc_str op) {
  uint32_t slots[WAYS];
  slots_of(counts, namespace_seed, view, op, slots);
  for (size_t i = 0; i < WAYS; i++)
    counts->counts[slots[i]]++;
}

void store_counts_remove(struct store_counts *counts, uint64_t namespace_seed, struct fc_str view,
                         struct fc_str op) {
  uint32_t slots[WAYS];
  slots_of(counts, namespace_seed, view, op, slots);
  for (size_t i = 0; i < WAYS; i++)
    counts->counts[slots[i]]--;
}

bool store_counts_may_have(const struct store_counts *counts, uint64_t namespace_seed,
                           struct fc_str view, struct fc_str op) {
  if (view.data == NULL && op.data == NULL)
    return true; /* the namespace itself knows */
  return counts->counts[slot_of(namespace_seed, hash_of(counts, view), hash_of(counts, op))] > 0;
}
