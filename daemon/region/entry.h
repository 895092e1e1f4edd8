/* entry.h - one stored result: its metadata (struct entry), and the accessors of its key and value.
 *
 * Metadata and bytes both lie in the region, the metadata in slots that no chain leads to (heap.h).
 * So the metadata has numbers and no pointers: it moves when it is compacted, and clients can read
 * it. The heap owns the entries. A pointer is valid until the next call that changes the store, or
 * as long as the entry is held. A get changes the LRU order and moves no entry. */
#ifndef FC_DAEMON_ENTRY_H
#define FC_DAEMON_ENTRY_H

#include <sys/uio.h>

#include "daemon/region/arena.h"
#include "proto/key.h"
#include "proto/shm/region_layout.h"

struct namespace;

/* The two LRU orders of an entry: of the whole cache, and of its namespace. */
enum lru_kind { LRU_OF_ALL, LRU_OF_NAMESPACE, LRU_KINDS };

/* Numbers of the neighbours in an order; 0: none. */
struct lru_node {
  uint32_t newer, older;
};
/* Numbers of the ends of an order; 0: it is empty. */
struct lru {
  uint32_t newest, oldest;
};

/* One cache line of the processor, so that a hit writes few lines. */
struct entry {
  struct lru_node lists[LRU_KINDS];
  uint64_t digest;       /* of the key in its namespace */
  uint64_t use_stamp;    /* of the last use: unique, and the LRU order in numbers */
  uint64_t last_use_ns;  /* time of the put or of the last get */
  uint64_t hits;         /* gets since the put */
  arena_block block;     /* the first block, which names those of the pieces; 0: not written yet */
  uint32_t name_space;   /* number of the namespace in the heap; 0: not in the store */
  uint32_t holders : 31; /* references, see entry_hold; 0: the slot is unused */
  uint32_t wipe : 1;     /* see entry_wipe */
  uint32_t number;       /* of the slot; the bytes in the region name the entry by it */
};

#define ENTRY_BITS 7u /* 128 entries in a chunk of slots.h */
static_assert(sizeof(struct entry) << ENTRY_BITS == UINT64_C(1) << SLOTS_BYTES_BITS,
              "a chunk is full of entries");

/* Takes a reference, in addition to that of the store. While there is one, neither metadata nor
 * bytes move, and both remain after an eviction or a clear: the sender of a value needs that. The
 * last release frees the entry. */
void entry_hold(struct entry *entry);
void entry_release(struct entry *entry);

/* Releases the store's reference. While others hold the entry, its charge counts in the heap's
 * unlisted_bytes. */
void entry_unlist(struct entry *entry);
/* Makes the last release zero the entry's bytes, because clients may map them after a clear. The
 * entry has left its chain, or is about to. */
void entry_wipe(struct entry *entry);

/* Returns NULL if the entry is not in the store. */
struct namespace *entry_namespace(const struct entry *entry);

/* The following read a written entry. Names and values are borrowed. */

/* Returns where the entry lies in the region now. */
struct fc_region_entry *entry_placed(const struct entry *entry);
struct fc_key entry_key(const struct entry *entry);
uint32_t entry_value_size(const struct entry *entry);
uint64_t entry_compute_ns(const struct entry *entry);
/* Returns the low half of the number of the process that put the entry (processes.h). */
uint32_t entry_origin(const struct entry *entry);

/* Fills pieces[] with the value's bytes in order. Returns the number of pieces, which is 1 for an
 * empty value. */
size_t entry_value(const struct entry *entry, struct iovec pieces[FC_REGION_PIECES_MAX]);

/* Returns true if the bytes in the region are those of this key in the namespace of that id. */
bool entry_is(const struct fc_region_entry *placed, uint64_t name_space, const struct fc_key *key);

/* Returns true if the entry has that view and that op. A name without data matches any. */
bool entry_matches(const struct entry *entry, struct fc_str view, struct fc_str op);

#endif
