/* The arena's books: what fits where, that free neighbours become one, and that moving blocks
 * together loses no byte. The random test holds a real buffer beside the books, and a model. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/region/arena.h"
#include "daemon/region/arena_internal.h"
#include "tests/support/runner.h"

#define KiB ((uint64_t)1 << 10)
#define MiB ((uint64_t)1 << 20)

#define SOMEONE 77u /* an owner */
#define CHUNKS 24u  /* of records, at most */

static struct arena arena;
static _Alignas(SLOTS_ALIGN) uint8_t chunks[CHUNKS][SLOTS_CHUNK_BYTES]; /* outside of the arena */

static void tear_down(void) {
  arena_deinit(&arena);
}

static void set_up_with(uint64_t size) {
  ck_assert_int_eq(arena_init(&arena, size, CHUNKS, chunks[0]), 0);
}

static void set_up(void) {
  set_up_with(MiB);
}

/* Where the walk over all records stands. Check notes each of its assertions, so the many small
 * ones of the long tests are gathered in a bool. */
struct walk {
  uint64_t offset, used, largest;
  uint32_t before, holes;
};

static bool step(struct walk *walk, uint32_t i) {
  uint64_t size = arena_block_size(&arena, i);
  bool hole = arena_is_hole(&arena, i);
  bool ok = arena_offset(&arena, i) == walk->offset && arena_at(&arena, i)->below == walk->before &&
            size > 0 && size % ARENA_UNIT == 0 && !(hole && arena_is_hole(&arena, walk->before));
  walk->holes += hole;
  walk->used += hole ? 0 : size;
  if (hole && size > walk->largest)
    walk->largest = size;
  walk->offset += size;
  walk->before = i;
  return ok;
}

/* The records lie side by side, no two holes are neighbours, what is used is counted, and each hole
 * is listed once. */
static void check_books(void) {
  struct walk walk = {0};
  bool ok = true;
  for (uint32_t i = arena_at(&arena, 0)->above; i != 0; i = arena_at(&arena, i)->above)
    ok = step(&walk, i) && ok;
  ck_assert(ok);
  ck_assert_uint_eq(arena_at(&arena, 0)->below, walk.before);
  ck_assert_uint_eq(walk.offset, arena.size);
  ck_assert_uint_eq(walk.used, arena.used_bytes);
  ck_assert_uint_eq(walk.largest, arena_largest(&arena));
  uint32_t listed = 0;
  for (uint32_t i = arena_first_hole(&arena); i != 0; i = arena_next_hole(&arena, i)) {
    ok = arena_is_hole(&arena, i) && ok;
    listed++;
  }
  ck_assert(ok);
  ck_assert_uint_eq(listed, walk.holes);
}

static arena_block take(uint64_t size) {
  arena_block block = arena_alloc(&arena, size, SOMEONE);
  ck_assert_uint_ne(block, 0);
  ck_assert_uint_eq(arena_owner(&arena, block), SOMEONE);
  ck_assert_uint_eq(arena_block_size(&arena, block), (size + 15) / 16 * 16);
  return block;
}

static bool may_move(void *arg, arena_block block, uint64_t to) {
  ck_assert_uint_lt(to, arena_offset(&arena, block));
  return arg == NULL || block != *(arena_block *)arg;
}

static bool may_move_anywhere(void *arg, arena_block block, uint64_t to) {
  (void)arg;
  (void)block;
  (void)to;
  return true;
}

/* ---- one by one ---- */

START_TEST(a_new_arena_is_one_hole) {
  check_books();
  ck_assert_uint_eq(arena_largest(&arena), MiB);
  ck_assert_uint_eq(arena_free_bytes(&arena), MiB);
  ck_assert_uint_eq(arena_offset(&arena, take(MiB)), 0);
  ck_assert_uint_eq(arena_largest(&arena), 0);
  ck_assert_uint_eq(arena_free_bytes(&arena), 0);
  ck_assert_uint_eq(arena_alloc(&arena, 1, SOMEONE), 0);
  check_books();
}
END_TEST

START_TEST(an_arena_may_be_as_large_as_can_be) {
  arena_deinit(&arena);
  uint64_t size = UINT64_C(1) << 50;
  set_up_with(size);
  arena_block low = take(size - 16), high = take(16);
  ck_assert_uint_eq(arena_offset(&arena, high), size - 16);
  arena_free(&arena, low);
  arena_free(&arena, high);
  check_books();
}
END_TEST

