/* The chunks of the metadata: entries, and the arena's records. Those of entries are in the
 * catalog, and in the arena if the budget has no room. All others are blocks of the arena. */
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/region/heap.h"
#include "proto/errors.h"
#include "proto/shm/torn_copy.h"

/* A chunk, and room to align it in its block. */
#define BLOCK_BYTES (SLOTS_CHUNK_BYTES + SLOTS_ALIGN - ARENA_UNIT)

static_assert(HEAP_RECORDS_RESERVED < 1u << (ARENA_RECORD_BITS - 1),
              "slots_remove_empty leaves more");

enum { RECORDS_MOVED = 2 }; /* at most, in a call of heap_compact_metadata */

/* Returns where in the region the chunk lies whose block is at that offset of the arena. */
static uint64_t aligned_in(const struct heap *heap, uint64_t arena_offset) {
  return (heap->region->arena_offset + arena_offset + SLOTS_ALIGN - 1) &
         ~(uint64_t)(SLOTS_ALIGN - 1);
}

static struct slots *slots_of(struct heap *heap, enum heap_owner kind) {
  return kind == HEAP_OWNER_RECORDS ? &heap->arena.records : &heap->entries;
}

/* ---- the directory ---- */

/* What follows, such as zeroing the chunk's old place, comes after it. */
static void set_word(const struct heap *heap, uint32_t number, uint64_t word) {
  catalog_commit_u64(catalog_at(heap->catalog, CATALOG_DIRECTORY, number), word);
  catalog_barrier();
}

/* Returns false if there is no memory for the directory. Afterwards the word can be set. */
static bool reserve_word(const struct heap *heap, uint32_t number) {
  struct catalog_header *header = heap->catalog->header;
  if (number >= catalog_count(heap->catalog, CATALOG_CHUNKS) ||
      !catalog_commit(heap->catalog, CATALOG_DIRECTORY, (uint64_t)number + 1))
    return false;
  if (header->chunks_end <= number)
    catalog_commit_u64(&header->chunks_end, (uint64_t)number + 1);
  return true;
}

/* ---- chunks in the arena ---- */

/* `offset` is that of the chunk in the region. */
static void chunk_placed(struct heap *heap, enum heap_owner kind, struct slots_chunk *chunk,
                         arena_block block, uint64_t offset) {
  check_eq(offset % SLOTS_ALIGN, 0);
  check_le(offset + SLOTS_CHUNK_BYTES, heap->region->size);
  check_le(SLOTS_CHUNK_BYTES, arena_block_size(&heap->arena, block));
  chunk->offset = region_writer_offset(heap->region, chunk);
  chunk->block = block;
  arena_set_owner(&heap->arena, block, heap_owner(kind, chunk->number));
  if (kind == HEAP_OWNER_ENTRIES)
    set_word(heap, chunk->number, heap_directory_word(heap->current, offset));
}

/* Adds a chunk in the upper part of a hole, below the committed memory, so that chunks lie beside
 * chunks. That makes it cheaper to evacuate a range for a large value. */
static bool add_chunk(struct heap *heap, enum heap_owner kind, enum heap_effort effort) {
  arena_block block = arena_alloc_high(&heap->arena, BLOCK_BYTES, heap->region->committed_bytes);
  if (block == 0 && effort == HEAP_COMPACT &&
      arena_compact(&heap->arena, BLOCK_BYTES, HEAP_COMPACT_MAX, heap_move_block, heap))
    block = arena_alloc_high(&heap->arena, BLOCK_BYTES, heap->region->committed_bytes);
  if (block == 0)
    return false;
  uint64_t offset = aligned_in(heap, arena_offset(&heap->arena, block));
  struct slots_chunk *chunk =
      heap_commit(heap, block) &&
              (kind != HEAP_OWNER_ENTRIES || reserve_word(heap, slots_next_number(&heap->entries)))
          ? slots_add(slots_of(heap, kind), heap->region->base + offset)
          : NULL;
  if (chunk == NULL) {
    arena_free(&heap->arena, block);
    return false;
  }
  chunk_placed(heap, kind, chunk, block, offset);
  return true;
}

/* ---- chunks in the catalog ---- */

void heap_chunk_in_catalog(struct heap *heap, struct slots_chunk *chunk) {
  chunk->offset = (uint64_t)((uint8_t *)chunk - heap->catalog->base);
  chunk->block = 0;
  heap->chunk_bytes += SLOTS_CHUNK_BYTES;
  set_word(heap, chunk->number, HEAP_DIRECTORY_CATALOG);
}

