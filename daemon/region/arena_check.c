#include "daemon/base/check.h"
#include "daemon/region/arena_internal.h"

/* Returns how many holes the records from the bottom of the arena to its top have. */
static uint64_t check_records(const struct arena *arena) {
  uint64_t offset = 0, used_bytes = 0, holes = 0, largest = 0;
  uint32_t below = 0;
  for (uint32_t i = arena_at(arena, 0)->above; i != 0; i = arena_at(arena, i)->above) {
    const struct arena_record *record = arena_at(arena, i);
    bool is_hole = arena_is_hole(arena, i);
    check_eq(arena_offset(arena, i), offset);
    check_eq(record->below, below);
    check_lt(0, record->size);
    check_eq(record->size % ARENA_UNIT, 0);
    assert(!is_hole || !arena_is_hole(arena, below)); /* else they would be one hole */
    holes += is_hole;
    used_bytes += is_hole ? 0 : record->size;
    if (is_hole && record->size > largest)
      largest = record->size;
    offset += record->size;
    below = i;
  }
  check_eq(arena_at(arena, 0)->below, below);
  check_eq(arena_at(arena, 0)->size, 0);
  check_eq(arena_at(arena, 0)->owner, 0);
  check_eq(offset, arena->size);
  check_eq(used_bytes, arena->used_bytes);
  check_eq(largest, arena_largest(arena));
  return holes;
}

static void check_lists(const struct arena *arena, uint64_t holes) {
  uint64_t listed = 0;
  for (uint32_t level = 0; level < ARENA_LEVELS; level++) {
    check_eq(arena->levels >> level & 1, arena->classes[level] != 0);
    for (uint32_t index = 0; index < ARENA_LEVEL_CLASSES; index++) {
      uint32_t first = arena->holes[level][index];
      check_eq(arena->classes[level] >> index & 1, first != 0);
      if (first != 0)
        check_eq(arena_at(arena, first)->previous, 0);
    }
  }
  for (uint32_t i = arena_first_hole(arena); i != 0; i = arena_next_hole(arena, i)) {
    assert(arena_is_hole(arena, i));
    check_lt(listed, holes);
    listed++;
  }
  check_eq(listed, holes);
}

void arena_check(const struct arena *arena) {
  slots_check(&arena->records);
  check_lists(arena, check_records(arena));
}
