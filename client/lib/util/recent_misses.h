/* recent_misses.h - the keys that a handle's own gets missed lately, each with the epoch of
 * its lookup: a put of such a key says by it when its computation began, so that a
 * clear in between is not undone. And whether its lease was granted then.
 *
 * Remembers the latest RECENT_MIN at least, and twice as many at most (2 MiB); what
 * is older is forgotten, and its put goes without. Memory is taken as misses come;
 * zero it to start, recent_clear frees. Pure memory, no I/O. One thread. */
#ifndef FC_CLIENT_RECENT_H
#define FC_CLIENT_RECENT_H

#include "proto/wire/message.h"

#define RECENT_MIN 16384u

struct recent_note;

struct recent_table {
  struct recent_note *slots; /* open addressing; NULL while empty */
  uint32_t capacity;         /* a power of two, at least twice `n` */
  uint32_t n;                /* slots that are or were in use */
  uint32_t known;            /* of these, notes that are not forgotten */
};

/* Two generations: when `young` is full it becomes `old`, and what was old goes. */
struct recent {
  struct recent_table young, old;
  uint64_t seed; /* of the digests; 0: none yet. Drawn here, so that nobody who chooses prompts for
                    this process can choose some that share a slot, or a note */
};

struct recent_miss {
  struct fc_epoch epoch; /* {0, 0}: the lookup did not reach the daemon */
  bool leased;
};

/* Replaces what was known of the key, but for a lease: who looks again while it has one is granted
 * no other. Where there is no memory for it nothing is noted. */
void recent_note(struct recent *recent, const struct fc_key *key, const struct recent_miss *miss);

/* False where the key is not known; *miss is then untouched. */
bool recent_find(const struct recent *recent, const struct fc_key *key, struct recent_miss *miss);

static inline bool recent_is_empty(const struct recent *recent) {
  return recent->young.known == 0 && recent->old.known == 0;
}

/* Cheap where nothing is noted, or all of it is forgotten. */
void recent_forget(struct recent *recent, const struct fc_key *key);

/* Forgets all, and frees. Idempotent. */
void recent_clear(struct recent *recent);

#endif
