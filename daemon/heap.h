/* heap.h - the memory of entries: where in the region an entry's bytes lie, and the
 * private books about it. It gives out entries, places keys and values, moves them
 * together for want of a hole, and takes all of it back.
 *
 * Nobody but the store decides what is stored: an entry is placed here before the
 * store links it into the index, and is given back after it was taken out. One thread. */
#ifndef FC_DAEMON_HEAP_H
#define FC_DAEMON_HEAP_H

#include "daemon/arena.h"
#include "daemon/entry.h"
#include "daemon/region.h"

/* What an entry costs in private memory, beside the arena's books of each of its blocks. */
#define HEAP_ENTRY_BYTES ((uint64_t)sizeof(struct entry))

struct heap_chunk;

struct heap {
  struct region *region; /* borrowed */
  struct arena arena;
  uint64_t unlisted_bytes; /* charge of entries that left the store and are held (entry_unlist) */
  /* the heap's own */
  struct heap_chunk **chunks; /* entries by their number */
  uint32_t n_chunks, chunks_capacity;
  struct entry *unused; /* linked through `in_all.newer` */
};

/* FC_ENOMEM, or 0. The region outlives the heap. */
int heap_init(struct heap *heap, struct region *region);
void heap_deinit(struct heap *heap); /* no entry is left in use */

/* What an entry of that key and value is charged where it lies in one piece: the bytes of its
 * block, and the private memory for it. A rule, so that the same calls always evict the same
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

/* A fresh entry: all zero but for `number` and `holders`, which is 1. NULL where out of memory. It
 * goes by entry_unlist. */
struct entry *heap_entry_new(struct heap *heap);

enum heap_effort {
  HEAP_AS_IT_IS, /* only where there are holes */
  HEAP_GATHER,   /* or where moving others together makes one */
};

/* Writes key and value into blocks of the entry's own. False: there are none, and nothing has
 * changed but for entries that were moved. */
bool heap_place(struct heap *heap, struct entry *entry, const struct heap_value *value,
                enum heap_effort effort);

/* Gives a placed entry that readers can find another value, in a window of its own. False, with
 * nothing changed, where it is not to be done: of another size, large, or held. */
bool heap_rewrite(struct entry *entry, const struct heap_value *value);

/* The entry of that number, which may be any, in use or not: one that is not has no namespace. NULL
 * where there is none. */
struct entry *heap_entry_by(const struct heap *heap, uint32_t number);

/* The entry that stands at that place of the index. */
struct entry *heap_entry_at(const struct heap *heap, const struct fc_region_entry *placed);

struct heap *heap_of(const struct entry *entry);

/* For entry.c: the last holder has let go. */
void heap_entry_free(struct entry *entry);

#endif
