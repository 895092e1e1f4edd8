#include "daemon/region/arena.h"

#include "daemon/base/check.h"
#include "daemon/region/arena_internal.h"
#include "proto/errors.h"

enum {
  LEVEL_BITS = 5,     /* of a size that select its class */
  HOLES_EXAMINED = 8, /* in one list, for the lowest that fits */
};
static_assert(ARENA_LEVEL_CLASSES == 1u << LEVEL_BITS, "one class for each value of these bits");

/* Cheap enough for each allocation: a record that is out of bounds would corrupt other entries. */
static void check_record(const struct arena *arena, uint32_t record) {
  const struct arena_record *at = arena_at(arena, record);
  uint64_t offset = at->place & ~(uint64_t)ARENA_HOLE;
  check_lt(0, record);
  check_lt(0, at->size);
  check_eq((offset | at->size) % ARENA_UNIT, 0);
  check_le(at->size, arena->size);
  check_le(offset, arena->size - at->size);
  check_eq(arena_at(arena, at->above)->below, record);
}

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

/* Returns the first hole of the lowest list above a class. Each hole there is larger than those of
 * the class. */
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

/* Returns the first hole of the highest list among `indexes` of a level, or of a lower level. */
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
  assert(arena_is_hole(arena, hole));
  check_lt(0, record->size);
  check_le(record->size, arena->size);
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
  assert(arena_is_hole(arena, hole));
  if (record->next != 0) {
    check_eq(arena_at(arena, record->next)->previous, hole);
    arena_at(arena, record->next)->previous = record->previous;
  }
  if (record->previous != 0) {
    check_eq(arena_at(arena, record->previous)->next, hole);
    arena_at(arena, record->previous)->next = record->next;
    return;
  }
  struct class class = class_of(record->size);
  check_eq(arena->holes[class.level][class.index], hole);
  arena->holes[class.level][class.index] = record->next;
  if (record->next != 0)
    return;
  arena->classes[class.level] &= ~(UINT32_C(1) << class.index);
  if (arena->classes[class.level] == 0)
    arena->levels &= ~(UINT64_C(1) << class.level);
}

/* Returns the lowest hole that fits among the first few of the list that begins with `hole`. The
 * hole at the end of the arena is the highest, so it is used last. */
static uint32_t lowest_that_fits(const struct arena *arena, uint32_t hole, uint64_t size) {
  uint32_t found = 0;
  for (int i = 0; hole != 0 && i < HOLES_EXAMINED; i++) {
    const struct arena_record *record = arena_at(arena, hole);
    if (record->size >= size && (found == 0 || record->place < arena_at(arena, found)->place))
      found = hole;
    hole = record->next;
  }
  return found;
}

/* In the class of `size` some holes fit. In the classes above it all do. */
static uint32_t good_fit(const struct arena *arena, uint64_t size) {
  struct class class = class_of(size);
  uint32_t hole = lowest_that_fits(arena, arena->holes[class.level][class.index], size);
  return hole != 0 ? hole : lowest_that_fits(arena, hole_above(arena, class), size);
}

/* ---- records ---- */

/* Updates the list of a hole whose record was copied to `to`. */
static void list_record_moved(struct arena *arena, uint32_t to) {
  const struct arena_record *record = arena_at(arena, to);
  struct class class = class_of(record->size);
  if (record->next != 0)
    arena_at(arena, record->next)->previous = to;
  if (record->previous != 0)
    arena_at(arena, record->previous)->next = to;
  else
    arena->holes[class.level][class.index] = to;
}

bool arena_compact_records(struct arena *arena, arena_block *from, arena_block *to) {
  if (!slots_next_move(&arena->records, from, to))
    return false;
  struct arena_record *record = arena_at(arena, *to);
  *record = *arena_at(arena, *from);
  arena_at(arena, record->below)->above = *to;
  arena_at(arena, record->above)->below = *to;
  slots_free(&arena->records, *from);
  check_record(arena, *to);
  if (arena_is_hole(arena, *to)) {
    list_record_moved(arena, *to);
    *to = 0;
  }
  return true;
}

