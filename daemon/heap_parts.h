/* heap_parts.h - what the files that the heap is made of share: heap.c (entries by number, what
 * they are charged, how they go) and heap_place.c (where their bytes lie). */
#ifndef FC_DAEMON_HEAP_PARTS_H
#define FC_DAEMON_HEAP_PARTS_H

#include "daemon/heap.h"

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

#endif
