/* entry.h - one stored result: the daemon's books about it, and the bytes that readers
 * see. Both lie in the region, the books in blocks to which no chain leads (heap.h). So
 * they contain numbers and no pointers: they are moved together, and clients can read
 * them. Owned by the store; a pointer is valid until the next call that changes the store
 * (a get changes the order, not the entries), or as long as the entry is held. */
#ifndef FC_DAEMON_ENTRY_H
#define FC_DAEMON_ENTRY_H

#include <sys/uio.h>

#include "daemon/region/arena.h"
#include "daemon/region/lru.h"
#include "proto/key.h"
#include "proto/shm/region_layout.h"

struct heap;
struct namespace;

/* One line of the processor's cache: the order of hits is kept in these alone. */
struct entry {
  struct lru_node lists[LRU_KINDS];
  uint64_t digest;      /* of the key in its namespace */
  uint64_t use_stamp;   /* rises with each use of any entry: unique, and the LRU order in numbers */
  uint64_t last_use_ns; /* the time of the call that put or last got it */
  uint64_t hits;        /* gets since it was put */
  arena_block block;    /* the first; those of pieces stand with them. 0: not placed yet */
  uint32_t name_space;  /* the namespace's number in the heap; 0: the entry is not in the store */
  uint32_t holders : 31; /* see entry_hold; 0: the slot is not in use */
  uint32_t wipe : 1;     /* see entry_wipe */
  uint32_t number;       /* in the heap: the region leads back to the entry by it */
};

#define ENTRY_BITS 7u /* 128 entries in a chunk of slots.h */
static_assert(sizeof(struct entry) << ENTRY_BITS == UINT64_C(1) << SLOTS_BYTES_BITS,
              "a chunk is full of entries");

/* The store's own reference is the first. A sender of a value from where it lies takes another, so
 * that entry and bytes stay where they are, also through an eviction or a clear. With the last one
 * both go. */
void entry_hold(struct entry *entry);
void entry_release(struct entry *entry);

/* The store lets go. While others hold the entry its charge counts in the heap's unlisted_bytes. */
void entry_unlist(struct entry *entry);
/* Its bytes in the region are zeroed before they are free for others: when the last holder lets go.
 * For an entry that has left its chain, as clients may still map it. */
void entry_wipe(struct entry *entry);
/* NULL: the entry is not in the store. */
struct namespace *entry_namespace(const struct entry *entry);

/* Of a placed entry: where it is now. */
struct fc_region_entry *entry_placed(const struct entry *entry);

/* The following read what is placed; names and values are borrowed. */
struct fc_key entry_key(const struct entry *entry);
uint32_t entry_value_size(const struct entry *entry);
uint64_t entry_compute_ns(const struct entry *entry);
uint32_t entry_origin(const struct entry *entry); /* low half of the number of the process that put
                                                     it, see processes.h */

/* The value's bytes in order. Returns how many pieces: 1 where it lies in one or is empty. */
size_t entry_value(const struct entry *entry, struct iovec pieces[FC_REGION_PIECES_MAX]);

/* The namespace's id and the key of what is placed: is it this one? */
bool entry_is(const struct fc_region_entry *placed, uint64_t name_space, const struct fc_key *key);

/* Has it that view and that op? A name that is none matches any. */
bool entry_matches(const struct entry *entry, struct fc_str view, struct fc_str op);

#endif
