#include "daemon/snapshot/restored_clears.h"

#include <stdlib.h>

#include <xxhash.h>

#define FIRST_SLOTS 64u /* a power of two */

void restored_clears_init(struct restored_clears *clears, uint64_t seed) {
  *clears = (struct restored_clears){.seed = seed};
}

void restored_clears_deinit(struct restored_clears *clears) {
  free(clears->slots);
  *clears = (struct restored_clears){0};
}

/* Returns the hash of a name; of any: 0. */
static uint64_t hash_name(const struct restored_clears *clears, struct fc_str name) {
  return name.data == NULL ? 0 : XXH3_64bits_withSeed(name.data, name.size, clears->seed) | 1;
}

static uint64_t hash_names(const struct restored_clears *clears, const uint64_t names[3]) {
  return XXH3_64bits_withSeed(names, 3 * sizeof names[0], clears->seed) | 1;
}

static uint64_t hash_key(const struct restored_clears *clears, const struct fc_hash *key) {
  return XXH3_64bits_withSeed(key->bytes, sizeof key->bytes, clears->seed) | 1;
}

/* Returns the slot of these names, or the unused one where they belong. */
static struct restored_clear *find(const struct restored_clears *clears, uint64_t names) {
  uint64_t at = names >> 1;
  struct restored_clear *slot;
  do
    slot = &clears->slots[at++ & (clears->n_slots - 1)];
  while (slot->names != 0 && slot->names != names);
  return slot;
}

static bool grow(struct restored_clears *clears) {
  struct restored_clears larger = *clears;
  larger.n_slots = clears->n_slots == 0 ? FIRST_SLOTS : clears->n_slots * 2;
  larger.slots = calloc(larger.n_slots, sizeof *larger.slots);
  if (larger.slots == NULL)
    return false;
  for (uint32_t i = 0; i < clears->n_slots; i++)
    if (clears->slots[i].names != 0)
      *find(&larger, clears->slots[i].names) = clears->slots[i];
  free(clears->slots);
  *clears = larger;
  return true;
}

void restored_clears_add(void *arg, const struct clear_journal_record *record) {
  struct restored_clears *clears = arg;
  uint64_t names[] = {hash_name(clears, record->name_space), hash_name(clears, record->view),
                      hash_name(clears, record->op)};
  uint64_t hash = record->is_delete ? hash_key(clears, &record->key) : hash_names(clears, names);
  if (clears->n * 2 >= clears->n_slots && !grow(clears)) {
    clears->failed = true;
    return;
  }
  struct restored_clear *slot = find(clears, hash);
  clears->n += slot->names == 0;
  clears->has_deletes |= record->is_delete;
  slot->names = hash;
  slot->stamp = slot->stamp > record->stamp ? slot->stamp : record->stamp;
  if (clears->last_stamp < record->stamp)
    clears->last_stamp = record->stamp;
  if (clears->last_generation < record->generation)
    clears->last_generation = record->generation;
}

static bool is_removed(const struct restored_clears *clears, uint64_t hash, uint64_t stamp) {
  const struct restored_clear *slot = find(clears, hash);
  return slot->names != 0 && stamp <= slot->stamp;
}

bool restored_clears_select(const struct restored_clears *clears, struct fc_str name_space,
                            const struct fc_key *key, uint64_t stamp) {
  if (clears->n == 0 || stamp > clears->last_stamp)
    return false;
  uint64_t given[] = {hash_name(clears, name_space), hash_name(clears, key->view),
                      hash_name(clears, key->op)};
  for (unsigned ways = 0; ways < 8; ways++) { /* each name is given or any */
    uint64_t names[3];
    for (unsigned i = 0; i < 3; i++)
      names[i] = (ways >> i & 1) != 0 ? given[i] : 0;
    if (is_removed(clears, hash_names(clears, names), stamp))
      return true;
  }
  if (!clears->has_deletes)
    return false;
  struct fc_hash hash = clear_journal_key(name_space, key);
  return is_removed(clears, hash_key(clears, &hash), stamp);
}
