#include "daemon/heap.h"

#include <stdlib.h>

#include "daemon/heap_parts.h"
#include "proto/errors.h"
#include "proto/shared.h"

#define CHUNK 1024u /* entries that are allocated together */

/* ---- entries, by number ---- */

struct heap_chunk {
  struct heap *heap;
  struct entry entries[CHUNK];
};

int heap_init(struct heap *heap, struct region *region) {
  *heap = (struct heap){.region = region};
  return arena_init(&heap->arena, region->arena_size);
}

void heap_deinit(struct heap *heap) {
  for (uint32_t i = 0; i < heap->n_chunks; i++)
    free(heap->chunks[i]);
  free(heap->chunks);
  arena_deinit(&heap->arena);
  *heap = (struct heap){.region = heap->region};
}

static void put_unused(struct heap *heap, struct entry *entry) {
  entry->in_all.newer = heap->unused == NULL ? NULL : &heap->unused->in_all;
  heap->unused = entry;
}

static bool add_chunk(struct heap *heap) {
  if (heap->n_chunks == UINT32_MAX / CHUNK) /* numbers have 32 bits */
    return false;
  if (heap->n_chunks == heap->chunks_capacity) {
    uint32_t capacity = heap->chunks_capacity == 0 ? 64 : heap->chunks_capacity * 2;
    struct heap_chunk **chunks = realloc(heap->chunks, capacity * sizeof(struct heap_chunk *));
    if (chunks == NULL)
      return false;
    heap->chunks = chunks;
    heap->chunks_capacity = capacity;
  }
  struct heap_chunk *chunk = malloc(sizeof *chunk);
  if (chunk == NULL)
    return false;
  chunk->heap = heap;
  for (uint32_t i = CHUNK; i-- > 0;) {
    chunk->entries[i] = (struct entry){.number = heap->n_chunks * CHUNK + i};
    put_unused(heap, &chunk->entries[i]);
  }
  heap->chunks[heap->n_chunks++] = chunk;
  return true;
}

struct entry *heap_entry_new(struct heap *heap) {
  if (heap->unused == NULL && !add_chunk(heap))
    return NULL;
  struct entry *entry = heap->unused;
  heap->unused = entry_of_all(entry->in_all.newer);
  *entry = (struct entry){.number = entry->number, .holders = 1};
  return entry;
}

struct heap *heap_of(const struct entry *entry) {
  const struct entry *first = entry - entry->number % CHUNK;
  const char *chunk = (const char *)first - offsetof(struct heap_chunk, entries);
  return ((const struct heap_chunk *)(const void *)chunk)->heap;
}

struct entry *heap_entry_by(const struct heap *heap, uint32_t number) {
  if (number / CHUNK >= heap->n_chunks)
    return NULL;
  return &heap->chunks[number / CHUNK]->entries[number % CHUNK];
}

struct entry *heap_entry_at(const struct heap *heap, const struct fc_region_entry *placed) {
  return heap_entry_by(heap, (uint32_t)(heap_load(&placed->origin) >> 32));
}

/* ---- charges, and the end ---- */

uint64_t heap_charge(const struct fc_key *key, uint64_t value_size) {
  uint64_t bytes = heap_head_bytes(key) + value_size;
  return (bytes + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT + HEAP_ENTRY_BYTES + ARENA_BLOCK_BYTES;
}

static uint64_t block_charge(const struct heap *heap, arena_block block) {
  return arena_block_size(&heap->arena, block) + ARENA_BLOCK_BYTES;
}

uint64_t heap_charge_of(const struct entry *entry) {
  const struct heap *heap = heap_of(entry);
  uint64_t charge = HEAP_ENTRY_BYTES + block_charge(heap, entry->block);
  uint32_t n = heap_n_pieces(entry->placed);
  for (uint32_t i = 0; i < n; i++)
    charge += block_charge(heap, heap_piece_block(&heap_table(entry->placed)[i]));
  return charge;
}

static void give_block(struct heap *heap, arena_block block, bool wipe) {
  uint64_t offset = heap->region->arena_offset + arena_offset(&heap->arena, block);
  if (wipe)
    fc_shared_zero(heap->region->base + offset, arena_block_size(&heap->arena, block));
  arena_give(&heap->arena, block);
}

/* The pieces go first: their table is in the entry's own block. */
void heap_entry_free(struct entry *entry) {
  struct heap *heap = heap_of(entry);
  if (entry->placed != NULL) {
    uint32_t n = heap_n_pieces(entry->placed);
    for (uint32_t i = 0; i < n; i++)
      give_block(heap, heap_piece_block(&heap_table(entry->placed)[i]), entry->wipe);
    give_block(heap, entry->block, entry->wipe);
  }
  put_unused(heap, entry);
}