START_TEST(no_size_is_too_small_or_too_large_to_be_refused) {
  ck_assert_uint_eq(arena_alloc(&arena, 0, SOMEONE), 0);
  ck_assert_uint_eq(arena_alloc(&arena, MiB + 1, SOMEONE), 0);
  ck_assert_uint_eq(arena_alloc(&arena, UINT64_MAX, SOMEONE), 0);
  arena_block blocks[ARENA_PIECES_MAX];
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 0, SOMEONE, blocks), 0);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, UINT64_MAX, SOMEONE, blocks), 0);
  ck_assert(!arena_compact(&arena, UINT64_MAX, UINT64_MAX, may_move, NULL));
  ck_assert_uint_eq(
      arena_compact_pieces(&arena, UINT64_MAX, SOMEONE, blocks, UINT64_MAX, may_move, NULL), 0);
  ck_assert_uint_eq(arena.used_bytes, 0);
  check_books();
}
END_TEST

START_TEST(free_neighbours_become_one) {
  for (int order = 0; order < 6; order++) {
    arena_block blocks[3] = {take(100), take(200), take(300)};
    int first = order / 2, second = (first + 1 + order % 2) % 3;
    arena_free(&arena, blocks[first]);
    check_books();
    arena_free(&arena, blocks[second]);
    check_books();
    arena_free(&arena, blocks[3 - first - second]);
    check_books();
    ck_assert_uint_eq(arena_largest(&arena), MiB);
  }
}
END_TEST

START_TEST(the_end_of_the_arena_is_left_alone_while_a_hole_will_do) {
  arena_block hole = take(10000);
  take(16);
  arena_free(&arena, hole);
  ck_assert_uint_eq(arena_offset(&arena, take(9000)), 0);
  ck_assert_uint_eq(arena_offset(&arena, take(992)), 9008); /* all that was left of it */
  ck_assert_uint_eq(arena_offset(&arena, take(992)), 10016);
}
END_TEST

START_TEST(of_two_that_fit_the_closer_one_is_taken) {
  arena_block large = take(4096);
  take(16);
  arena_block small = take(2048);
  uint64_t offset = arena_offset(&arena, small);
  take(16);
  arena_free(&arena, large);
  arena_free(&arena, small);
  ck_assert_uint_eq(arena_offset(&arena, take(2048)), offset);
  ck_assert_uint_eq(arena_offset(&arena, take(2000)), 0);
}
END_TEST

START_TEST(blocks_from_above_lie_together_below_an_end) {
  arena_block high = arena_alloc_high(&arena, 1000, MiB / 2);
  ck_assert_uint_eq(arena_offset(&arena, high), MiB / 2 - 1008);
  ck_assert_uint_eq(arena_offset(&arena, take(16)), 0); /* the closer hole, from below */
  arena_block next = arena_alloc_high(&arena, 1000, MiB / 2);
  ck_assert_uint_eq(arena_offset(&arena, next), MiB / 2 - 2016);
  ck_assert_uint_eq(arena_owner(&arena, next), 0);
  take(MiB / 2 - 2016 - 16);
  check_books();
  arena_block beyond = arena_alloc_high(&arena, 1000, MiB / 2); /* where it must be, from below */
  ck_assert_uint_eq(arena_offset(&arena, beyond), MiB / 2);
  ck_assert_uint_eq(arena_alloc_high(&arena, MiB, MiB), 0);
  check_books();
}
END_TEST

START_TEST(a_block_has_the_owner_that_was_set_last) {
  arena_block block = take(100);
  arena_set_owner(&arena, block, UINT64_MAX);
  ck_assert_uint_eq(arena_owner(&arena, block), UINT64_MAX);
}
END_TEST

/* The whole arena in blocks of `size`, numbered by offset. */
static size_t fill(arena_block *blocks, uint64_t size) {
  size_t n = 0;
  while (arena_free_bytes(&arena) >= size)
    blocks[n++] = take(size);
  return n;
}

