#include "daemon/region/arena.h"

#include "daemon/region/arena_internal.h"
#include "proto/errors.h"

enum {
  LEVEL_BITS = 5,      /* of a size make its class */
  HOLES_LOOKED_AT = 8, /* of a list, for one that fits and lies low */
};
static_assert(ARENA_LEVEL_CLASSES == 1u << LEVEL_BITS, "one class for each value of these bits");

/* ---- the lists of holes ---- */

struct class {
  uint32_t level, index;
};

static struct class class_of(uint64_t size) {
  uint64_t units = size / ARENA_UNIT;
  if (units < ARENA_LEVEL_CLASSES)
    return (struct class){.level = 0, .index = (uint32_t)units};
  uint32_t shift = 63u - LEVEL_BITS - (uint32_t)__builtin_clzll(units);
  return (struct class){
      .level = shift + 1,
      .index = (uint32_t)(units >> shift) & (ARENA_LEVEL_CLASSES - 1),
  };
}

/* First of the lowest list above a class: each hole there is larger than any of that class. */
static uint32_t hole_above(const struct arena *arena, struct class class) {
  uint32_t level = class.level;
  uint32_t indexes = arena->classes[level] & ~(UINT32_MAX >> (31 - class.index));
  if (indexes == 0) {
    uint64_t levels = arena->levels & ~(UINT64_MAX >> (63 - level));
    if (levels == 0)
      return 0;
    level = (uint32_t)__builtin_ctzll(levels);
    indexes = arena->classes[level];
  }
  return arena->holes[level][__builtin_ctz(indexes)];
}

/* First of the highest list among these of a level, or else below that level. */
static uint32_t highest_hole(const struct arena *arena, uint32_t level, uint32_t indexes) {
  if (indexes == 0) {
    uint64_t levels = arena->levels & ((UINT64_C(1) << level) - 1);
    if (levels == 0)
      return 0;
    level = 63u - (uint32_t)__builtin_clzll(levels);
    indexes = arena->classes[level];
  }
  return arena->holes[level][31 - __builtin_clz(indexes)];
}

uint32_t arena_first_hole(const struct arena *arena) {
  return highest_hole(arena, ARENA_LEVELS, 0);
}

uint32_t arena_next_hole(const struct arena *arena, uint32_t hole) {
  const struct arena_record *record = arena_at(arena, hole);
  if (record->next != 0)
    return record->next;
  struct class class = class_of(record->size);
  return highest_hole(arena, class.level,
                      arena->classes[class.level] & ((UINT32_C(1) << class.index) - 1));
}

void arena_list_hole(struct arena *arena, uint32_t hole) {
  struct arena_record *record = arena_at(arena, hole);
  struct class class = class_of(record->size);
  uint32_t *first = &arena->holes[class.level][class.index];
  record->previous = 0;
  record->next = *first;
  if (*first != 0)
    arena_at(arena, *first)->previous = hole;
  *first = hole;
  arena->classes[class.level] |= UINT32_C(1) << class.index;
  arena->levels |= UINT64_C(1) << class.level;
}

void arena_unlist_hole(struct arena *arena, uint32_t hole) {
  struct arena_record *record = arena_at(arena, hole);
  if (record->next != 0)
    arena_at(arena, record->next)->previous = record->previous;
  if (record->previous != 0) {
    arena_at(arena, record->previous)->next = record->next;
    return;
  }
  struct class class = class_of(record->size);
  arena->holes[class.level][class.index] = record->next;
  if (record->next != 0)
    return;
  arena->classes[class.level] &= ~(UINT32_C(1) << class.index);
  if (arena->classes[class.level] == 0)
    arena->levels &= ~(UINT64_C(1) << class.level);
}

/* The lowest one that fits, of the first few of the list that `hole` stands first in. The hole at
 * the end of the arena is the highest, so it is left alone while another will do. */
