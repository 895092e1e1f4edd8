/* The chunks of the books: entries, and the arena's records. Each is a block of the arena. */
#include "daemon/region/heap_internal.h"
#include "proto/errors.h"
#include "proto/shm/torn_copy.h"

/* Room to align the slots in the block, wherever it lies. */
#define BLOCK_BYTES (SLOTS_CHUNK_BYTES + SLOTS_ALIGN - ARENA_UNIT)

/* Records for an entry in pieces, and for a chunk. */
#define RECORDS_KEPT (ARENA_PIECES_MAX + 2u)
static_assert(RECORDS_KEPT < 1u << (ARENA_RECORD_BITS - 1), "slots_remove_empty leaves more");

enum { STEPS = 2 }; /* of each kind in a call of heap_tidy */

/* Where in the region the slots of a chunk stand whose block is at that offset of the arena. */
static uint64_t aligned_in(const struct heap *heap, uint64_t arena_offset) {
  return (heap->region->arena_offset + arena_offset + SLOTS_ALIGN - 1) &
         ~(uint64_t)(SLOTS_ALIGN - 1);
}

static struct slots *slots_of(struct heap *heap, enum heap_owner kind) {
  return kind == HEAP_OF_RECORDS ? &heap->arena.records : &heap->entries;
}

static void settle(struct heap *heap, enum heap_owner kind, struct slots_chunk *chunk,
                   arena_block block, uint64_t offset) {
  chunk->offset = offset;
  chunk->block = block;
  arena_set_owner(&heap->arena, block, heap_owner(kind, chunk->number));
}

/* In the upper part of a hole, as far as it has memory, so that books lie beside books: a place for
 * a large value is soon made among small ones. */
static bool add_chunk(struct heap *heap, enum heap_owner kind, enum heap_effort effort) {
  arena_block block = arena_take_high(&heap->arena, BLOCK_BYTES, heap->region->promised_bytes);
  if (block == 0 && effort == HEAP_GATHER &&
      arena_gather(&heap->arena, BLOCK_BYTES, HEAP_GATHER_MAX, heap_move_block, heap))
    block = arena_take_high(&heap->arena, BLOCK_BYTES, heap->region->promised_bytes);
  if (block == 0)
    return false;
  uint64_t offset = aligned_in(heap, arena_offset(&heap->arena, block));
  struct slots_chunk *chunk = heap_promise(heap, block)
                                  ? slots_add(slots_of(heap, kind), heap->region->base + offset)
                                  : NULL;
  if (chunk == NULL) {
    arena_give(&heap->arena, block);
    return false;
  }
  settle(heap, kind, chunk, block, offset);
  return true;
}

/* The first chunk of records is where the arena then finds its first block, for itself. */
int heap_books_init(struct heap *heap) {
  struct region *region = heap->region;
  uint64_t max_chunks = region->arena_size / BLOCK_BYTES;
  uint64_t offset = aligned_in(heap, 0);
  if (!region_promise(region, BLOCK_BYTES) ||
      arena_init(&heap->arena, region->arena_size, max_chunks, region->base + offset) != 0 ||
      slots_init(&heap->entries, ENTRY_BITS, max_chunks) != 0)
    return FC_ENOMEM;
  arena_block block = arena_take(&heap->arena, BLOCK_BYTES, 0);
  assert(block != 0 && arena_offset(&heap->arena, block) == 0);
  settle(heap, HEAP_OF_RECORDS, heap->arena.records.chunks[0], block, offset);
  return add_chunk(heap, HEAP_OF_ENTRIES, HEAP_AS_IT_IS) ? 0 : FC_ENOMEM;
}

bool heap_books_for_blocks(struct heap *heap, enum heap_effort effort) {
  return arena_spare_records(&heap->arena) >= RECORDS_KEPT ||
         add_chunk(heap, HEAP_OF_RECORDS, effort);
}

bool heap_books_for_entry(struct heap *heap, enum heap_effort effort) {
  return slots_unused(&heap->entries) > 0 ||
         (heap_books_for_blocks(heap, effort) && add_chunk(heap, HEAP_OF_ENTRIES, effort));
}

bool heap_move_chunk(struct heap *heap, uint64_t owner, uint64_t arena_to) {
  struct slots *slots = slots_of(heap, heap_owner_kind(owner));
  struct slots_chunk *chunk = slots->chunks[(uint32_t)owner];
  uint32_t own_pins = chunk->number == 0; /* see slots_add */
  if (heap_owner_kind(owner) == HEAP_OF_ENTRIES && chunk->n_pins > own_pins)
    return false;
  uint64_t to = aligned_in(heap, arena_to);
  struct slots_chunk *moved = (struct slots_chunk *)(void *)(heap->region->base + to);
  heap_move_bytes((uint8_t *)moved, (uint8_t *)chunk, SLOTS_CHUNK_BYTES);
  moved->offset = to;
  slots_moved(slots, moved);
  return true;
}

/* ---- keeping them dense ---- */

void heap_renumber(struct heap *heap, uint32_t from, uint32_t to) {
  struct entry *entry = heap_entry(heap, to);
  struct fc_region_entry *placed = heap_placed(heap, entry);
  uint32_t n = heap_n_pieces(placed);
  uint64_t owner = heap_owner(HEAP_OF_ENTRY, to);
  for (uint32_t i = 0; i < n; i++)
    arena_set_owner(&heap->arena, heap_piece_block(&heap_table(placed)[i]), owner);
  arena_set_owner(&heap->arena, entry->block, owner);
  bool opened = region_open(heap->region, entry->digest);
  heap_store(&placed->origin, (uint64_t)to << 32 | (uint32_t)heap_load(&placed->origin));
  if (opened)
    region_close(heap->region, entry->digest);
  *heap_entry(heap, from) = (struct entry){0};
  slots_give(&heap->entries, from);
}

static void renumber_piece(struct heap *heap, const struct entry *entry, arena_block from,
                           arena_block to) {
  struct fc_region_piece *piece = heap_table(heap_placed(heap, entry));
  while (heap_piece_block(piece) != from)
    piece++;
  bool opened = region_open(heap->region, entry->digest);
  heap_store(&piece->extent, (uint64_t)to << 32 | (uint32_t)heap_load(&piece->extent));
  if (opened)
    region_close(heap->region, entry->digest);
}

/* Lets what named a block name it by its new number. */
static void renumber_block(struct heap *heap, arena_block from, arena_block to) {
  uint64_t owner = arena_owner(&heap->arena, to);
  enum heap_owner kind = heap_owner_kind(owner);
  if (kind != HEAP_OF_ENTRY) {
    slots_of(heap, kind)->chunks[(uint32_t)owner]->block = to;
    return;
  }
  struct entry *entry = heap_entry(heap, (uint32_t)owner);
  if (entry->block == from)
    entry->block = to;
  else
    renumber_piece(heap, entry, from, to);
}

static void give_back(struct heap *heap, struct slots *slots) {
  struct slots_chunk *chunk = slots_remove_empty(slots);
  if (chunk == NULL)
    return;
  arena_block block = chunk->block;
  fc_torn_zero(chunk, SLOTS_CHUNK_BYTES);
  arena_give(&heap->arena, block);
}

void heap_tidy(struct heap *heap) {
  arena_block from, to;
  for (int i = 0; i < STEPS && arena_tidy(&heap->arena, &from, &to); i++)
    if (to != 0)
      renumber_block(heap, from, to);
  give_back(heap, &heap->entries);
  give_back(heap, &heap->arena.records);
}
