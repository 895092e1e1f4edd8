/* The arena: allocation, freeing, pieces and its records. */
#include <check.h>

#include "tests/support/arena_fixture.h"
#include "tests/support/runner.h"

static bool no_move(void *arg, arena_block block, uint64_t to) {
  (void)arg;
  (void)block;
  (void)to;
  return false;
}

START_TEST(new_arena_is_one_hole) {
  arena_check(&arena);
  ck_assert_uint_eq(arena_largest(&arena), MiB);
  ck_assert_uint_eq(arena_free_bytes(&arena), MiB);
  ck_assert_uint_eq(arena_offset(&arena, alloc_block(MiB)), 0);
  ck_assert_uint_eq(arena_largest(&arena), 0);
  ck_assert_uint_eq(arena_free_bytes(&arena), 0);
  ck_assert_uint_eq(arena_alloc(&arena, 1, SOME_OWNER), 0);
  arena_check(&arena);
}
END_TEST

START_TEST(arena_of_largest_size_allocates_to_its_end) {
  arena_deinit(&arena);
  uint64_t size = UINT64_C(1) << 50;
  arena_fixture_open_with(size);
  arena_block low = alloc_block(size - 16), high = alloc_block(16);
  ck_assert_uint_eq(arena_offset(&arena, high), size - 16);
  arena_free(&arena, low);
  arena_free(&arena, high);
  arena_check(&arena);
}
END_TEST

START_TEST(alloc_impossible_size_refused) {
  ck_assert_uint_eq(arena_alloc(&arena, 0, SOME_OWNER), 0);
  ck_assert_uint_eq(arena_alloc(&arena, MiB + 1, SOME_OWNER), 0);
  ck_assert_uint_eq(arena_alloc(&arena, UINT64_MAX, SOME_OWNER), 0);
  arena_block blocks[ARENA_PIECES_MAX];
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 0, SOME_OWNER, blocks), 0);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, UINT64_MAX, SOME_OWNER, blocks), 0);
  ck_assert(!arena_compact(&arena, UINT64_MAX, UINT64_MAX, no_move, NULL));
  ck_assert_uint_eq(
      arena_compact_pieces(&arena, UINT64_MAX, SOME_OWNER, blocks, UINT64_MAX, no_move, NULL), 0);
  ck_assert_uint_eq(arena.used_bytes, 0);
  arena_check(&arena);
}
END_TEST

START_TEST(free_neighbours_are_merged) {
  for (int order = 0; order < 6; order++) {
    arena_block blocks[3] = {alloc_block(100), alloc_block(200), alloc_block(300)};
    int first = order / 2, second = (first + 1 + order % 2) % 3;
    arena_free(&arena, blocks[first]);
    arena_check(&arena);
    arena_free(&arena, blocks[second]);
    arena_check(&arena);
    arena_free(&arena, blocks[3 - first - second]);
    arena_check(&arena);
    ck_assert_uint_eq(arena_largest(&arena), MiB);
  }
}
END_TEST

START_TEST(alloc_fitting_hole_leaves_end_unused) {
  arena_block hole = alloc_block(10000);
  alloc_block(16);
  arena_free(&arena, hole);
  ck_assert_uint_eq(arena_offset(&arena, alloc_block(9000)), 0);
  ck_assert_uint_eq(arena_offset(&arena, alloc_block(992)), 9008); /* the rest of the hole */
  ck_assert_uint_eq(arena_offset(&arena, alloc_block(992)), 10016);
}
END_TEST

START_TEST(alloc_two_holes_uses_closer_fit) {
  arena_block large = alloc_block(4096);
  alloc_block(16);
  arena_block small = alloc_block(2048);
  uint64_t offset = arena_offset(&arena, small);
  alloc_block(16);
  arena_free(&arena, large);
  arena_free(&arena, small);
  ck_assert_uint_eq(arena_offset(&arena, alloc_block(2048)), offset);
  ck_assert_uint_eq(arena_offset(&arena, alloc_block(2000)), 0);
}
END_TEST

START_TEST(alloc_high_places_blocks_together) {
  arena_block high = arena_alloc_high(&arena, 1000, MiB / 2);
  ck_assert_uint_eq(arena_offset(&arena, high), MiB / 2 - 1008);
  ck_assert_uint_eq(arena_offset(&arena, alloc_block(16)), 0); /* the closer hole, from below */
  arena_block next = arena_alloc_high(&arena, 1000, MiB / 2);
  ck_assert_uint_eq(arena_offset(&arena, next), MiB / 2 - 2016);
  ck_assert_uint_eq(arena_owner(&arena, next), 0);
  alloc_block(MiB / 2 - 2016 - 16);
  arena_check(&arena);
  arena_block beyond =
      arena_alloc_high(&arena, 1000, MiB / 2); /* no hole below the end, so from below */
  ck_assert_uint_eq(arena_offset(&arena, beyond), MiB / 2);
  ck_assert_uint_eq(arena_alloc_high(&arena, MiB, MiB), 0);
  arena_check(&arena);
}
END_TEST

