/* Makes a hole by sliding blocks down. A full compaction would have no bound, so this file searches
 * a span: a sequence of neighbours whose holes together are large enough and whose blocks are few
 * bytes. Where the blocks are small, they are evacuated instead (arena_evacuate.c). */
#include "daemon/base/check.h"
#include "daemon/region/arena_internal.h"

enum {
  HOLES_TRIED = 16,               /* as the middle of a span */
  WALLS_MAX = 8,                  /* blocks that did not move, before a compaction gives up */
  RECORDS_EXAMINED_MAX = 1 << 15, /* by one search, before it tries no further hole */
};

struct compaction {
  struct arena *arena;
  uint64_t size;
  uint64_t max_cost; /* that is left */
  uint32_t walls[WALLS_MAX];
  uint32_t n_walls;
  uint32_t records_examined;
  bool only_slide; /* an evacuation failed */
};

/* The next hole beyond the end of a span, and the gain and cost of extending the span to it. */
struct extension {
  uint32_t hole; /* 0: none, or it costs too much */
  uint64_t gain, cost;
};

/* Blocks without an owner, such as record 0, are not moved. */
static bool is_wall(const struct compaction *compaction, uint32_t block) {
  for (uint32_t i = 0; i < compaction->n_walls; i++)
    if (compaction->walls[i] == block)
      return true;
  return arena_at(compaction->arena, block)->owner == 0;
}

static struct extension extend(struct compaction *compaction, uint32_t record, bool up,
                               uint64_t limit) {
  const struct arena_record *at = arena_at(compaction->arena, record);
  struct extension extension = {0};
  for (;;) {
    record = up ? at->above : at->below;
    at = arena_at(compaction->arena, record);
    compaction->records_examined++;
    if (arena_is_hole(compaction->arena, record))
      break;
    if (is_wall(compaction, record) || extension.cost > limit)
      return (struct extension){0};
    extension.cost += at->size + ARENA_MOVE_COST;
  }
  extension.hole = record;
  extension.gain = at->size;
  return extension;
}

/* Returns true if `a` gives more of the `missing` bytes for its cost than `b`. */
static bool is_better(const struct extension *a, const struct extension *b, uint64_t missing) {
  if (a->hole == 0 || b->hole == 0)
    return a->hole != 0;
  double a_gain = (double)(a->gain < missing ? a->gain : missing);
  double b_gain = (double)(b->gain < missing ? b->gain : missing);
  return (double)a->cost * b_gain <= (double)b->cost * a_gain;
}

/* Extends a span around `hole` until its holes together are large enough. Returns its lowest hole
 * and lowers *limit to its cost, or returns 0 if the cost exceeds *limit. */
static uint32_t span_around(struct compaction *compaction, uint32_t hole, uint64_t *limit) {
  uint32_t lowest = hole;
  uint64_t free_bytes = arena_at(compaction->arena, hole)->size, cost = 0;
  struct extension up = {0}, down = {0};
  if (free_bytes < compaction->size) {
    up = extend(compaction, hole, true, *limit);
    down = extend(compaction, hole, false, *limit);
  }
  while (free_bytes < compaction->size) {
    bool is_up = is_better(&up, &down, compaction->size - free_bytes);
    struct extension *extension = is_up ? &up : &down;
    cost += extension->cost;
    if (extension->hole == 0 || cost > *limit)
      return 0;
    free_bytes += extension->gain;
    if (!is_up)
      lowest = extension->hole;
    *extension = extend(compaction, extension->hole, is_up, *limit - cost);
  }
  *limit = cost;
  return lowest;
}

/* Returns the lowest hole of the cheapest span around one of the largest holes. 0: none. */
static uint32_t cheapest_span(struct compaction *compaction) {
  uint32_t found = 0;
  uint64_t limit = compaction->max_cost;
  compaction->records_examined = 0;
  uint32_t hole = arena_first_hole(compaction->arena);
  for (int i = 0;
       hole != 0 && i < HOLES_TRIED && compaction->records_examined < RECORDS_EXAMINED_MAX; i++) {
    uint32_t lowest = span_around(compaction, hole, &limit);
    if (lowest != 0)
      found = lowest;
    hole = arena_next_hole(compaction->arena, hole);
  }
  return found;
}