/* ---- the arena ---- */

int arena_init(struct arena *arena, uint64_t size, uint64_t max_chunks, void *memory) {
  check_lt(0, size);
  check_eq(size % ARENA_UNIT, 0);
  check_le(size, UINT64_C(1) << 50);
  *arena = (struct arena){.size = size};
  if (slots_init(&arena->records, ARENA_RECORD_BITS, max_chunks) != 0)
    return FC_ENOMEM;
  (void)slots_add(&arena->records, memory); /* a new table has a number for it */
  uint32_t hole = slots_alloc(&arena->records);
  *arena_at(arena, 0) = (struct arena_record){.below = hole, .above = hole};
  *arena_at(arena, hole) = (struct arena_record){.place = ARENA_HOLE, .size = size};
  arena_list_hole(arena, hole);
  return 0;
}

void arena_deinit(struct arena *arena) {
  slots_deinit(&arena->records);
  *arena = (struct arena){0};
}

/* Makes the arena smaller by the end of its highest hole, which is in no list. */
static void cut_hole(struct arena *arena, uint32_t hole, uint64_t cut) {
  struct arena_record *record = arena_at(arena, hole);
  record->size -= cut;
  if (record->size > 0) {
    arena_list_hole(arena, hole);
    return;
  }
  arena_at(arena, record->below)->above = 0;
  arena_at(arena, 0)->below = record->below;
  slots_free(&arena->records, hole);
}

/* Adds a hole at the end of the arena, whose highest record is a block. */
static bool add_hole(struct arena *arena, uint64_t bytes) {
  uint32_t hole = slots_alloc(&arena->records), top = arena_at(arena, 0)->below;
  if (hole == 0)
    return false;
  *arena_at(arena, hole) =
      (struct arena_record){.place = arena->size | ARENA_HOLE, .size = bytes, .below = top};
  arena_at(arena, top)->above = hole;
  arena_at(arena, 0)->below = hole;
  return true;
}

bool arena_resize(struct arena *arena, uint64_t size) {
  uint32_t top = arena_at(arena, 0)->below;
  check_eq(size % ARENA_UNIT, 0);
  if (size == arena->size)
    return true;
  if (size < arena->size) {
    uint64_t cut = arena->size - size;
    if (!arena_is_hole(arena, top) || arena_at(arena, top)->size < cut)
      return false;
    arena_unlist_hole(arena, top);
    cut_hole(arena, top, cut);
    arena->size = size;
    return true;
  }
  if (arena_is_hole(arena, top)) {
    arena_unlist_hole(arena, top);
    arena_at(arena, top)->size += size - arena->size;
  } else if (!add_hole(arena, size - arena->size)) {
    return false;
  }
  arena->size = size;
  arena_list_hole(arena, arena_at(arena, 0)->below);
  return true;
}

/* Splits a hole that is in no list. `hole` keeps the first `size` bytes, and the rest is listed.
 * Returns false if no record is unused. */
