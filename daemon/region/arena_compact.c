/* Sliding blocks down is chosen over a full compaction because its cost can be bounded: a window of
 * neighbours is found whose holes together are large enough and whose blocks are few bytes. Where
 * the blocks are small, a place is emptied instead (arena_evacuate.c). */
#include "daemon/region/arena_internal.h"

enum {
  HOLES_TRIED = 16,    /* as the middle of a window */
  WALLS_MAX = 8,       /* blocks found out to be immovable, before a gather gives up */
  LOOKS_MAX = 1 << 15, /* at records, by one search, before no further hole is tried */
};

struct gather {
  struct arena *arena;
  uint64_t size;
  uint64_t may_cost; /* from now on */
  uint32_t walls[WALLS_MAX];
  uint32_t n_walls;
  uint32_t looks;
  bool slides_only; /* blocks did not fit elsewhere */
};

/* From the end of a window to the next hole: what taking it in would give and cost. */
struct reach {
  uint32_t hole; /* 0: there is none, or it costs too much */
  uint64_t gain, cost;
};

/* A block without an owner (record 0 is one, too) is not moved. */
static bool is_wall(const struct gather *gather, uint32_t block) {
  for (uint32_t i = 0; i < gather->n_walls; i++)
    if (gather->walls[i] == block)
      return true;
  return arena_at(gather->arena, block)->owner == 0;
}

static struct reach reach_from(struct gather *gather, uint32_t record, bool up, uint64_t limit) {
  const struct arena_record *at = arena_at(gather->arena, record);
  struct reach reach = {0};
  for (;;) {
    record = up ? at->above : at->below;
    at = arena_at(gather->arena, record);
    gather->looks++;
    if (arena_is_hole(gather->arena, record))
      break;
    if (is_wall(gather, record) || reach.cost > limit)
      return (struct reach){0};
    reach.cost += at->size + ARENA_MOVE_COST;
  }
  reach.hole = record;
  reach.gain = at->size;
  return reach;
}

/* Whether taking in `a` rather than `b` gives more of the `missing` bytes for what it costs. */
static bool is_better(const struct reach *a, const struct reach *b, uint64_t missing) {
  if (a->hole == 0 || b->hole == 0)
    return a->hole != 0;
  double a_gain = (double)(a->gain < missing ? a->gain : missing);
  double b_gain = (double)(b->gain < missing ? b->gain : missing);
  return (double)a->cost * b_gain <= (double)b->cost * a_gain;
}

/* Widens a window around `hole` until its holes together are large enough. Its lowest hole, and
 * lowers *limit to its cost; 0: there is none that costs so little. */
static uint32_t window_around(struct gather *gather, uint32_t hole, uint64_t *limit) {
  uint32_t lowest = hole;
  uint64_t free_bytes = arena_at(gather->arena, hole)->size, cost = 0;
  struct reach up = {0}, down = {0};
  if (free_bytes < gather->size) {
    up = reach_from(gather, hole, true, *limit);
    down = reach_from(gather, hole, false, *limit);
  }
  while (free_bytes < gather->size) {
    bool is_up = is_better(&up, &down, gather->size - free_bytes);
    struct reach *reach = is_up ? &up : &down;
    cost += reach->cost;
    if (reach->hole == 0 || cost > *limit)
      return 0;
    free_bytes += reach->gain;
    if (!is_up)
      lowest = reach->hole;
    *reach = reach_from(gather, reach->hole, is_up, *limit - cost);
  }
  *limit = cost;
  return lowest;
}

/* The lowest hole of a cheap window: the large holes are tried as its middle. 0: none. */
static uint32_t cheap_window(struct gather *gather) {
  uint32_t found = 0;
  uint64_t limit = gather->may_cost;
  gather->looks = 0;
  uint32_t hole = arena_first_hole(gather->arena);
  for (int i = 0; hole != 0 && i < HOLES_TRIED && gather->looks < LOOKS_MAX; i++) {
    uint32_t lowest = window_around(gather, hole, &limit);
    if (lowest != 0)
      found = lowest;
    hole = arena_next_hole(gather->arena, hole);
  }
  return found;
}