START_TEST(pieces_are_the_largest_holes_used_whole) {
  arena_block filled[64], blocks[ARENA_PIECES_MAX];
  size_t n = fill(filled, 16 * KiB);
  ck_assert_uint_eq(n, 64);
  for (size_t i = 0; i < 5; i++) /* five holes: 16, 32, 48, 64 and 80 KiB */
    for (size_t j = 0; j <= i; j++)
      arena_free(&arena, filled[i * (i + 1) / 2 + i + j]);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 150 * KiB + 1, SOMEONE, blocks), 3);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[0]), 80 * KiB);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[1]), 64 * KiB);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[2]), 6 * KiB + 16);
  ck_assert_uint_eq(arena_offset(&arena, blocks[2]), 0); /* in the hole that fits best */
  for (int i = 0; i < 3; i++)
    ck_assert_uint_eq(arena_owner(&arena, blocks[i]), SOMEONE);
  check_books();
}
END_TEST

START_TEST(one_hole_that_is_large_enough_is_one_piece) {
  arena_block blocks[ARENA_PIECES_MAX];
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 100 * KiB, SOMEONE, blocks), 1);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[0]), 100 * KiB);
}
END_TEST

START_TEST(pieces_are_refused_where_they_would_be_too_small_or_too_many) {
  arena_block filled[128], blocks[ARENA_PIECES_MAX];
  size_t n = fill(filled, 8 * KiB);
  for (size_t i = 0; i < n; i += 2)
    arena_free(&arena, filled[i]);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 9 * KiB, SOMEONE, blocks), 0);
  arena_deinit(&arena);
  set_up();
  n = fill(filled, 16 * KiB);
  for (size_t i = 0; i < n; i += 2)
    arena_free(&arena, filled[i]);
  uint64_t used = arena.used_bytes;
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 256 * KiB + 1, SOMEONE, blocks), 0);
  ck_assert_uint_eq(arena.used_bytes, used);
  check_books();
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 256 * KiB, SOMEONE, blocks), 16);
}
END_TEST

/* ---- moving together ---- */

/* Every second block of this size is free: half of 128 of them. */
static void make_stripes_of(arena_block filled[128], uint64_t size) {
  tear_down();
  set_up_with(128 * size);
  ck_assert_uint_eq(fill(filled, size), 128);
  for (size_t i = 0; i < 128; i += 2)
    arena_free(&arena, filled[i]);
}

/* Blocks that are too large to be moved out of the way: they slide. */
#define WIDE (16 * KiB)
static void make_wide_stripes(arena_block filled[128]) {
  make_stripes_of(filled, WIDE);
}
static void make_stripes(arena_block filled[128]) {
  make_stripes_of(filled, 8 * KiB);
}

START_TEST(a_gather_makes_the_hole_and_moves_no_more_than_it_must) {
  arena_block filled[128];
  make_wide_stripes(filled);
  ck_assert(arena_compact(&arena, 4 * WIDE, 2 * MiB, may_move, NULL));
  ck_assert_uint_eq(arena.moves, 3); /* what stands between four holes */
  ck_assert_uint_eq(arena.moved_bytes, 3 * WIDE);
  check_books();
  ck_assert(arena_compact(&arena, 4 * WIDE, 0, may_move, NULL)); /* it is there */
  ck_assert_uint_eq(arena.moves, 3);
  take(4 * WIDE);
  ck_assert(arena_compact(&arena, arena_free_bytes(&arena), 4 * MiB, may_move, NULL));
  check_books();
  take(arena_free_bytes(&arena));
}
END_TEST

START_TEST(a_gather_keeps_its_bound) {
  arena_block filled[128];
  make_wide_stripes(filled);
  uint64_t cost = 3 * (WIDE + ARENA_MOVE_COST);
  ck_assert(!arena_compact(&arena, 4 * WIDE, cost - 1, may_move, NULL));
  ck_assert_uint_eq(arena.moves, 0);
  ck_assert(arena_compact(&arena, 4 * WIDE, cost, may_move, NULL));
}
END_TEST

START_TEST(a_gather_goes_around_what_cannot_be_moved) {
  arena_block filled[128];
  make_wide_stripes(filled);
  for (size_t i = 1; i < 128; i += 2)
    if (i != 123 && i != 125)
      arena_set_owner(&arena, filled[i], 0);
  ck_assert(!arena_compact(&arena, 4 * WIDE, 2 * MiB, may_move, NULL));
  ck_assert_uint_eq(arena.moves, 0);
  ck_assert(arena_compact(&arena, 3 * WIDE, 2 * MiB, may_move, NULL));
  ck_assert_uint_eq(arena.moves, 2);
  for (size_t i = 1; i < 128; i += 2)
    arena_set_owner(&arena, filled[i], SOMEONE);
  arena_block stuck = filled[1]; /* and this one is asked */
  ck_assert(arena_compact(&arena, arena_free_bytes(&arena) - WIDE, 2 * MiB, may_move, &stuck));
  ck_assert_uint_eq(arena_offset(&arena, stuck), WIDE);
  ck_assert(!arena_compact(&arena, arena_free_bytes(&arena), 2 * MiB, may_move, &stuck));
  check_books();
}
END_TEST

