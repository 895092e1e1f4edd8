/* heap_internal.h - what the files that the heap is made of share: heap.c (entries by number, what
 * they are charged, how they go), heap_chunks.c (the chunks of the books) and heap_alloc.c (where
 * the bytes of entries lie). */
#ifndef FC_DAEMON_HEAP_PARTS_H
#define FC_DAEMON_HEAP_PARTS_H

#include "daemon/region/heap.h"

/* We alone write the region: our own loads need no order, and what we store counts by the window
 * in which it is linked. */
static inline uint64_t heap_load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}
static inline void heap_store(_Atomic uint64_t *word, uint64_t value) {
  atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Where an entry's table of pieces stands, of those that have one. */
static inline struct fc_region_piece *heap_table(const struct fc_region_entry *placed) {
  uint64_t shape = heap_load(&placed->shape);
  const uint8_t *names = (const uint8_t *)(placed + 1);
  return (struct fc_region_piece *)(uintptr_t)(names +
                                               fc_region_names_bytes(fc_region_op_size(shape),
                                                                     fc_region_view_size(shape)));
}
static inline uint32_t heap_n_pieces(const struct fc_region_entry *placed) {
  return fc_region_n_pieces(heap_load(&placed->shape));
}
static inline arena_block heap_piece_block(const struct fc_region_piece *piece) {
  return (arena_block)(heap_load(&piece->extent) >> 32);
}

/* An entry's first block without its value or its pieces, in bytes. */
static inline uint64_t heap_head_bytes(const struct fc_key *key) {
  return sizeof(struct fc_region_entry) + fc_region_names_bytes(key->op.size, key->view.size);
}

/* ---- whose a block is ---- */

enum heap_owner {
  HEAP_OF_ENTRY = 1, /* the number of an entry */
  HEAP_OF_ENTRIES,   /* of a chunk of them */
  HEAP_OF_RECORDS,   /* of a chunk of the arena's records */
};
static inline uint64_t heap_owner(enum heap_owner kind, uint32_t number) {
  return (uint64_t)kind << 32 | number;
}
static inline enum heap_owner heap_owner_kind(uint64_t owner) {
  return (enum heap_owner)(owner >> 32);
}

/* ---- chunks (heap_chunks.c) ---- */

int heap_books_init(struct heap *heap);

/* Sees that there is a slot for an entry, or that there are records for one more entry with all its
 * pieces. False: there is no room for another chunk. */
bool heap_books_for_entry(struct heap *heap, enum heap_effort effort);
bool heap_books_for_blocks(struct heap *heap, enum heap_effort effort);

/* As arena_move_fn, for a chunk; `arena_to` as there. */
bool heap_move_chunk(struct heap *heap, uint64_t owner, uint64_t arena_to);

/* ---- blocks (heap_alloc.c) ---- */

/* Bytes that are moved to make one hole, at most: others wait meanwhile (tests/bench/README.md has
 * what another bound forces out). */
#define HEAP_GATHER_MAX (8u << 20)

/* Moves a block's bytes, and zeroes those of its former place that are a hole now: a clear of the
 * entry would not find them there. As fc_torn_move_down. */
void heap_move_bytes(uint8_t *to, uint8_t *from, uint64_t bytes);

arena_move_fn heap_move_block; /* its `arg` is the heap */

/* Does the kernel give the block memory? */
static inline bool heap_promise(const struct heap *heap, arena_block block) {
  return region_promise(heap->region,
                        arena_offset(&heap->arena, block) + arena_block_size(&heap->arena, block));
}

#endif