/* Lets the hole and the block above it change places, in the books. */
static void change_places(struct arena *arena, uint32_t hole, uint32_t block) {
  struct arena_record *hole_at = arena_at(arena, hole), *block_at = arena_at(arena, block);
  uint32_t below = hole_at->below, above = block_at->above;
  block_at->place = hole_at->place & ~(uint64_t)ARENA_HOLE;
  hole_at->place += block_at->size;
  arena_at(arena, below)->above = block;
  block_at->below = below;
  block_at->above = hole;
  hole_at->below = block;
  hole_at->above = above;
  arena_at(arena, above)->below = hole;
}

/* Moves the blocks above the hole below it, one by one, until what it meets and takes in has made
 * it large enough. The block that could not be moved; 0: none, and the hole stands first in its
 * list, where arena_take looks. */
static uint32_t slide(struct gather *gather, uint32_t hole, arena_move_fn *move, void *arg) {
  struct arena *arena = gather->arena;
  uint32_t stuck = 0;
  arena_unlist_hole(arena, hole);
  while (arena_at(arena, hole)->size < gather->size) {
    uint32_t block = arena_at(arena, hole)->above;
    if (!move(arg, block, arena_offset(arena, hole))) {
      stuck = block;
      break;
    }
    uint64_t size = arena_at(arena, block)->size;
    gather->may_cost -= size + ARENA_MOVE_COST;
    arena->moved_bytes += size;
    arena->moves++;
    change_places(arena, hole, block);
    arena_absorb_above(arena, hole);
  }
  arena_list_hole(arena, hole);
  return stuck;
}

static bool make_hole(struct gather *gather, arena_move_fn *move, void *arg) {
  while (gather->size <= arena_free_bytes(gather->arena)) {
    struct arena_place place = {0};
    if (!gather->slides_only)
      place = arena_find_place(gather->arena, gather->size, gather->may_cost);
    if (place.hole != 0) {
      if (arena_evacuate(gather->arena, &place, gather->size, &gather->may_cost, move, arg))
        return true;
      gather->slides_only = true;
    }
    uint32_t hole = cheap_window(gather);
    if (hole == 0)
      return false;
    uint32_t stuck = slide(gather, hole, move, arg);
    if (stuck == 0)
      return true;
    if (gather->n_walls == WALLS_MAX)
      return false;
    gather->walls[gather->n_walls++] = stuck;
  }
  return false;
}

bool arena_gather(struct arena *arena, uint64_t size, uint64_t max_moved, arena_move_fn *move,
                  void *arg) {
  struct gather gather = {.arena = arena, .size = size, .may_cost = max_moved};
  return make_hole(&gather, move, arg);
}

/* Pieces of equal size rather than what holes there are: each window is the cheapest one, and the
 * last piece cannot be left over. */
size_t arena_gather_pieces(struct arena *arena, uint64_t size, uint64_t owner,
                           arena_block blocks[ARENA_PIECES_MAX], uint64_t max_moved,
                           arena_move_fn *move, void *arg) {
  struct gather gather = {.arena = arena, .may_cost = max_moved};
  uint64_t left = size;
  size_t n = 0;
  for (; left > 0 && n < ARENA_PIECES_MAX; n++) {
    uint64_t slots = ARENA_PIECES_MAX - n;
    uint64_t piece = (left + slots - 1) / slots;
    if (piece < ARENA_PIECE_MIN)
      piece = left < ARENA_PIECE_MIN ? left : ARENA_PIECE_MIN;
    gather.size = piece;
    blocks[n] = make_hole(&gather, move, arg) ? arena_take(arena, piece, 0) : 0;
    if (blocks[n] == 0)
      break;
    uint64_t taken = arena_block_size(arena, blocks[n]);
    left -= taken < left ? taken : left;
  }
  bool done = left == 0;
  for (size_t i = 0; i < n; i++)
    if (done)
      arena_set_owner(arena, blocks[i], owner);
    else
      arena_give(arena, blocks[i]);
  return done ? n : 0;
}
