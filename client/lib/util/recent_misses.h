/* recent_misses.h - the keys that the handle's gets missed lately, with the epoch of each lookup.
 *
 * A put of such a key sends the epoch as the begin of its computation. The daemon then rejects the
 * put if a clear came in between. The table also remembers whether the lookup was granted a lease.
 *
 * Holds at least the latest RECENT_MISSES_MIN keys, and at most twice as many (2 MiB). Older ones
 * are dropped; their puts carry no epoch. Memory grows with the misses. Zero the struct to start,
 * call recent_misses_clear at the end. No I/O. One thread. */
#ifndef FC_CLIENT_RECENT_MISSES_H
#define FC_CLIENT_RECENT_MISSES_H

#include <string.h>

#include "proto/wire/message.h"

#define RECENT_MISSES_MIN 16384u

struct recent_miss {
  struct fc_epoch epoch; /* {0, 0}: the lookup did not reach the daemon */
  uint32_t connection;   /* number of the connection: later ones have later epochs */
  bool leased;
};

struct recent_slot {
  enum { SLOT_FREE = 0, SLOT_LIVE, SLOT_REMOVED } state; /* a removed slot keeps its chain whole */
  uint32_t place;  /* where its chain begins, before the mask */
  uint64_t digest; /* of the whole key */
  struct recent_miss miss;
};

/* A hash table with open addressing. */
struct recent_table {
  struct recent_slot *slots; /* NULL while empty */
  uint32_t capacity;         /* a power of two, at least twice `n_used` */
  uint32_t n_used;           /* slots in use, removed ones included */
  uint32_t n_live;           /* slots in use without the removed ones */
};

/* Two generations. When `young` is full it replaces `old`. */
struct recent_misses {
  struct recent_table young, old;
  /* Drawn at random, so that an author of prompts cannot make two keys share a slot. */
  uint64_t seed;           /* of the digests */
  uint64_t multipliers[2]; /* of the places; odd. 0: not drawn yet */
};

/* Adds or replaces the miss of a key. A lease that the table knows stays: a lookup by its owner is
 * granted no second one. Without memory the key is left out. */
void recent_misses_add(struct recent_misses *misses, const struct fc_key *key,
                       const struct recent_miss *miss);

/* Returns whether the key is in the table, and then fills *miss. */
bool recent_misses_find(const struct recent_misses *misses, const struct fc_key *key,
                        struct recent_miss *miss);

static inline bool recent_misses_is_empty(const struct recent_misses *misses) {
  return misses->young.n_live == 0 && misses->old.n_live == 0;
}

/* Returns where the chain of a key begins, by its prompt alone: keys that differ in their names
 * only share a chain, and there are few of them. With random multipliers, two prompts begin at one
 * place of n with a probability of about 1/n, whoever chose them. */
static inline uint32_t recent_misses_place(const struct recent_misses *misses,
                                           const struct fc_hash *prompt) {
  uint64_t words[2];
  memcpy(words, prompt->bytes, sizeof words);
  return (uint32_t)((words[0] * misses->multipliers[0] + words[1] * misses->multipliers[1]) >> 32);
}

static inline bool recent_table_may_have(const struct recent_table *table, uint32_t place) {
  return table->n_live > 0 && table->slots[place & (table->capacity - 1)].state != SLOT_FREE;
}

/* Returns whether the table may have a key with this prompt. Hits call it, so it does not make the
 * key's digest. Two loads if the table is empty. */
static inline bool recent_misses_may_have(const struct recent_misses *misses,
                                          const struct fc_hash *prompt) {
  if (recent_misses_is_empty(misses))
    return false;
  uint32_t place = recent_misses_place(misses, prompt);
  return recent_table_may_have(&misses->young, place) || recent_table_may_have(&misses->old, place);
}

/* Removes the key. Costs little if recent_misses_may_have is false. */
void recent_misses_remove(struct recent_misses *misses, const struct fc_key *key);

/* Removes all keys and frees their memory. Idempotent. */
void recent_misses_clear(struct recent_misses *misses);

#endif
