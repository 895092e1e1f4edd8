#include "client/lib/util/recent_misses.h"

#include <stdlib.h>
#include <sys/random.h>

#define FIRST_CAPACITY 64u

struct recent_note {
  enum {
    NOTE_NONE = 0,
    NOTE_KNOWN,
    NOTE_FORGOTTEN
  } state;         /* a forgotten one keeps its chain whole */
  uint64_t digest; /* of the key */
  struct recent_miss miss;
};

/* The digest's slot, or the free one where it belongs: there is one, since `n` is at most half. */
static struct recent_note *slot_of(const struct recent_table *table, uint64_t digest) {
  uint32_t mask = table->capacity - 1;
  uint32_t at = (uint32_t)digest & mask;
  while (table->slots[at].state != NOTE_NONE && table->slots[at].digest != digest)
    at = (at + 1) & mask;
  return &table->slots[at];
}

static struct recent_note *known(const struct recent_table *table, uint64_t digest) {
  struct recent_note *note = table->slots == NULL ? NULL : slot_of(table, digest);
  return note != NULL && note->state == NOTE_KNOWN ? note : NULL;
}

/* Room for one more note, in a table for what is still known: the forgotten go. */
static bool reserve(struct recent_table *table) {
  uint32_t old_capacity = table->slots == NULL ? 0 : table->capacity;
  if ((table->n + 1) * 2 <= old_capacity)
    return true;
  struct recent_table larger = {.capacity = FIRST_CAPACITY, .known = table->known};
  while (larger.capacity < (table->known + 1) * 3)
    larger.capacity *= 2;
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (larger.slots == NULL)
    return false;
  for (uint32_t i = 0; i < old_capacity; i++) {
    if (table->slots[i].state != NOTE_KNOWN)
      continue;
    *slot_of(&larger, table->slots[i].digest) = table->slots[i];
    larger.n++;
  }
  free(table->slots);
  *table = larger;
  return true;
}

static void table_clear(struct recent_table *table) {
  free(table->slots);
  *table = (struct recent_table){0};
}

static const struct recent_note *find(const struct recent *recent, uint64_t digest) {
  const struct recent_note *note = known(&recent->young, digest);
  return note != NULL ? note : known(&recent->old, digest);
}

/* Early in the boot of a machine the kernel may have no random numbers yet: then an address will
 * do. */
static uint64_t draw_seed(const struct recent *recent) {
  uint64_t seed;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
    seed = (uint64_t)(uintptr_t)recent;
  return seed | 1; /* never 0 */
}

static uint64_t digest_of(const struct recent *recent, const struct fc_key *key) {
  return fc_key_digest(recent->seed, key);
}

void recent_note(struct recent *recent, const struct fc_key *key, const struct recent_miss *miss) {
  if (recent->seed == 0)
    recent->seed = draw_seed(recent);
  uint64_t digest = digest_of(recent, key);
  struct recent_table *young = &recent->young;
  const struct recent_note *before = find(recent, digest);
  bool leased = miss->leased || (before != NULL && before->miss.leased);
  struct recent_note *note = young->slots == NULL ? NULL : slot_of(young, digest);
  if (note == NULL || note->state == NOTE_NONE) {
    if (young->n == RECENT_MIN) {
      table_clear(&recent->old);
      recent->old = *young;
      *young = (struct recent_table){0};
    }
    if (!reserve(young))
      return;
    note = slot_of(young, digest);
    young->n++;
  }
  young->known += note->state != NOTE_KNOWN;
  *note = (struct recent_note){NOTE_KNOWN, digest, {miss->epoch, leased}};
}

bool recent_find(const struct recent *recent, const struct fc_key *key, struct recent_miss *miss) {
  if (recent_is_empty(recent))
    return false;
  const struct recent_note *note = find(recent, digest_of(recent, key));
  if (note == NULL)
    return false;
  *miss = note->miss;
  return true;
}

static void forget(struct recent_table *table, uint64_t digest) {
  struct recent_note *note = known(table, digest);
  if (note == NULL)
    return;
  note->state = NOTE_FORGOTTEN;
  table->known--;
}

void recent_forget(struct recent *recent, const struct fc_key *key) {
  if (recent_is_empty(recent)) /* for a hit this is all it costs */
    return;
  uint64_t digest = digest_of(recent, key);
  forget(&recent->young, digest);
  forget(&recent->old, digest);
}

void recent_clear(struct recent *recent) {
  table_clear(&recent->young);
  table_clear(&recent->old);
}
