/* entry.h - one stored result: its metadata (struct entry), and the accessors of its key and value.
 *
 * The bytes lie in a region. The metadata lies in the catalog, or in the region where no chain
 * leads to it (heap.h). The next daemon finds it there, and clients may read it. So it has numbers
 * and no pointers, and it moves when it is compacted. The heap owns the entries. A pointer is valid
 * until the next call that changes the store, or as long as the entry is held. A get changes the
 * LRU order and moves no entry.
 *
 * The store of `name_space` makes an entry live, and 0 ends it. The next daemon adopts the entries
 * that are live and have a stamp. */
#ifndef FC_DAEMON_ENTRY_H
#define FC_DAEMON_ENTRY_H

#include <stddef.h>
#include <sys/uio.h>

#include "daemon/region/arena.h"
#include "daemon/region/catalog.h"
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

#define ENTRY_NAME_SPACES 2048u /* numbers of namespaces in the heap, 0 included */
/* One for the store, one for each connection at most, and a few of the daemon. entry_hold asserts
 * the bound, so a client must not make the daemon hold an entry more often. */
#define ENTRY_HOLDERS_MAX ((1u << 21) - 1u)
#define ENTRY_STAMP_BITS 52u /* 140 years at a million uses a second */
#define ENTRY_PLACE_BITS 44u /* of multiples of FC_REGION_UNIT */
#define ENTRY_CHARGE_UNIT FC_REGION_UNIT

/* One cache line of the processor, so that a hit writes few lines. */
struct entry {
  struct lru_node lists[LRU_KINDS];
  uint64_t digest; /* of the key in its namespace */
  union {
    uint64_t stamp; /* both in one word, so that a store of it is atomic */
    struct {
      uint64_t use_stamp : ENTRY_STAMP_BITS; /* of the last use: unique; the LRU order in numbers.
                                                The low bits, as on all little-endian machines */
      uint64_t place_high : ENTRY_PLACE_BITS - 32;
    };
  };
  uint64_t last_use_ns; /* time of the put or of the last get */
  uint32_t hits;        /* gets since the put; saturates */
  arena_block block;    /* the first block, which names those of the pieces; 0: not written yet, or
                           in a source */
  union {
    uint64_t where; /* all in one word, so that a store of it is atomic */
    struct {
      uint32_t place;       /* where it lies in its region, see entry_place */
      uint32_t charge : 27; /* in multiples of ENTRY_CHARGE_UNIT; 0: not written yet */
      uint32_t source : 4;  /* its region: the index in the catalog's header */
      uint32_t wipe : 1;    /* see entry_wipe */
    };
  };
  union {
    uint32_t state; /* both in one word, so that a store of it is atomic */
    struct {
      uint32_t name_space : 11; /* number of the namespace in the heap; 0: not in the store */
      uint32_t holders : 21;    /* references, see entry_hold; 0: the slot is unused */
    };
  };
  uint32_t number; /* of the slot; the bytes in the region name the entry by it */
};
static_assert(sizeof(struct entry) == 64, "catalog layout 1");
static_assert(offsetof(struct entry, digest) == 16 && offsetof(struct entry, stamp) == 24 &&
                  offsetof(struct entry, last_use_ns) == 32 &&
                  offsetof(struct entry, where) == 48 && offsetof(struct entry, state) == 56 &&
                  offsetof(struct entry, number) == 60,
              "catalog layout 1");

#define ENTRY_BITS 7u /* a chunk of slots.h has places for 128, of which its header takes one */
#define ENTRIES_PER_CHUNK 127u
static_assert(sizeof(struct entry) << ENTRY_BITS == SLOTS_CHUNK_BYTES, "a chunk is full of them");

/* Returns the offset of the entry's bytes in its region. */
static inline uint64_t entry_place(const struct entry *entry) {
  return ((uint64_t)entry->place_high << 32 | entry->place) * FC_REGION_UNIT;
}
/* In one store, which comes after that of the cache's last stamp: an entry that a daemon was
 * promoting when it was killed is as good as any other. */
static inline void entry_set_stamp(struct entry *entry, uint64_t stamp) {
  uint64_t mask = (UINT64_C(1) << ENTRY_STAMP_BITS) - 1;
  catalog_commit_u64(&entry->stamp, (entry->stamp & ~mask) | (stamp & mask));
}
/* In two stores. A kill between them loses a live entry that moves across a multiple of 64 GiB. */
static inline void entry_set_place(struct entry *entry, uint64_t offset) {
  entry->place = (uint32_t)(offset / FC_REGION_UNIT);
  entry->place_high = (uint32_t)(offset / FC_REGION_UNIT >> 32) & 0xfffu;
}

/* Takes a reference, in addition to that of the store. While there is one, neither metadata nor
 * bytes move, and both remain after an eviction or a clear: the sender of a value needs that. The
 * last release frees the entry. */
void entry_hold(struct entry *entry);
void entry_release(struct entry *entry);

/* Returns true if there is a reference in addition to that of the store. */
static inline bool entry_is_held(const struct entry *entry) {
  return entry->holders > (entry->name_space != 0);
}

/* Makes a complete entry live, or ends it (0), in one store. What was stored before comes before
 * it, and what is stored afterwards comes after it. */
void entry_set_name_space(struct entry *entry, uint32_t number);

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