static bool split(struct arena *arena, uint32_t hole, uint64_t size) {
  uint32_t rest = slots_alloc(&arena->records);
  if (rest == 0)
    return false;
  struct arena_record *record = arena_at(arena, hole);
  check_lt(size, record->size);
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

/* Makes the whole of a hole that is in no list a block. */
static void make_block(struct arena *arena, uint32_t hole, uint64_t owner) {
  struct arena_record *record = arena_at(arena, hole);
  record->place &= ~(uint64_t)ARENA_HOLE;
  record->owner = owner;
  arena->used_bytes += record->size;
  check_le(arena->used_bytes, arena->size);
  check_record(arena, hole);
}

void arena_use_hole(struct arena *arena, uint32_t hole, uint64_t owner) {
  arena_unlist_hole(arena, hole);
  make_block(arena, hole, owner);
}

/* Makes the first `size` bytes of a hole a block. Returns 0 if no record is unused. */
static arena_block alloc_from(struct arena *arena, uint32_t hole, uint64_t size, uint64_t owner) {
  arena_unlist_hole(arena, hole);
  if (arena_at(arena, hole)->size > size && !split(arena, hole, size)) {
    arena_list_hole(arena, hole);
    return 0;
  }
  make_block(arena, hole, owner);
  check_eq(arena_at(arena, hole)->size, size);
  return hole;
}

static uint64_t round_up(uint64_t size) {
  return (size + ARENA_UNIT - 1) & ~(uint64_t)(ARENA_UNIT - 1);
}

arena_block arena_alloc(struct arena *arena, uint64_t size, uint64_t owner) {
  if (size == 0 || size > arena_free_bytes(arena))
    return 0;
  size = round_up(size);
  uint32_t hole = good_fit(arena, size);
  return hole == 0 ? 0 : alloc_from(arena, hole, size, owner);
}

arena_block arena_alloc_high(struct arena *arena, uint64_t size, uint64_t end) {
  if (size == 0 || size > arena_free_bytes(arena))
    return 0;
  size = round_up(size);
  uint32_t hole = good_fit(arena, size);
  if (hole == 0)
    return 0;
  uint64_t begin = arena_offset(arena, hole), above = begin + arena_at(arena, hole)->size;
  above = above < end ? above : end & ~(uint64_t)(ARENA_UNIT - 1);
  if (above <= begin + size)
    return alloc_from(arena, hole, size, 0);
  arena_unlist_hole(arena, hole);
  bool done = split(arena, hole, above - size - begin);
  arena_list_hole(arena, hole);
  return done ? alloc_from(arena, arena_at(arena, hole)->above, size, 0) : 0;
}

/* Allocates the whole of a largest hole, or `left` bytes of it. */
static arena_block alloc_piece(struct arena *arena, uint64_t left, uint64_t owner) {
  uint32_t hole = arena_first_hole(arena);
  uint64_t size = hole == 0 ? 0 : arena_at(arena, hole)->size;
  if (size < ARENA_PIECE_MIN)
    return 0;
  left = round_up(left);
  return alloc_from(arena, hole, size < left ? size : left, owner);
}

size_t arena_alloc_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                          arena_block blocks[ARENA_PIECES_MAX]) {
  if (size == 0 || size > arena_free_bytes(arena))
    return 0;
  uint64_t left = size;
  size_t n = 0;
  while (n < ARENA_PIECES_MAX) {
    arena_block block = arena_alloc(arena, left, owner);
    if (block == 0)
      block = alloc_piece(arena, left, owner);
    if (block == 0)
      break;
    blocks[n++] = block;
    uint64_t bytes = arena_at(arena, block)->size;
    if (bytes >= left)
      return n;
    check_le(ARENA_PIECE_MIN, bytes);
    left -= bytes;
  }
  while (n > 0)
    arena_free(arena, blocks[--n]);
  return 0;
}

void arena_absorb_above(struct arena *arena, uint32_t hole) {
  struct arena_record *record = arena_at(arena, hole);
  uint32_t above = record->above;
  assert(arena_is_hole(arena, hole));
  if (!arena_is_hole(arena, above))
    return;
  arena_unlist_hole(arena, above);
  record->size += arena_at(arena, above)->size;
  record->above = arena_at(arena, above)->above;
  arena_at(arena, record->above)->below = hole;
  slots_free(&arena->records, above);
}

void arena_free(struct arena *arena, arena_block block) {
  struct arena_record *record = arena_at(arena, block);
  assert(!arena_is_hole(arena, block)); /* else it is freed twice */
  check_record(arena, block);
  check_le(record->size, arena->used_bytes);
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
