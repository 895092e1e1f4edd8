/* Compaction of the arena: what is moved, at what cost, and what stays. */
#include <check.h>

#include "tests/support/arena_fixture.h"
#include "tests/support/runner.h"

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

/* Fills the arena with 128 blocks of a size, and frees every second. */
static void make_stripes_of(arena_block filled[128], uint64_t size) {
  arena_fixture_close();
  arena_fixture_open_with(128 * size);
  ck_assert_uint_eq(alloc_all(filled, size), 128);
  for (size_t i = 0; i < 128; i += 2)
    arena_free(&arena, filled[i]);
}

/* Blocks that are too large to be evacuated: they slide. */
#define WIDE (16 * KiB)
static void make_wide_stripes(arena_block filled[128]) {
  make_stripes_of(filled, WIDE);
}
static void make_stripes(arena_block filled[128]) {
  make_stripes_of(filled, 8 * KiB);
}

START_TEST(compact_makes_hole_with_fewest_moves) {
  arena_block filled[128];
  make_wide_stripes(filled);
  ck_assert(arena_compact(&arena, 4 * WIDE, 2 * MiB, may_move, NULL));
  ck_assert_uint_eq(arena.moves, 3); /* the blocks between four holes */
  ck_assert_uint_eq(arena.moved_bytes, 3 * WIDE);
  arena_check(&arena);
  ck_assert(arena_compact(&arena, 4 * WIDE, 0, may_move, NULL)); /* it exists already */
  ck_assert_uint_eq(arena.moves, 3);
  alloc_block(4 * WIDE);
  ck_assert(arena_compact(&arena, arena_free_bytes(&arena), 4 * MiB, may_move, NULL));
  arena_check(&arena);
  alloc_block(arena_free_bytes(&arena));
}
END_TEST

START_TEST(compact_over_cost_limit_moves_nothing) {
  arena_block filled[128];
  make_wide_stripes(filled);
  uint64_t cost = 3 * (WIDE + ARENA_MOVE_COST);
  ck_assert(!arena_compact(&arena, 4 * WIDE, cost - 1, may_move, NULL));
  ck_assert_uint_eq(arena.moves, 0);
  ck_assert(arena_compact(&arena, 4 * WIDE, cost, may_move, NULL));
}
END_TEST

START_TEST(compact_skips_immovable_blocks) {
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
    arena_set_owner(&arena, filled[i], SOME_OWNER);
  arena_block stuck = filled[1]; /* and the move of this one fails */
  ck_assert(arena_compact(&arena, arena_free_bytes(&arena) - WIDE, 2 * MiB, may_move, &stuck));
  ck_assert_uint_eq(arena_offset(&arena, stuck), WIDE);
  ck_assert(!arena_compact(&arena, arena_free_bytes(&arena), 2 * MiB, may_move, &stuck));
  arena_check(&arena);
}
END_TEST

/* The arena is full of blocks of 16 bytes, and every fourth is freed. A hole of 4 KiB costs at most
 * as many bytes; to slide the blocks between so many holes would cost three times as much. */
START_TEST(compact_small_blocks_evacuates_them) {
  enum { SIZE = 16, N = 1536 };
  static arena_block filled[N];
  arena_fixture_close();
  arena_fixture_open_with((uint64_t)N * SIZE);
  for (uint32_t i = 1; i < 12; i++)
    ck_assert_ptr_nonnull(slots_add(&arena.records, arena_chunks[i]));
  ck_assert_uint_eq(alloc_all(filled, SIZE), N);
  for (size_t i = N; i-- > 0;) /* the lowest last, because the search begins with those */
    if (i % 4 == 3)
      arena_free(&arena, filled[i]);
  ck_assert(arena_compact(&arena, 4 * KiB, MiB, may_move_anywhere, NULL));
  ck_assert_uint_ge(arena_largest(&arena), 4 * KiB);
  ck_assert_uint_le(arena.moved_bytes, 4 * KiB);
  arena_check(&arena);
  alloc_block(4 * KiB);
  /* too few holes remain elsewhere, so blocks slide */
  ck_assert(arena_compact(&arena, arena_free_bytes(&arena), MiB, may_move_anywhere, NULL));
  arena_check(&arena);
  alloc_block(arena_free_bytes(&arena));
}
END_TEST

static bool never_move(void *arg, arena_block block, uint64_t to) {
  ++*(int *)arg;
  (void)block;
  (void)to;
  return false;
}

START_TEST(compact_without_movable_blocks_gives_up) {
  arena_block filled[128];
  make_stripes(filled);
  int asked = 0;
  ck_assert(!arena_compact(&arena, 16 * KiB, MiB, never_move, &asked));
  ck_assert_int_gt(asked, 1);
  ck_assert_int_lt(asked, 20);
  ck_assert_uint_eq(arena.moves, 0);
  arena_check(&arena);
}
END_TEST

START_TEST(compact_pieces_does_not_move_own_pieces) {
  arena_block filled[128], blocks[ARENA_PIECES_MAX];
  make_stripes(filled);
  uint64_t used = arena.used_bytes;
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 300 * KiB, SOME_OWNER, blocks), 0);
  ck_assert_uint_eq(
      arena_compact_pieces(&arena, 300 * KiB, SOME_OWNER, blocks, 64 * KiB, may_move, NULL), 0);
  ck_assert_uint_eq(arena.used_bytes, used);
  ck_assert_uint_eq(
      arena_compact_pieces(&arena, 300 * KiB, SOME_OWNER, blocks, MiB, may_move, NULL), 16);
  ck_assert_uint_eq(arena.used_bytes, used + 300 * KiB);
  for (int i = 0; i < 16; i++)
    ck_assert_uint_eq(arena_owner(&arena, blocks[i]), SOME_OWNER);
  arena_check(&arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("arena_compact");
  TCase *tcase = tcase_create("arena_compact");
  tcase_add_checked_fixture(tcase, arena_fixture_open, arena_fixture_close);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, compact_makes_hole_with_fewest_moves);
  tcase_add_test(tcase, compact_over_cost_limit_moves_nothing);
  tcase_add_test(tcase, compact_skips_immovable_blocks);
  tcase_add_test(tcase, compact_small_blocks_evacuates_them);
  tcase_add_test(tcase, compact_without_movable_blocks_gives_up);
  tcase_add_test(tcase, compact_pieces_does_not_move_own_pieces);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
