/* heap.h - the memory of entries: where in the region an entry's bytes lie, and the
 * books about it. It gives out entries, places keys and values, moves them together
 * for want of a hole, and takes all of it back.
 *
 * The books are chunks of slots (slots.h), of entries and of the arena's records. Each chunk is a
 * block of the arena like those of values: a reader finds no chain that leads to it, and a late one
 * discards what it read. So all that entries take lies in the region, but for two tables of 8 bytes
 * a chunk; chunks are moved as values are, and go back to the arena when they are empty, which
 * heap_tidy sees to. A chunk of entries stays where it is while one of them is held.
 *
 * Nobody but the store decides what is stored: an entry is placed here before the
 * store links it into the index, and is given back after it was taken out. One thread. */
#ifndef FC_DAEMON_HEAP_H
#define FC_DAEMON_HEAP_H

#include "daemon/region/arena.h"
#include "daemon/region/entry.h"
#include "daemon/region/region_writer.h"

/* What an entry costs beside its blocks: its slot, and the record of a hole, since there may be as
 * many holes as blocks. */
#define HEAP_ENTRY_BYTES ((uint64_t)sizeof(struct entry) + ARENA_RECORD_BYTES)

struct heap {
  struct region *region; /* borrowed */
  struct arena arena;
  struct slots entries;    /* by number */
  uint64_t unlisted_bytes; /* charge of entries that left the store and are held (entry_unlist) */
  /* the heap's own */
  struct namespace **namespaces; /* by number; borrowed; NULL: none */
  uint32_t n_namespaces;
};

/* FC_ENOMEM, or 0. The region outlives the heap. */
int heap_init(struct heap *heap, struct region *region);
void heap_deinit(struct heap *heap); /* no entry is left in use */

/* What an entry of that key and value is charged where it lies in one piece: the bytes of its
 * block, and those of its books. A rule, so that the same calls always evict the same
 * entries; what lies in several pieces is charged for each. */
uint64_t heap_charge(const struct fc_key *key, uint64_t value_size);

/* What a placed entry is charged. */
uint64_t heap_charge_of(const struct entry *entry);

struct heap_value {
  const struct fc_key *key;
  uint64_t name_space; /* the namespace's id */
  uint64_t digest;     /* of the key in that namespace */
  const void *data;
  uint32_t size;
  uint64_t compute_ns;
  uint32_t origin; /* number of the process that puts */
};

enum heap_effort {
  HEAP_AS_IT_IS, /* only where there are holes */
  HEAP_GATHER,   /* or where moving others together makes one */
};

/* A fresh entry, and held: all zero but for `number` and `holders`, which is 2, since the store's
 * own reference is the first. NULL: there is no room for it. */
struct entry *heap_entry_new(struct heap *heap);

/* The store's own reference goes; with the last one the entry. */
void heap_entry_drop(struct heap *heap, struct entry *entry);

/* Writes key and value into blocks of the entry's own. False: there are none, and nothing has
 * changed but for entries that were moved. */
bool heap_place(struct heap *heap, struct entry *entry, const struct heap_value *value,
                enum heap_effort effort);

/* Gives a placed entry that readers can find another value, in a window of its own. False, with
 * nothing changed, where it is not to be done: of another size, large, or held. */
bool heap_rewrite(struct entry *entry, const struct heap_value *value);

static inline struct entry *heap_entry(const struct heap *heap, uint32_t number) {
  return slots_at(&heap->entries, ENTRY_BITS, number);
}

/* The entry of that number, which may be any, in use or not: one that is not has no namespace. NULL
 * where there is none. */
static inline struct entry *heap_entry_by(const struct heap *heap, uint32_t number) {
  return slots_find(&heap->entries, ENTRY_BITS, number);
}

/* The entry that stands at that place of the index. */
struct entry *heap_entry_at(const struct heap *heap, const struct fc_region_entry *placed);

/* Where a placed entry is now. */
static inline struct fc_region_entry *heap_placed(const struct heap *heap,
                                                  const struct entry *entry) {
  return region_at(heap->region,
                   heap->region->arena_offset + arena_offset(&heap->arena, entry->block));
}

/* Of an entry alone. */
struct heap *heap_of(const struct entry *entry);

/* For entry.c: the chunk of the entry stays where it is. */
void heap_pin(const struct entry *entry);
void heap_unpin(const struct entry *entry);

/* Gives a namespace its number, if it has none. False: out of memory. */
bool heap_number_namespace(struct heap *heap, struct namespace *ns);
/* A namespace without entries goes. */
void heap_forget_namespace(struct heap *heap, struct namespace *ns);

static inline struct namespace *heap_namespace(const struct heap *heap, uint32_t number) {
  return heap->namespaces[number];
}

/* ---- keeping the books dense; for the store, after an entry has gone ---- */

/* The books of an entry moved, with its number, to another slot, from where on they count: lets
 * what lies in the region lead there, and gives the slot *from back. The lists are the store's. */
void heap_renumber(struct heap *heap, uint32_t from, uint32_t to);

/* Moves some of the arena's records together, and gives chunks that are empty back to the arena. A
 * bounded step. */
void heap_tidy(struct heap *heap);

#endif