START_TEST(owner_set_again_is_returned) {
  arena_block block = alloc_block(100);
  arena_set_owner(&arena, block, UINT64_MAX);
  ck_assert_uint_eq(arena_owner(&arena, block), UINT64_MAX);
}
END_TEST

START_TEST(pieces_use_largest_holes_whole) {
  arena_block filled[64], blocks[ARENA_PIECES_MAX];
  size_t n = alloc_all(filled, 16 * KiB);
  ck_assert_uint_eq(n, 64);
  for (size_t i = 0; i < 5; i++) /* five holes: 16, 32, 48, 64 and 80 KiB */
    for (size_t j = 0; j <= i; j++)
      arena_free(&arena, filled[i * (i + 1) / 2 + i + j]);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 150 * KiB + 1, SOME_OWNER, blocks), 3);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[0]), 80 * KiB);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[1]), 64 * KiB);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[2]), 6 * KiB + 16);
  ck_assert_uint_eq(arena_offset(&arena, blocks[2]), 0); /* in the hole that fits best */
  for (int i = 0; i < 3; i++)
    ck_assert_uint_eq(arena_owner(&arena, blocks[i]), SOME_OWNER);
  arena_check(&arena);
}
END_TEST

START_TEST(pieces_in_sufficient_hole_is_one) {
  arena_block blocks[ARENA_PIECES_MAX];
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 100 * KiB, SOME_OWNER, blocks), 1);
  ck_assert_uint_eq(arena_block_size(&arena, blocks[0]), 100 * KiB);
}
END_TEST

START_TEST(pieces_too_small_or_too_many_refused) {
  arena_block filled[128], blocks[ARENA_PIECES_MAX];
  size_t n = alloc_all(filled, 8 * KiB);
  for (size_t i = 0; i < n; i += 2)
    arena_free(&arena, filled[i]);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 9 * KiB, SOME_OWNER, blocks), 0);
  arena_deinit(&arena);
  arena_fixture_open();
  n = alloc_all(filled, 16 * KiB);
  for (size_t i = 0; i < n; i += 2)
    arena_free(&arena, filled[i]);
  uint64_t used = arena.used_bytes;
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 256 * KiB + 1, SOME_OWNER, blocks), 0);
  ck_assert_uint_eq(arena.used_bytes, used);
  arena_check(&arena);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, 256 * KiB, SOME_OWNER, blocks), 16);
}
END_TEST

START_TEST(alloc_without_records_refused_and_free_works) {
  arena_block blocks[ARENA_PIECES_MAX];
  arena_block low = alloc_block(64 * KiB);
  alloc_block(16);
  arena_block high = alloc_block(32 * KiB);
  alloc_block(16);
  arena_free(&arena, low);
  uint32_t taken[1u << ARENA_RECORD_BITS], n = 0;
  while ((taken[n] = slots_alloc(&arena.records)) != 0)
    n++;
  ck_assert_uint_eq(arena_spare_records(&arena), 0);
  ck_assert_uint_eq(arena_alloc(&arena, 100, SOME_OWNER), 0);
  ck_assert_uint_eq(arena_alloc(&arena, 32 * KiB, SOME_OWNER), 0);
  ck_assert_uint_eq(arena_alloc_pieces(&arena, MiB - 64 * KiB, SOME_OWNER, blocks), 0);
  arena_check(&arena);
  low = alloc_block(64 * KiB); /* the whole of a hole needs no record */
  arena_free(&arena, low);
  arena_free(&arena, high);
  arena_check(&arena);
  while (n > 0)
    slots_free(&arena.records, taken[--n]);
  alloc_block(100);
  arena_check(&arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("arena");
  TCase *tcase = tcase_create("arena");
  tcase_add_checked_fixture(tcase, arena_fixture_open, arena_fixture_close);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, new_arena_is_one_hole);
  tcase_add_test(tcase, arena_of_largest_size_allocates_to_its_end);
  tcase_add_test(tcase, alloc_impossible_size_refused);
  tcase_add_test(tcase, free_neighbours_are_merged);
  tcase_add_test(tcase, alloc_fitting_hole_leaves_end_unused);
  tcase_add_test(tcase, alloc_two_holes_uses_closer_fit);
  tcase_add_test(tcase, alloc_high_places_blocks_together);
  tcase_add_test(tcase, owner_set_again_is_returned);
  tcase_add_test(tcase, pieces_use_largest_holes_whole);
  tcase_add_test(tcase, pieces_in_sufficient_hole_is_one);
  tcase_add_test(tcase, pieces_too_small_or_too_many_refused);
  tcase_add_test(tcase, alloc_without_records_refused_and_free_works);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