/* Everything in blocks of 16 bytes, of which each fourth is free: a hole of 4 KiB is made by moving
 * what is there, not the threefold of what stands between so many holes. */
START_TEST(small_blocks_are_moved_out_of_the_way) {
  enum { SIZE = 16, N = 1536 };
  static arena_block filled[N];
  tear_down();
  set_up_with((uint64_t)N * SIZE);
  for (uint32_t i = 1; i < 12; i++)
    ck_assert_ptr_nonnull(slots_add(&arena.records, chunks[i]));
  ck_assert_uint_eq(fill(filled, SIZE), N);
  for (size_t i = N; i-- > 0;) /* the lowest last: those are looked at first */
    if (i % 4 == 3)
      arena_free(&arena, filled[i]);
  ck_assert(arena_compact(&arena, 4 * KiB, MiB, may_move_anywhere, NULL));
  ck_assert_uint_ge(arena_largest(&arena), 4 * KiB);
  ck_assert_uint_le(arena.moved_bytes, 4 * KiB);
  check_books();
  take(4 * KiB);
  /* too few holes are left elsewhere, and sliding does it */
  ck_assert(arena_compact(&arena, arena_free_bytes(&arena), MiB, may_move_anywhere, NULL));
  check_books();
  take(arena_free_bytes(&arena));
}
END_TEST

static bool never_move(void *arg, arena_block block, uint64_t to) {
  ++*(int *)arg;
  (void)block;
  (void)to;
  return false;
}

START_TEST(a_gather_gives_up_where_nothing_can_be_moved) {
  arena_block filled[128];
  make_stripes(filled);
  int asked = 0;
  ck_assert(!arena_compact(&arena, 16 * KiB, MiB, never_move, &asked));
  ck_assert_int_gt(asked, 1);
  ck_assert_int_lt(asked, 20);
  ck_assert_uint_eq(arena.moves, 0);
  check_books();
}
END_TEST

START_TEST(pieces_are_gathered_and_not_moved_meanwhile) {
  arena_block filled[128], blocks[ARENA_PIECES_MAX];
  make_stripes(filled);
  uint64_t used = arena.used_bytes;
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 300 * KiB, SOMEONE, blocks), 0);
  ck_assert_uint_eq(
      arena_compact_pieces(&arena, 300 * KiB, SOMEONE, blocks, 64 * KiB, may_move, NULL), 0);
  ck_assert_uint_eq(arena.used_bytes, used);
  ck_assert_uint_eq(arena_compact_pieces(&arena, 300 * KiB, SOMEONE, blocks, MiB, may_move, NULL),
                    16);
  ck_assert_uint_eq(arena.used_bytes, used + 300 * KiB);
  for (int i = 0; i < 16; i++)
    ck_assert_uint_eq(arena_owner(&arena, blocks[i]), SOMEONE);
  check_books();
}
END_TEST

/* ---- without memory ---- */

START_TEST(without_a_record_nothing_is_taken_and_giving_still_works) {
  arena_block blocks[ARENA_PIECES_MAX];
  arena_block low = take(64 * KiB);
  take(16);
  arena_block high = take(32 * KiB);
  take(16);
  arena_free(&arena, low);
  uint32_t taken[1u << ARENA_RECORD_BITS], n = 0;
  while ((taken[n] = slots_alloc(&arena.records)) != 0)
    n++;
  ck_assert_uint_eq(arena_spare_records(&arena), 0);
  ck_assert_uint_eq(arena_alloc(&arena, 100, SOMEONE), 0);
  ck_assert_uint_eq(arena_alloc(&arena, 32 * KiB, SOMEONE), 0);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, MiB - 64 * KiB, SOMEONE, blocks), 0);
  check_books();
  low = take(64 * KiB); /* the whole of a hole needs none */
  arena_free(&arena, low);
  arena_free(&arena, high);
  check_books();
  while (n > 0)
    slots_free(&arena.records, taken[--n]);
  take(100);
  check_books();
}
END_TEST

/* ---- anything, in any order ---- */

#define MODEL_BLOCKS 2000u

