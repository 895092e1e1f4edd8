/* Where holes are small and spread over the arena, as after many small values, sliding
 * (arena_compact.c) would move all that stands between them. But a small block fits into a hole
 * elsewhere: so a place is emptied at the cost of its own blocks. */
#include "daemon/region/arena_internal.h"

enum {
  PLACES_TRIED = 32, /* holes that a place begins with */
  SMALL_MAX =
      9 << 10, /* bytes of a block for which holes elsewhere are likely: chunks of books too */
};

struct arena_place arena_find_place(const struct arena *arena, uint64_t size, uint64_t may_cost) {
  struct arena_place found = {.cost = may_cost};
  uint32_t hole = arena_first_hole(arena);
  for (int i = 0; hole != 0 && i < PLACES_TRIED; i++, hole = arena_next_hole(arena, hole)) {
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
      found = (struct arena_place){hole, cost};
  }
  return found;
}

/* Lets a block and one of the same size, which may be above it but not below, change places in the
 * books. */
static void change_places(struct arena *arena, uint32_t block, uint32_t other) {
  struct arena_record *a = arena_at(arena, block), *b = arena_at(arena, other);
  struct arena_record from = *a, to = *b;
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

/* A block that belongs to nobody grows by the one above it, which goes. */
static void absorb(struct arena *arena, uint32_t block, uint32_t above) {
  struct arena_record *record = arena_at(arena, block);
  const struct arena_record *other = arena_at(arena, above);
  record->size += other->size;
  record->above = other->above;
  arena_at(arena, record->above)->below = block;
  slots_give(&arena->records, above);
}

/* Moves a block elsewhere. What is then at its place, a block of nobody; 0: it is still there. */
static uint32_t move_away(struct arena *arena, uint32_t block, arena_move_fn *move, void *arg) {
  uint64_t size = arena_block_size(arena, block);
  uint32_t other = arena_take(arena, size, 0);
  if (other == 0)
    return 0;
  if (!move(arg, block, arena_offset(arena, other))) {
    arena_give(arena, other);
    return 0;
  }
  arena->moved_bytes += size;
  arena->moves++;
  change_places(arena, block, other);
  return other;
}

/* Makes blocks of nobody of the place's holes, so that nothing is moved there. Returns the offset
 * of its end. */
static uint64_t occupy(struct arena *arena, uint32_t hole, uint64_t size) {
  uint64_t begin = arena_offset(arena, hole), end = begin;
  for (uint32_t record = hole; end < begin + size; record = arena_at(arena, record)->above) {
    if (arena_is_hole(arena, record))
      arena_use_hole(arena, record, 0);
    end += arena_block_size(arena, record);
  }
  return end;
}

/* Gives those back, from one on. */
static void vacate(struct arena *arena, uint32_t block, uint64_t end) {
  while (block != 0) {
    uint32_t above = arena_at(arena, block)->above;
    if (arena_offset(arena, above) >= end)
      above = 0;
    if (arena_at(arena, block)->owner == 0)
      arena_give(arena, block);
    block = above;
  }
}

bool arena_evacuate(struct arena *arena, const struct arena_place *place, uint64_t size,
                    uint64_t *may_cost, arena_move_fn *move, void *arg) {
  uint32_t block = place->hole;
  uint64_t end = occupy(arena, block, size);
  while (arena_block_size(arena, block) < size) {
    uint32_t above = arena_at(arena, block)->above;
    if (arena_at(arena, above)->owner != 0) {
      uint64_t cost = arena_block_size(arena, above) + ARENA_MOVE_COST;
      above = move_away(arena, above, move, arg);
      if (above == 0)
        break;
      *may_cost -= cost < *may_cost ? cost : *may_cost;
    }
    absorb(arena, block, above);
  }
  bool done = arena_block_size(arena, block) >= size;
  vacate(arena, block, end);
  return done;
}
