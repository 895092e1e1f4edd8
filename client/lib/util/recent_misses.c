#include "client/lib/util/recent_misses.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#define FIRST_CAPACITY 64u

/* Where to look for a key. */
struct recent_id {
  uint32_t place;
  uint64_t digest;
};

static struct recent_id id_of(const struct recent_misses *misses, const struct fc_key *key) {
  return (struct recent_id){recent_misses_place(misses, &key->prompt),
                            fc_key_digest(misses->seed, key)};
}

/* Returns the slot of the key, or the free one where it belongs. At least half of the slots are
 * free, so the search ends. */
static struct recent_slot *slot_of(const struct recent_table *table, struct recent_id id) {
  uint32_t mask = table->capacity - 1;
  uint32_t at = id.place & mask;
  while (table->slots[at].state != SLOT_FREE && table->slots[at].digest != id.digest)
    at = (at + 1) & mask;
  return &table->slots[at];
}

static struct recent_slot *live_slot_of(const struct recent_table *table, struct recent_id id) {
  struct recent_slot *slot = table->slots == NULL ? NULL : slot_of(table, id);
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
    struct recent_id id = {table->slots[i].place, table->slots[i].digest};
    *slot_of(&larger, id) = table->slots[i];
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

static const struct recent_slot *find(const struct recent_misses *misses, struct recent_id id) {
  const struct recent_slot *slot = live_slot_of(&misses->young, id);
  return slot != NULL ? slot : live_slot_of(&misses->old, id);
}

/* Early in the boot of a machine the kernel has no random numbers yet. Addresses must do then. */
static void draw_numbers(struct recent_misses *misses) {
  uint64_t numbers[3];
  if (getrandom(numbers, sizeof numbers, GRND_NONBLOCK) != (ssize_t)sizeof numbers)
    for (unsigned i = 0; i < 3; i++)
      numbers[i] = (uint64_t)(uintptr_t)misses * UINT64_C(0x9e3779b97f4a7c15) * (2 * i + 1);
  misses->seed = numbers[0];
  misses->multipliers[0] = numbers[1] | 1;
  misses->multipliers[1] = numbers[2] | 1;
}

void recent_misses_add(struct recent_misses *misses, const struct fc_key *key,
                       const struct recent_miss *miss) {
  if (misses->multipliers[0] == 0)
    draw_numbers(misses);
  struct recent_id id = id_of(misses, key);
  struct recent_table *young = &misses->young;
  const struct recent_slot *before = find(misses, id);
  bool leased = miss->leased || (before != NULL && before->miss.leased);
  struct recent_slot *slot = young->slots == NULL ? NULL : slot_of(young, id);
  if (slot == NULL || slot->state == SLOT_FREE) {
    if (young->n_used == RECENT_MISSES_MIN) {
      table_clear(&misses->old);
      misses->old = *young;
      *young = (struct recent_table){0};
    }
    if (!reserve(young))
      return;
    slot = slot_of(young, id);
    young->n_used++;
  }
  young->n_live += slot->state != SLOT_LIVE;
  *slot =
      (struct recent_slot){SLOT_LIVE, id.place, id.digest, {miss->epoch, miss->connection, leased}};
  assert(young->n_live <= young->n_used && 2 * young->n_used <= young->capacity);
}

bool recent_misses_find(const struct recent_misses *misses, const struct fc_key *key,
                        struct recent_miss *miss) {
  if (recent_misses_is_empty(misses))
    return false;
  const struct recent_slot *slot = find(misses, id_of(misses, key));
  if (slot == NULL)
    return false;
  *miss = slot->miss;
  return true;
}

static void table_remove(struct recent_table *table, struct recent_id id) {
  struct recent_slot *slot = live_slot_of(table, id);
  if (slot == NULL)
    return;
  assert(table->n_live > 0);
  slot->state = SLOT_REMOVED;
  table->n_live--;
}

void recent_misses_remove(struct recent_misses *misses, const struct fc_key *key) {
  if (!recent_misses_may_have(misses, &key->prompt)) /* all that nearly every hit pays */
    return;
  struct recent_id id = id_of(misses, key);
  table_remove(&misses->young, id);
  table_remove(&misses->old, id);
}

void recent_misses_clear(struct recent_misses *misses) {
  table_clear(&misses->young);
  table_clear(&misses->old);
}