struct model_block {
  arena_block block; /* 0: unused */
  uint64_t offset, size;
  uint8_t content; /* of all its bytes */
  bool pinned;
};

struct model {
  struct model_block blocks[MODEL_BLOCKS];
  uint8_t *bytes; /* of the arena */
  uint64_t used;
  uint64_t state; /* of the random numbers */
  bool is_chunk[CHUNKS];
  unsigned gathered, in_pieces, renumbered, chunks_removed, moved_up;
};

static uint32_t draw(struct model *model, uint32_t below) {
  model->state = model->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (uint32_t)((model->state >> 33) % below);
}

static bool model_move(void *arg, arena_block block, uint64_t to) {
  struct model *model = arg;
  struct model_block *m = &model->blocks[arena_owner(&arena, block) - 1];
  ck_assert(m->block == block && m->offset == arena_offset(&arena, block) &&
            (to < m->offset || to >= m->offset + m->size));
  if (m->pinned)
    return false;
  model->moved_up += to > m->offset;
  memmove(model->bytes + to, model->bytes + m->offset, m->size);
  m->offset = to;
  return true;
}

/* Any one that is in use, or that is not; NULL: none. */
static struct model_block *any(struct model *model, bool used) {
  for (uint32_t i = draw(model, MODEL_BLOCKS), n = 0; n < MODEL_BLOCKS; n++, i++)
    if ((model->blocks[i % MODEL_BLOCKS].block != 0) == used)
      return &model->blocks[i % MODEL_BLOCKS];
  return NULL;
}

static void model_add(struct model *model, arena_block block) {
  struct model_block *m = any(model, false);
  ck_assert_ptr_nonnull(m);
  *m = (struct model_block){
      .block = block,
      .offset = arena_offset(&arena, block),
      .size = arena_block_size(&arena, block),
      .content = (uint8_t)draw(model, 256),
      .pinned = draw(model, 50) == 0,
  };
  arena_set_owner(&arena, block, (uint64_t)(m - model->blocks) + 1);
  memset(model->bytes + m->offset, m->content, m->size);
  model->used += m->size;
}

static void model_add_pieces(struct model *model, uint64_t size, const arena_block *blocks,
                             size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    uint64_t piece = arena_block_size(&arena, blocks[i]);
    ck_assert(piece >= ARENA_PIECE_MIN || i == n - 1);
    sum += piece;
    model_add(model, blocks[i]);
  }
  ck_assert(n == 0 || (sum >= size && sum < size + ARENA_UNIT));
  model->in_pieces += n > 1;
}

/* Provides records, and takes those chunks back that are empty. */
static void model_tidy(struct model *model) {
  arena_block from, to;
  uint32_t unused = 1;
  while (arena_compact_records(&arena, &from, &to)) {
    if (to == 0)
      continue;
    struct model_block *m = &model->blocks[arena_owner(&arena, to) - 1];
    ck_assert_uint_eq(m->block, from);
    m->block = to;
    model->renumbered++;
  }
  const struct slots_chunk *empty;
  while ((empty = slots_remove_empty(&arena.records)) != NULL) {
    model->is_chunk[((const uint8_t *)empty - chunks[0]) / SLOTS_CHUNK_BYTES] = false;
    model->chunks_removed++;
  }
  ck_assert_uint_le(arena.records.n_slots,
                    arena.records.n_used + arena.records.n_used / 8 + (3u << ARENA_RECORD_BITS));
  if (arena_spare_records(&arena) >= 2 * ARENA_PIECES_MAX)
    return;
  while (model->is_chunk[unused])
    unused++;
  model->is_chunk[unused] = true;
  ck_assert_ptr_nonnull(slots_add(&arena.records, chunks[unused]));
}

static void model_take(struct model *model) {
  model_tidy(model);
  uint64_t size = 1 + draw(model, 1u << (4 + draw(model, 14)));
  arena_block blocks[ARENA_PIECES_MAX];
  arena_block block = arena_alloc(&arena, size, SOMEONE);
  if (block != 0) {
    ck_assert_uint_eq(arena_block_size(&arena, block), (size + 15) / 16 * 16);
    model_add(model, block);
    return;
  }
  uint32_t way = draw(model, 3);
  if (way == 0) {
    size_t n = arena_alloc_pieces(&arena, size, SOMEONE, blocks);
    model_add_pieces(model, size, blocks, n);
  } else if (way == 1) {
    size_t n = arena_compact_pieces(&arena, size, SOMEONE, blocks, MiB / 4, model_move, model);
    model_add_pieces(model, size, blocks, n);
  } else if (arena_compact(&arena, size, MiB / 4, model_move, model)) {
    block = arena_alloc(&arena, size, SOMEONE);
    ck_assert_uint_ne(block, 0);
    model_add(model, block);
    model->gathered++;
  }
}

