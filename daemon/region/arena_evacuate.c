/* Makes a hole by moving the blocks of a range into holes elsewhere. After many small values the
 * holes are small and spread over the arena: sliding (arena_compact.c) would move everything
 * between them, but a small block fits into a hole elsewhere. */
#include "daemon/base/check.h"
#include "daemon/region/arena_internal.h"

enum {
  RANGES_TRIED = 32, /* each begins with a hole */
  SMALL_MAX =
      9 << 10, /* bytes of a block that probably fits elsewhere; chunks of metadata are small */
};

struct arena_range arena_find_range(const struct arena *arena, uint64_t size, uint64_t max_cost) {
  struct arena_range found = {.cost = max_cost};
  uint32_t hole = arena_first_hole(arena);
  for (int i = 0; hole != 0 && i < RANGES_TRIED; i++, hole = arena_next_hole(arena, hole)) {
    const struct arena_record *record = arena_at(arena, hole);
    uint64_t bytes = record->size, cost = 0;
    while (bytes < size && cost < found.cost) {
      uint32_t above = record->above;
      record = arena_at(arena, above);
      if (!arena_is_hole(arena, above)) {
        if (record->owner == 0 || record->size > SMALL_MAX) /* record 0 has no owner */
          break;
        cost += record->size + ARENA_MOVE_COST;
      }
      bytes += record->size;
    }
    if (bytes >= size && cost < found.cost)
      found = (struct arena_range){hole, cost};
  }
  return found;
}

/* Swaps two blocks of the same size in the records. `other` may be the neighbour above `block`, but
 * not the one below it. */
static void swap_blocks(struct arena *arena, uint32_t block, uint32_t other) {
  struct arena_record *a = arena_at(arena, block), *b = arena_at(arena, other);
  struct arena_record from = *a, to = *b;
  check_eq(a->size, b->size);
  assert(to.above != block);
  bool side_by_side = from.above == other;
  a->place = to.place;
  b->place = from.place;
  b->below = from.below;
  a->above = to.above;
  b->above = side_by_side ? block : from.above;
  a->below = side_by_side ? other : to.below;
  arena_at(arena, b->below)->above = other;
  arena_at(arena, b->above)->below = other;
  arena_at(arena, a->below)->above = block;
  arena_at(arena, a->above)->below = block;
}

/* Extends a block without an owner by the one above it, which ends. */
static void absorb(struct arena *arena, uint32_t block, uint32_t above) {
  struct arena_record *record = arena_at(arena, block);
  const struct arena_record *other = arena_at(arena, above);
  check_eq(record->owner, 0);
  check_eq(other->owner, 0);
  check_eq(record->place + record->size, other->place);
  record->size += other->size;
  record->above = other->above;
  arena_at(arena, record->above)->below = block;
  slots_free(&arena->records, above);
}

/* Moves a block elsewhere. Returns the block without an owner that replaces it, or 0 if it did not
 * move. */
static uint32_t move_away(struct arena *arena, uint32_t block, arena_move_fn *move, void *arg) {
  uint64_t size = arena_block_size(arena, block);
  uint32_t other = arena_alloc(arena, size, 0);
  if (other == 0)
    return 0;
  if (!move(arg, block, arena_offset(arena, other))) {
    arena_free(arena, other);
    return 0;
  }
  arena->moved_bytes += size;
  arena->moves++;
  swap_blocks(arena, block, other);
  return other;
}

/* Makes the range's holes blocks without an owner, so that nothing is moved there. Returns the
 * offset of the range's end. */
static uint64_t occupy(struct arena *arena, uint32_t hole, uint64_t size) {
  uint64_t begin = arena_offset(arena, hole), end = begin;
  for (uint32_t record = hole; end < begin + size; record = arena_at(arena, record)->above) {
    if (arena_is_hole(arena, record))
      arena_use_hole(arena, record, 0);
    end += arena_block_size(arena, record);
  }
  return end;
}

/* Frees the blocks without an owner from `block` to `end`. */
static void vacate(struct arena *arena, uint32_t block, uint64_t end) {
  while (block != 0) {
    uint32_t above = arena_at(arena, block)->above;
    if (arena_offset(arena, above) >= end)
      above = 0;
    if (arena_at(arena, block)->owner == 0)
      arena_free(arena, block);
    block = above;
  }
}

bool arena_evacuate(struct arena *arena, const struct arena_range *range, uint64_t size,
                    uint64_t *max_cost, arena_move_fn *move, void *arg) {
  uint32_t block = range->hole;
  uint64_t end = occupy(arena, block, size);
  while (arena_block_size(arena, block) < size) {
    uint32_t above = arena_at(arena, block)->above;
    if (arena_at(arena, above)->owner != 0) {
      uint64_t cost = arena_block_size(arena, above) + ARENA_MOVE_COST;
      above = move_away(arena, above, move, arg);
      if (above == 0)
        break;
      *max_cost -= cost < *max_cost ? cost : *max_cost;
    }
    absorb(arena, block, above);
  }
  bool done = arena_block_size(arena, block) >= size;
  vacate(arena, block, end);
  return done;
}
