/* Moves blocks for the arena: the bytes, and what points to them. A kill within the move of an
 * entry may lose that entry, because the places may overlap. Its checksum reveals it. */
#include "daemon/base/check.h"
#include "daemon/region/heap.h"
#include "proto/shm/torn_copy.h"

void heap_move_bytes(uint8_t *to, uint8_t *from, uint64_t bytes) {
  if (to == from) /* a chunk is aligned within its block, so both blocks may have the same place */
    return;
  uint64_t vacated = to < from && (uint64_t)(from - to) < bytes ? (uint64_t)(from - to) : bytes;
  assert(to < from || (uint64_t)(to - from) >= bytes);
  fc_torn_move_down(to, from, bytes);
  fc_torn_zero(from + bytes - vacated, vacated);
}

/* The number of the block stays the same. */
static void move_first_block(struct region *region, struct entry *entry,
                             struct fc_region_entry *from, uint64_t bytes, uint64_t to) {
  struct fc_region_entry *placed = region_writer_at(region, to);
  heap_move_bytes((uint8_t *)placed, (uint8_t *)from, bytes);
  region_writer_relink(region, entry->digest, from, placed);
  entry_set_place(entry, to);
}

static void move_piece(struct region *region, const struct fc_region_entry *placed,
                       arena_block block, uint64_t bytes, uint64_t to) {
  struct fc_region_piece *piece = heap_table(placed);
  const struct fc_region_piece *end = piece + heap_n_pieces(placed);
  while (piece < end && heap_piece_block(piece) != block)
    piece++;
  assert(piece < end);
  heap_move_bytes(region->base + to, region->base + region_writer_load(&piece->offset), bytes);
  region_writer_store(&piece->offset, to);
}

bool heap_move_block(void *arg, arena_block block, uint64_t arena_to) {
  struct heap *heap = arg;
  struct region *region = heap->region;
  uint64_t owner = arena_owner(&heap->arena, block);
  check_lt(0, owner);
  if (!region_writer_commit(region, arena_to + arena_block_size(&heap->arena, block)))
    return false;
  if (heap_owner_kind(owner) != HEAP_OWNER_ENTRY)
    return heap_move_chunk(heap, owner, arena_to);
  struct entry *entry = heap_entry(heap, (uint32_t)owner);
  check_eq(entry->number, (uint32_t)owner);
  check_lt(0, entry->holders);
  if (entry->holders > 1 || entry->name_space == 0) /* being sent, or not linked yet */
    return false;
  uint64_t bytes = arena_block_size(&heap->arena, block);
  uint64_t to = region->arena_offset + arena_to;
  uint64_t digest = entry->digest;
  struct fc_region_entry *placed = heap_placed(heap, entry);
  bool opened = FC_REGION_MUTANT != 13 && region_writer_open(region, digest);
  if (block == entry->block)
    move_first_block(region, entry, placed, bytes, to);
  else
    move_piece(region, placed, block, bytes, to);
  if (opened)
    region_writer_close(region, digest);
  return true;
}