/* The arena gives up as much of its end, so that it allocates nothing there. */
static bool add_to_catalog(struct heap *heap) {
  uint32_t number = slots_next_number(&heap->entries);
  if (number == SLOTS_NO_CHUNK ||
      heap->region->committed_bytes + SLOTS_CHUNK_BYTES > heap_arena_limit(heap) ||
      !reserve_word(heap, number) ||
      !catalog_commit_one(heap->catalog, CATALOG_CHUNKS, number, SLOTS_CHUNK_BYTES))
    return false;
  struct slots_chunk *chunk =
      slots_add(&heap->entries, catalog_at(heap->catalog, CATALOG_CHUNKS, number));
  check_eq(chunk->number, number);
  heap_chunk_in_catalog(heap, chunk);
  heap_update_budget(heap);
  return true;
}

/* Moves a chunk of entries from the arena to the catalog, beyond the budget if need be. */
static bool chunk_to_catalog(struct heap *heap, struct slots_chunk *chunk) {
  uint32_t number = chunk->number;
  arena_block block = chunk->block;
  uint8_t *memory = catalog_at(heap->catalog, CATALOG_CHUNKS, number);
  if (!catalog_commit_one(heap->catalog, CATALOG_CHUNKS, number, SLOTS_CHUNK_BYTES))
    return false;
  memcpy(memory, slots_memory(chunk), SLOTS_CHUNK_BYTES);
  slots_chunk_moved(&heap->entries, slots_header(memory));
  heap_chunk_in_catalog(heap, slots_header(memory));
  fc_torn_zero(slots_memory(chunk), SLOTS_CHUNK_BYTES);
  arena_free(&heap->arena, block);
  return true;
}

static bool is_held(const struct slots_chunk *chunk) {
  return chunk->n_pins > (chunk->number == 0); /* slots_add pins chunk 0 */
}

bool heap_chunk_blocks(const struct heap *heap, uint32_t number) {
  const struct slots_chunk *chunk =
      number < heap->entries.n_chunks ? heap->entries.chunks[number] : NULL;
  return chunk != NULL && chunk->block != 0 && is_held(chunk);
}

int heap_chunks_to_catalog(struct heap *heap, uint32_t *blocking) {
  int rc = 0;
  for (uint32_t number = 0; rc == 0 && number < heap->entries.n_chunks; number++) {
    struct slots_chunk *chunk = heap->entries.chunks[number];
    if (chunk == NULL || chunk->block == 0)
      continue;
    *blocking = number;
    rc = is_held(chunk) ? FC_EREFUSED : chunk_to_catalog(heap, chunk) ? 0 : FC_ENOMEM;
  }
  heap_update_budget(heap);
  return rc;
}

/* The first chunk of records lies where the arena then allocates its first block. */
int heap_init_arena(struct heap *heap) {
  struct region *region = heap->region;
  uint64_t offset = aligned_in(heap, 0), max_chunks = region->arena_size / SLOTS_CHUNK_BYTES;
  if (catalog_grow(heap->catalog, max_chunks) != 0 || !region_writer_commit(region, BLOCK_BYTES) ||
      slots_grow(&heap->entries, catalog_count(heap->catalog, CATALOG_CHUNKS)) != 0 ||
      arena_init(&heap->arena, region->arena_size, max_chunks, region->base + offset) != 0)
    return FC_ENOMEM;
  arena_block block = arena_alloc(&heap->arena, BLOCK_BYTES, 0);
  check_lt(0, block);
  check_eq(arena_offset(&heap->arena, block), 0);
  chunk_placed(heap, HEAP_OWNER_RECORDS, heap->arena.records.chunks[0], block, offset);
  return 0;
}

int heap_init_chunks(struct heap *heap) {
  if (slots_init(&heap->entries, ENTRY_BITS, 1) != 0 || heap_init_arena(heap) != 0)
    return FC_ENOMEM;
  heap_update_budget(heap);
  if (heap->catalog->header->chunks_end > 0) /* of an earlier daemon */
    return 0;
  return heap_add_entries(heap, HEAP_EXISTING_HOLES) ? 0 : FC_ENOMEM;
}

bool heap_add_records(struct heap *heap, enum heap_effort effort) {
  return add_chunk(heap, HEAP_OWNER_RECORDS, effort);
}

bool heap_add_entries(struct heap *heap, enum heap_effort effort) {
  if (add_to_catalog(heap))
    return true;
  if (arena_spare_records(&heap->arena) < HEAP_RECORDS_RESERVED && !heap_add_records(heap, effort))
    return false;
  return add_chunk(heap, HEAP_OWNER_ENTRIES, effort);
}

/* Moves a chunk of entries so that a kill loses none of them: the places may overlap, so meanwhile
 * the directory names a copy in the catalog. */
static void move_entries(struct heap *heap, uint32_t number, uint8_t *moved, uint8_t *memory,
                         uint64_t to) {
  memcpy(catalog_spare_chunk(heap->catalog), memory, SLOTS_CHUNK_BYTES);
  set_word(heap, number, HEAP_DIRECTORY_SPARE);
  heap_move_bytes(moved, memory, SLOTS_CHUNK_BYTES);
  set_word(heap, number, heap_directory_word(heap->current, to));
}

