#include "daemon/region/heap.h"

#include <stdlib.h>

#include "daemon/region/heap_internal.h"
#include "daemon/store/namespace.h"
#include "proto/errors.h"
#include "proto/shm/torn_copy.h"

int heap_init(struct heap *heap, struct region *region) {
  *heap = (struct heap){.region = region};
  *region_front(region->base) = heap;
  return heap_books_init(heap);
}

void heap_deinit(struct heap *heap) {
  slots_deinit(&heap->entries);
  arena_deinit(&heap->arena);
  free(heap->namespaces);
  *heap = (struct heap){.region = heap->region};
}

/* ---- entries ---- */

struct entry *heap_entry_new(struct heap *heap) {
  if (!heap_books_for_entry(heap, HEAP_GATHER))
    return NULL;
  uint32_t number = slots_take(&heap->entries);
  struct entry *entry = heap_entry(heap, number);
  *entry = (struct entry){.number = number, .holders = 1};
  entry_hold(entry);
  return entry;
}

static void give_block(struct heap *heap, arena_block block, bool wipe) {
  uint64_t offset = heap->region->arena_offset + arena_offset(&heap->arena, block);
  if (wipe)
    fc_torn_zero(heap->region->base + offset, arena_block_size(&heap->arena, block));
  arena_give(&heap->arena, block);
}

/* The pieces go first: their table is in the entry's own block. */
void heap_entry_drop(struct heap *heap, struct entry *entry) {
  if (--entry->holders > 0)
    return;
  if (entry->block != 0) {
    struct fc_region_entry *placed = heap_placed(heap, entry);
    uint32_t n = heap_n_pieces(placed);
    for (uint32_t i = 0; i < n; i++)
      give_block(heap, heap_piece_block(&heap_table(placed)[i]), entry->wipe);
    give_block(heap, entry->block, entry->wipe);
  }
  uint32_t number = entry->number;
  *entry = (struct entry){0}; /* clients can read the books: no digest stays in them */
  slots_give(&heap->entries, number);
}

struct entry *heap_entry_at(const struct heap *heap, const struct fc_region_entry *placed) {
  return heap_entry(heap, (uint32_t)(heap_load(&placed->origin) >> 32));
}

static struct slots_chunk *chunk_of(const struct entry *entry) {
  const struct entry *first = entry - entry->number % (1u << ENTRY_BITS);
  return (struct slots_chunk *)(uintptr_t)first - 1;
}

struct heap *heap_of(const struct entry *entry) {
  const struct slots_chunk *chunk = chunk_of(entry);
  return *region_front((const uint8_t *)chunk - chunk->offset);
}

void heap_pin(const struct entry *entry) {
  chunk_of(entry)->n_pins++;
}

void heap_unpin(const struct entry *entry) {
  chunk_of(entry)->n_pins--;
}

/* ---- charges ---- */

uint64_t heap_charge(const struct fc_key *key, uint64_t value_size) {
  uint64_t bytes = heap_head_bytes(key) + value_size;
  return (bytes + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT + HEAP_ENTRY_BYTES + ARENA_RECORD_BYTES;
}

static uint64_t block_charge(const struct heap *heap, arena_block block) {
  return arena_block_size(&heap->arena, block) + ARENA_RECORD_BYTES;
}

uint64_t heap_charge_of(const struct entry *entry) {
  const struct heap *heap = heap_of(entry);
  const struct fc_region_entry *placed = heap_placed(heap, entry);
  uint64_t charge = HEAP_ENTRY_BYTES + block_charge(heap, entry->block);
  uint32_t n = heap_n_pieces(placed);
  for (uint32_t i = 0; i < n; i++)
    charge += block_charge(heap, heap_piece_block(&heap_table(placed)[i]));
  return charge;
}

/* ---- namespaces, by number ---- */

bool heap_number_namespace(struct heap *heap, struct namespace *ns) {
  if (ns->number != 0)
    return true;
  uint32_t number = 1;
  while (number < heap->n_namespaces && heap->namespaces[number] != NULL)
    number++;
  if (number >= heap->n_namespaces) {
    struct namespace **namespaces =
        realloc(heap->namespaces, (number + 1) * sizeof(struct namespace *));
    if (namespaces == NULL)
      return false;
    heap->namespaces = namespaces;
    heap->n_namespaces = number + 1;
  }
  heap->namespaces[number] = ns;
  ns->number = number;
  return true;
}

void heap_forget_namespace(struct heap *heap, struct namespace *ns) {
  if (ns->number == 0)
    return;
  heap->namespaces[ns->number] = NULL;
  ns->number = 0;
}