/* Swaps a hole and the block above it, in the records. */
static void swap_with_above(struct arena *arena, uint32_t hole, uint32_t block) {
  struct arena_record *hole_at = arena_at(arena, hole), *block_at = arena_at(arena, block);
  uint32_t below = hole_at->below, above = block_at->above;
  check_eq(hole_at->above, block);
  assert(!arena_is_hole(arena, block));
  block_at->place = hole_at->place & ~(uint64_t)ARENA_HOLE;
  hole_at->place += block_at->size;
  arena_at(arena, below)->above = block;
  block_at->below = below;
  block_at->above = hole;
  hole_at->below = block;
  hole_at->above = above;
  arena_at(arena, above)->below = hole;
}

/* Moves the blocks above the hole below it, one by one, until the holes that it merges with make it
 * large enough. Returns the block that could not be moved, or 0. Then the hole is the first in its
 * list, where arena_alloc finds it. */
static uint32_t slide(struct compaction *compaction, uint32_t hole, arena_move_fn *move,
                      void *arg) {
  struct arena *arena = compaction->arena;
  uint32_t stuck = 0;
  arena_unlist_hole(arena, hole);
  while (arena_at(arena, hole)->size < compaction->size) {
    uint32_t block = arena_at(arena, hole)->above;
    if (!move(arg, block, arena_offset(arena, hole))) {
      stuck = block;
      break;
    }
    uint64_t size = arena_at(arena, block)->size;
    check_le(size + ARENA_MOVE_COST, compaction->max_cost);
    compaction->max_cost -= size + ARENA_MOVE_COST;
    arena->moved_bytes += size;
    arena->moves++;
    swap_with_above(arena, hole, block);
    arena_absorb_above(arena, hole);
  }
  arena_list_hole(arena, hole);
  return stuck;
}

static bool make_hole(struct compaction *compaction, arena_move_fn *move, void *arg) {
  while (compaction->size <= arena_free_bytes(compaction->arena)) {
    struct arena_range range = {0};
    if (!compaction->only_slide)
      range = arena_find_range(compaction->arena, compaction->size, compaction->max_cost);
    if (range.hole != 0) {
      if (arena_evacuate(compaction->arena, &range, compaction->size, &compaction->max_cost, move,
                         arg))
        return true;
      compaction->only_slide = true;
    }
    uint32_t hole = cheapest_span(compaction);
    if (hole == 0)
      return false;
    uint32_t stuck = slide(compaction, hole, move, arg);
    if (stuck == 0)
      return true;
    if (compaction->n_walls == WALLS_MAX)
      return false;
    compaction->walls[compaction->n_walls++] = stuck;
  }
  return false;
}

bool arena_compact(struct arena *arena, uint64_t size, uint64_t max_moved, arena_move_fn *move,
                   void *arg) {
  struct compaction compaction = {.arena = arena, .size = size, .max_cost = max_moved};
  return make_hole(&compaction, move, arg);
}

/* Pieces of equal size are better than the sizes of existing holes: each span is the cheapest one,
 * and no small rest remains for the last piece. */
size_t arena_compact_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                            arena_block blocks[ARENA_PIECES_MAX], uint64_t max_moved,
                            arena_move_fn *move, void *arg) {
  struct compaction compaction = {.arena = arena, .max_cost = max_moved};
  uint64_t left = size;
  size_t n = 0;
  for (; left > 0 && n < ARENA_PIECES_MAX; n++) {
    uint64_t more = ARENA_PIECES_MAX - n;
    uint64_t piece = (left + more - 1) / more;
    if (piece < ARENA_PIECE_MIN)
      piece = left < ARENA_PIECE_MIN ? left : ARENA_PIECE_MIN;
    compaction.size = piece;
    blocks[n] = make_hole(&compaction, move, arg) ? arena_alloc(arena, piece, 0) : 0;
    if (blocks[n] == 0)
      break;
    uint64_t bytes = arena_block_size(arena, blocks[n]);
    check_le(piece, bytes);
    left -= bytes < left ? bytes : left;
  }
  bool done = left == 0;
  for (size_t i = 0; i < n; i++)
    if (done)
      arena_set_owner(arena, blocks[i], owner);
    else
      arena_free(arena, blocks[i]);
  return done ? n : 0;
}