bool heap_move_chunk(struct heap *heap, uint64_t owner, uint64_t arena_to) {
  struct slots *slots = slots_of(heap, heap_owner_kind(owner));
  struct slots_chunk *chunk = slots->chunks[(uint32_t)owner];
  check_eq(chunk->number, (uint32_t)owner);
  check_eq(region_writer_offset(heap->region, chunk), chunk->offset);
  bool has_entries = heap_owner_kind(owner) == HEAP_OWNER_ENTRIES;
  if (has_entries && is_held(chunk))
    return false;
  uint64_t to = aligned_in(heap, arena_to);
  uint8_t *memory = slots_memory(chunk), *moved = heap->region->base + to;
  if (has_entries)
    move_entries(heap, chunk->number, moved, memory, to);
  else
    heap_move_bytes(moved, memory, SLOTS_CHUNK_BYTES);
  chunk = slots_header(moved);
  chunk->offset = region_writer_offset(heap->region, chunk);
  slots_chunk_moved(slots, chunk);
  return true;
}

/* ---- compaction ---- */

void heap_entry_moved(struct heap *heap, uint32_t from, uint32_t to) {
  struct entry *entry = heap_entry(heap, to);
  struct fc_region_entry *placed = heap_placed(heap, entry);
  check_eq(entry->source, heap->current); /* while there are sources, slots are kept */
  uint32_t n = heap_n_pieces(placed);
  uint64_t owner = heap_owner(HEAP_OWNER_ENTRY, to);
  check_eq(entry->number, to);
  check_eq(entry->holders, 1);
  check_eq(arena_owner(&heap->arena, entry->block), heap_owner(HEAP_OWNER_ENTRY, from));
  for (uint32_t i = 0; i < n; i++)
    arena_set_owner(&heap->arena, heap_piece_block(&heap_table(placed)[i]), owner);
  arena_set_owner(&heap->arena, entry->block, owner);
  bool opened = region_writer_open(heap->region, entry->digest);
  region_writer_store(&placed->origin,
                      (uint64_t)to << 32 | (uint32_t)region_writer_load(&placed->origin));
  if (opened)
    region_writer_close(heap->region, entry->digest);
  entry_set_name_space(heap_entry(heap, from), 0);
  *heap_entry(heap, from) = (struct entry){0};
  slots_free(&heap->entries, from);
}

static void renumber_piece(struct heap *heap, const struct entry *entry, arena_block from,
                           arena_block to) {
  const struct fc_region_entry *placed = heap_placed(heap, entry);
  struct fc_region_piece *piece = heap_table(placed);
  const struct fc_region_piece *end = piece + heap_n_pieces(placed);
  while (piece < end && heap_piece_block(piece) != from)
    piece++;
  assert(piece < end);
  bool opened = region_writer_open(heap->region, entry->digest);
  region_writer_store(&piece->extent,
                      (uint64_t)to << 32 | (uint32_t)region_writer_load(&piece->extent));
  if (opened)
    region_writer_close(heap->region, entry->digest);
}

/* Updates what names a block after its number changed. */
static void renumber_block(struct heap *heap, arena_block from, arena_block to) {
  uint64_t owner = arena_owner(&heap->arena, to);
  enum heap_owner kind = heap_owner_kind(owner);
  if (kind != HEAP_OWNER_ENTRY) {
    slots_of(heap, kind)->chunks[(uint32_t)owner]->block = to;
    return;
  }
  struct entry *entry = heap_entry(heap, (uint32_t)owner);
  if (entry->block == from)
    entry->block = to;
  else
    renumber_piece(heap, entry, from, to);
}

static void free_empty_chunk(struct heap *heap, struct slots *slots) {
  struct slots_chunk *chunk = slots_remove_empty(slots);
  if (chunk == NULL)
    return;
  arena_block block = chunk->block;
  uint32_t number = chunk->number;
  if (slots == &heap->entries)
    set_word(heap, number, 0);
  if (block != 0) {
    fc_torn_zero(slots_memory(chunk), SLOTS_CHUNK_BYTES);
    arena_free(&heap->arena, block);
    return;
  }
  catalog_release(heap->catalog, CATALOG_CHUNKS, number);
  heap->chunk_bytes -= SLOTS_CHUNK_BYTES;
  heap_update_budget(heap);
}

void heap_compact_metadata(struct heap *heap) {
  arena_block from, to;
  for (int i = 0; i < RECORDS_MOVED && arena_compact_records(&heap->arena, &from, &to); i++)
    if (to != 0)
      renumber_block(heap, from, to);
  free_empty_chunk(heap, &heap->entries);
  free_empty_chunk(heap, &heap->arena.records);
}
