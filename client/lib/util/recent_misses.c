#include "client/lib/util/recent_misses.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#define FIRST_CAPACITY 64u

struct recent_slot {
  enum { SLOT_FREE = 0, SLOT_LIVE, SLOT_REMOVED } state; /* a removed slot keeps its chain whole */
  uint64_t digest;
  struct recent_miss miss;
};

/* Returns the slot of the digest, or the free one where it belongs. At least half of the slots are
 * free, so the search ends. */
static struct recent_slot *slot_of(const struct recent_table *table, uint64_t digest) {
  uint32_t mask = table->capacity - 1;
  uint32_t at = (uint32_t)digest & mask;
  while (table->slots[at].state != SLOT_FREE && table->slots[at].digest != digest)
    at = (at + 1) & mask;
  return &table->slots[at];
}

static struct recent_slot *live_slot_of(const struct recent_table *table, uint64_t digest) {
  struct recent_slot *slot = table->slots == NULL ? NULL : slot_of(table, digest);
  return slot != NULL && slot->state == SLOT_LIVE ? slot : NULL;
}

/* Makes room for one more slot. A new table has the live slots only. False: out of memory. */
static bool reserve(struct recent_table *table) {
  uint32_t old_capacity = table->slots == NULL ? 0 : table->capacity;
  if ((table->n_used + 1) * 2 <= old_capacity)
    return true;
  struct recent_table larger = {.capacity = FIRST_CAPACITY, .n_live = table->n_live};
  while (larger.capacity < (table->n_live + 1) * 3)
    larger.capacity *= 2;
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (larger.slots == NULL)
    return false;
  for (uint32_t i = 0; i < old_capacity; i++) {
    if (table->slots[i].state != SLOT_LIVE)
      continue;
    *slot_of(&larger, table->slots[i].digest) = table->slots[i];
    larger.n_used++;
  }
  assert(larger.n_used == larger.n_live);
  free(table->slots);
  *table = larger;
  return true;
}

static void table_clear(struct recent_table *table) {
  free(table->slots);
  *table = (struct recent_table){0};
}

static const struct recent_slot *find(const struct recent_misses *misses, uint64_t digest) {
  const struct recent_slot *slot = live_slot_of(&misses->young, digest);
  return slot != NULL ? slot : live_slot_of(&misses->old, digest);
}

/* Early in the boot of a machine the kernel has no random numbers yet. An address must do then. */
static uint64_t draw_seed(const struct recent_misses *misses) {
  uint64_t seed;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
    seed = (uint64_t)(uintptr_t)misses;
  return seed | 1; /* never 0 */
}

void recent_misses_add(struct recent_misses *misses, const struct fc_key *key,
                       const struct recent_miss *miss) {
  if (misses->seed == 0)
    misses->seed = draw_seed(misses);
  uint64_t digest = fc_key_digest(misses->seed, key);
  struct recent_table *young = &misses->young;
  const struct recent_slot *before = find(misses, digest);
  bool leased = miss->leased || (before != NULL && before->miss.leased);
  struct recent_slot *slot = young->slots == NULL ? NULL : slot_of(young, digest);
  if (slot == NULL || slot->state == SLOT_FREE) {
    if (young->n_used == RECENT_MISSES_MIN) {
      table_clear(&misses->old);
      misses->old = *young;
      *young = (struct recent_table){0};
    }
    if (!reserve(young))
      return;
    slot = slot_of(young, digest);
    young->n_used++;
  }
  young->n_live += slot->state != SLOT_LIVE;
  *slot = (struct recent_slot){SLOT_LIVE, digest, {miss->epoch, miss->connection, leased}};
  assert(young->n_live <= young->n_used && 2 * young->n_used <= young->capacity);
}

bool recent_misses_find(const struct recent_misses *misses, const struct fc_key *key,
                        struct recent_miss *miss) {
  if (recent_misses_is_empty(misses))
    return false;
  const struct recent_slot *slot = find(misses, fc_key_digest(misses->seed, key));
  if (slot == NULL)
    return false;
  *miss = slot->miss;
  return true;
}

static void table_remove(struct recent_table *table, uint64_t digest) {
  struct recent_slot *slot = live_slot_of(table, digest);
  if (slot == NULL)
    return;
  assert(table->n_live > 0);
  slot->state = SLOT_REMOVED;
  table->n_live--;
}

void recent_misses_remove(struct recent_misses *misses, const struct fc_key *key) {
  if (recent_misses_is_empty(misses)) /* all that a hit pays */
    return;
  uint64_t digest = fc_key_digest(misses->seed, key);
  table_remove(&misses->young, digest);
  table_remove(&misses->old, digest);
}

void recent_misses_clear(struct recent_misses *misses) {
  table_clear(&misses->young);
  table_clear(&misses->old);
}