static uint32_t lowest_that_fits(const struct arena *arena, uint32_t hole, uint64_t size) {
  uint32_t found = 0;
  for (int i = 0; hole != 0 && i < HOLES_LOOKED_AT; i++) {
    const struct arena_record *record = arena_at(arena, hole);
    if (record->size >= size && (found == 0 || record->place < arena_at(arena, found)->place))
      found = hole;
    hole = record->next;
  }
  return found;
}

/* In the class of `size` some holes fit, in those above it all do. */
static uint32_t good_fit(const struct arena *arena, uint64_t size) {
  struct class class = class_of(size);
  uint32_t hole = lowest_that_fits(arena, arena->holes[class.level][class.index], size);
  return hole != 0 ? hole : lowest_that_fits(arena, hole_above(arena, class), size);
}

/* ---- records ---- */

/* Lets what led to a hole's former record lead to this one. */
static void relink_hole(struct arena *arena, uint32_t to) {
  const struct arena_record *record = arena_at(arena, to);
  struct class class = class_of(record->size);
  if (record->next != 0)
    arena_at(arena, record->next)->previous = to;
  if (record->previous != 0)
    arena_at(arena, record->previous)->next = to;
  else
    arena->holes[class.level][class.index] = to;
}

bool arena_tidy(struct arena *arena, arena_block *from, arena_block *to) {
  if (!slots_next_move(&arena->records, from, to))
    return false;
  struct arena_record *record = arena_at(arena, *to);
  *record = *arena_at(arena, *from);
  arena_at(arena, record->below)->above = *to;
  arena_at(arena, record->above)->below = *to;
  slots_give(&arena->records, *from);
  if (arena_is_hole(arena, *to)) {
    relink_hole(arena, *to);
    *to = 0;
  }
  return true;
}

/* ---- the arena ---- */

int arena_init(struct arena *arena, uint64_t size, uint64_t max_chunks, void *memory) {
  *arena = (struct arena){.size = size};
  if (slots_init(&arena->records, ARENA_RECORD_BITS, max_chunks) != 0)
    return FC_ENOMEM;
  (void)slots_add(&arena->records, memory); /* the first: it has a number */
  uint32_t hole = slots_take(&arena->records);
  *arena_at(arena, 0) = (struct arena_record){.below = hole, .above = hole};
  *arena_at(arena, hole) = (struct arena_record){.place = ARENA_HOLE, .size = size};
  arena_list_hole(arena, hole);
  return 0;
}

void arena_deinit(struct arena *arena) {
  slots_deinit(&arena->records);
  *arena = (struct arena){0};
}

/* Makes two holes of one that is in no list: `hole` keeps the first `size` bytes, the rest is
 * listed. False: no record is left. */
static bool split(struct arena *arena, uint32_t hole, uint64_t size) {
  uint32_t rest = slots_take(&arena->records);
  if (rest == 0)
    return false;
  struct arena_record *record = arena_at(arena, hole);
  *arena_at(arena, rest) = (struct arena_record){
      .place = record->place + size,
      .size = record->size - size,
      .below = hole,
      .above = record->above,
  };
  arena_at(arena, record->above)->below = rest;
  record->above = rest;
  record->size = size;
  arena_list_hole(arena, rest);
  return true;
}

void arena_use_hole(struct arena *arena, uint32_t hole, uint64_t owner) {
  struct arena_record *record = arena_at(arena, hole);
  arena_unlist_hole(arena, hole);
  record->place &= ~(uint64_t)ARENA_HOLE;
  record->owner = owner;
  arena->used_bytes += record->size;
}

/* Makes a block of the first `size` bytes of a hole. 0: no record is left. */
static arena_block take_from(struct arena *arena, uint32_t hole, uint64_t size, uint64_t owner) {
  arena_unlist_hole(arena, hole);
  if (arena_at(arena, hole)->size > size && !split(arena, hole, size)) {
    arena_list_hole(arena, hole);
    return 0;
  }
  arena_at(arena, hole)->place &= ~(uint64_t)ARENA_HOLE;
  arena_at(arena, hole)->owner = owner;
  arena->used_bytes += size;
  return hole;
}

static uint64_t whole_units(uint64_t size) {
  return (size + ARENA_UNIT - 1) & ~(uint64_t)(ARENA_UNIT - 1);
}