static void model_give(struct model *model, struct model_block *m) {
  arena_free(&arena, m->block);
  model->used -= m->size;
  m->block = 0;
}

static void model_check_block(const struct model *model, const struct model_block *m) {
  const uint8_t *bytes = model->bytes + m->offset;
  ck_assert(arena_offset(&arena, m->block) == m->offset &&
            arena_block_size(&arena, m->block) == m->size &&
            arena_owner(&arena, m->block) == (uint64_t)(m - model->blocks) + 1 &&
            !arena_is_hole(&arena, m->block));
  ck_assert(bytes[0] == m->content && memcmp(bytes, bytes + 1, m->size - 1) == 0);
}

static void model_check(const struct model *model) {
  check_books();
  ck_assert_uint_eq(arena.used_bytes, model->used);
  for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
    if (model->blocks[i].block != 0)
      model_check_block(model, &model->blocks[i]);
}

START_TEST(random_operations_keep_every_byte_and_the_books_right) {
  struct model *model = calloc(1, sizeof *model);
  ck_assert_ptr_nonnull(model);
  model->bytes = malloc(MiB);
  ck_assert_ptr_nonnull(model->bytes);
  model->state = (uint64_t)_i;
  for (int i = 0; i < 30000; i++) {
    /* full most of the time, and almost empty now and then */
    uint32_t takes = i % 10000 < 8000 ? 3 : 1;
    struct model_block *m = any(model, true);
    if (m == NULL || (arena_free_bytes(&arena) > MiB / 64 && draw(model, 4) < takes)) {
      model_take(model);
    } else {
      model_check_block(model, m);
      model_give(model, m);
    }
    if (i % 500 == 0)
      model_check(model);
  }
  ck_assert_uint_gt(model->gathered, 20);
  ck_assert_uint_gt(model->in_pieces, 20);
  ck_assert_uint_gt(model->renumbered, 100);
  ck_assert_uint_gt(model->chunks_removed, 2);
  ck_assert_uint_gt(model->moved_up, 20);
  for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
    if (model->blocks[i].block != 0)
      model_give(model, &model->blocks[i]);
  check_books();
  ck_assert_uint_eq(arena_largest(&arena), MiB);
  free(model->bytes);
  free(model);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("arena");
  TCase *c = tcase_create("arena");
  tcase_add_checked_fixture(c, set_up, tear_down);
  tcase_set_timeout(c, 60);
  tcase_add_test(c, a_new_arena_is_one_hole);
  tcase_add_test(c, an_arena_may_be_as_large_as_can_be);
  tcase_add_test(c, no_size_is_too_small_or_too_large_to_be_refused);
  tcase_add_test(c, free_neighbours_become_one);
  tcase_add_test(c, the_end_of_the_arena_is_left_alone_while_a_hole_will_do);
  tcase_add_test(c, of_two_that_fit_the_closer_one_is_taken);
  tcase_add_test(c, blocks_from_above_lie_together_below_an_end);
  tcase_add_test(c, a_block_has_the_owner_that_was_set_last);
  tcase_add_test(c, pieces_are_the_largest_holes_used_whole);
  tcase_add_test(c, one_hole_that_is_large_enough_is_one_piece);
  tcase_add_test(c, pieces_are_refused_where_they_would_be_too_small_or_too_many);
  tcase_add_test(c, a_gather_makes_the_hole_and_moves_no_more_than_it_must);
  tcase_add_test(c, a_gather_keeps_its_bound);
  tcase_add_test(c, a_gather_goes_around_what_cannot_be_moved);
  tcase_add_test(c, small_blocks_are_moved_out_of_the_way);
  tcase_add_test(c, a_gather_gives_up_where_nothing_can_be_moved);
  tcase_add_test(c, pieces_are_gathered_and_not_moved_meanwhile);
  tcase_add_test(c, without_a_record_nothing_is_taken_and_giving_still_works);
  tcase_add_loop_test(c, random_operations_keep_every_byte_and_the_books_right, 0, 4);
  suite_add_tcase(suite, c);
  return runner_run(suite);
}