arena_block arena_take(struct arena *arena, uint64_t size, uint64_t owner) {
  if (size == 0 || size > arena_free_bytes(arena))
    return 0;
  size = whole_units(size);
  uint32_t hole = good_fit(arena, size);
  return hole == 0 ? 0 : take_from(arena, hole, size, owner);
}

arena_block arena_take_high(struct arena *arena, uint64_t size, uint64_t end) {
  if (size == 0 || size > arena_free_bytes(arena))
    return 0;
  size = whole_units(size);
  uint32_t hole = good_fit(arena, size);
  if (hole == 0)
    return 0;
  uint64_t begin = arena_offset(arena, hole), above = begin + arena_at(arena, hole)->size;
  above = above < end ? above : end & ~(uint64_t)(ARENA_UNIT - 1);
  if (above <= begin + size)
    return take_from(arena, hole, size, 0);
  arena_unlist_hole(arena, hole);
  bool done = split(arena, hole, above - size - begin);
  arena_list_hole(arena, hole);
  return done ? take_from(arena, arena_at(arena, hole)->above, size, 0) : 0;
}

/* Where no hole has room for all that is left, the whole of a largest one. */
static arena_block take_piece(struct arena *arena, uint64_t left, uint64_t owner) {
  uint32_t hole = arena_first_hole(arena);
  uint64_t size = hole == 0 ? 0 : arena_at(arena, hole)->size;
  if (size < ARENA_PIECE_MIN)
    return 0;
  left = whole_units(left);
  return take_from(arena, hole, size < left ? size : left, owner);
}

size_t arena_take_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                         arena_block blocks[ARENA_PIECES_MAX]) {
  if (size == 0 || size > arena_free_bytes(arena))
    return 0;
  uint64_t left = size;
  size_t n = 0;
  while (n < ARENA_PIECES_MAX) {
    arena_block block = arena_take(arena, left, owner);
    if (block == 0)
      block = take_piece(arena, left, owner);
    if (block == 0)
      break;
    blocks[n++] = block;
    uint64_t taken = arena_at(arena, block)->size;
    if (taken >= left)
      return n;
    left -= taken;
  }
  while (n > 0)
    arena_give(arena, blocks[--n]);
  return 0;
}

void arena_absorb_above(struct arena *arena, uint32_t hole) {
  struct arena_record *record = arena_at(arena, hole);
  uint32_t above = record->above;
  if (!arena_is_hole(arena, above))
    return;
  arena_unlist_hole(arena, above);
  record->size += arena_at(arena, above)->size;
  record->above = arena_at(arena, above)->above;
  arena_at(arena, record->above)->below = hole;
  slots_give(&arena->records, above);
}

void arena_give(struct arena *arena, arena_block block) {
  struct arena_record *record = arena_at(arena, block);
  arena->used_bytes -= record->size;
  record->place |= ARENA_HOLE;
  arena_absorb_above(arena, block);
  uint32_t below = record->below;
  arena_list_hole(arena, block);
  if (!arena_is_hole(arena, below))
    return;
  arena_unlist_hole(arena, below);
  arena_absorb_above(arena, below);
  arena_list_hole(arena, below);
}

uint64_t arena_offset(const struct arena *arena, arena_block block) {
  return arena_at(arena, block)->place & ~(uint64_t)ARENA_HOLE;
}

uint64_t arena_block_size(const struct arena *arena, arena_block block) {
  return arena_at(arena, block)->size;
}

uint64_t arena_owner(const struct arena *arena, arena_block block) {
  return arena_at(arena, block)->owner;
}

void arena_set_owner(struct arena *arena, arena_block block, uint64_t owner) {
  arena_at(arena, block)->owner = owner;
}

uint64_t arena_largest(const struct arena *arena) {
  uint64_t largest = 0;
  for (uint32_t hole = arena_first_hole(arena); hole != 0; hole = arena_at(arena, hole)->next)
    if (arena_at(arena, hole)->size > largest)
      largest = arena_at(arena, hole)->size;
  return largest;
}
