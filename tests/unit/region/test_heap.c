/* Values in one piece, in several, moved and held. */
#include <check.h>

#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

/* Makes holes of 40 KiB between entries. */
static void make_holes(void) {
  uint32_t n = 0;
  for (; world.store.bytes + 2 * 50000 < world.store.max_bytes; n++)
    ck_assert_int_eq(seeded_put(n, n, 40000), FC_STORED);
  for (uint32_t i = 0; i < n; i += 2)
    store_remove(&world.store, world_peek(world.ns, i));
}

START_TEST(put_large_value_uses_existing_holes) {
  make_holes();
  uint64_t entries = world.store.entries;
  ck_assert_int_eq(seeded_put(1000, 99, 500000), FC_STORED);
  ck_assert_uint_gt(seeded_pieces(world_peek(world.ns, 1000)), 1);
  seeded_check(world_peek(world.ns, 1000), 1000, 99, 500000);
  ck_assert_uint_eq(world.store.entries, entries + 1);
  ck_assert_uint_eq(
      world.store.saved->evictions[EVICT_BYTES] + world.store.saved->evictions[EVICT_FORCED], 0);
  ck_assert_uint_ge(heap_charge_of(world_peek(world.ns, 1000)),
                    500000 + 64 + 16 * seeded_pieces(world_peek(world.ns, 1000)));
  for (uint32_t i = 1; world_peek(world.ns, i) != NULL; i += 2)
    seeded_check(world_peek(world.ns, i), i, i, 40000);
}
END_TEST

static void use_the_oldest(void *arg) {
  unsigned *calls = arg;
  if ((*calls)++ == 0)
    store_use(&world.store, world_peek(world.ns, 1), 0);
}

/* The charge of the pieces exceeds the limit, which shows only after the value was written. */
START_TEST(put_in_pieces_drains_rings_before_eviction) {
  unsigned calls = 0;
  struct fc_key key = key_number(1000);
  make_holes();
  world.store.max_bytes = world.store.bytes + heap_charge(&key, 500000);
  world.store.before_evict = use_the_oldest;
  world.store.before_evict_arg = &calls;
  ck_assert_int_eq(seeded_put(1000, 99, 500000), FC_STORED);
  ck_assert_uint_gt(seeded_pieces(world_peek(world.ns, 1000)), 1);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_BYTES], 1);
  ck_assert_uint_gt(calls, 0);
  ck_assert(world_peek(world.ns, 1) != NULL && world_peek(world.ns, 3) == NULL &&
            world_peek(world.ns, 5) != NULL);
  ck_assert_ptr_eq(store_newest(&world.store, NULL),
                   world_peek(world.ns, 1000)); /* promoted after the hits */
}
END_TEST

START_TEST(put_without_hole_moves_entries) {
  uint32_t n = 0;
  for (; world.store.heap.arena.used_bytes + 5000 < world.store.heap.arena.size; n++) {
    world.store.max_bytes = 2 * SEEDED_MAX_BYTES; /* so that the arena itself gets full */
    ck_assert_int_eq(seeded_put(n, n, 3000), FC_STORED);
  }
  for (uint32_t i = 0; i < n; i += 8)
    store_remove(&world.store, world_peek(world.ns, i));
  ck_assert_uint_lt(arena_largest(&world.store.heap.arena), 20000);
  ck_assert_int_eq(seeded_put(1, 77, 20000), FC_STORED); /* also replaces one */
  ck_assert_uint_gt(world.store.heap.arena.moved_bytes, 0);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_FORCED], 0);
  seeded_check(world_peek(world.ns, 1), 1, 77, 20000);
  for (uint32_t i = 2; i < n; i++)
    if (i % 8 != 0)
      seeded_check(world_peek(world.ns, i), i, i, 3000);
}
END_TEST

START_TEST(held_entry_stays_in_place) {
  ck_assert_int_eq(seeded_put(0, 5, 3000), FC_STORED);
  ck_assert_int_eq(seeded_put(1, 6, 300000), FC_STORED);
  struct entry *one = world_peek(world.ns, 0), *other = world_peek(world.ns, 1);
  entry_hold(one);
  entry_hold(other);
  const void *where = entry_placed(one);
  ck_assert_int_eq(seeded_put(1, 7, 2000), FC_STORED); /* the old entry remains for its holder */
  for (uint32_t i = 2; i < 2000; i++)
    ck_assert_int_eq(seeded_put(i, i, 1 + random_below(30000)), FC_STORED);
  ck_assert_ptr_null(world_peek(world.ns, 0));
  ck_assert_ptr_eq(entry_placed(one), where);
  private_store_check_value(one, seeded_bytes(5, 3000), 3000);
  private_store_check_value(other, seeded_bytes(6, 300000), 300000);
  entry_release(one);
  entry_release(other);
}
END_TEST

START_TEST(put_value_as_large_as_cache_stored) {
  struct fc_key key = key_number(0);
  uint32_t most = SEEDED_VALUE_MAX;
  world.store.max_bytes = heap_charge(&key, most);
  for (uint32_t i = 1; i < 300; i++)
    ck_assert_int_eq(seeded_put(i, i, 1 + random_below(5000)), FC_STORED);
  ck_assert_int_eq(seeded_put(0, 1, most), FC_STORED);
  seeded_check(world_peek(world.ns, 0), 0, 1, most);
  ck_assert_uint_eq(world.store.entries, 1);
  ck_assert_int_eq(seeded_put(0, 2, most - 100),
                   FC_STORED); /* and so is the next value of its key */
  seeded_check(world_peek(world.ns, 0), 0, 2, most - 100);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_FORCED], 0);
}
END_TEST

START_TEST(entry_numbers_exhausted_are_unique) {
  struct slots *entries = &world.store.heap.entries;
  struct entry *held[1u << ENTRY_BITS];
  uint32_t n = 0;
  entries->max_chunks = entries->n_chunks;    /* as if all numbers of 32 bits were used */
  bool seen[1u << ENTRY_BITS] = {[0] = true}; /* number 0 is none */
  while ((held[n] = heap_entry_new(&world.store.heap)) != NULL) {
    uint32_t number = held[n++]->number;
    ck_assert(number < 1u << ENTRY_BITS && !seen[number]);
    seen[number] = true;
  }
  ck_assert_uint_eq(n, ENTRIES_PER_CHUNK - 1);
  while (n > 0) {
    heap_entry_release(&world.store.heap, held[--n]);
    entry_release(held[n]);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("heap");
  TCase *tcase = tcase_create("heap");
  tcase_add_checked_fixture(tcase, seeded_open, seeded_close);
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, put_large_value_uses_existing_holes);
  tcase_add_test(tcase, put_in_pieces_drains_rings_before_eviction);
  tcase_add_test(tcase, put_without_hole_moves_entries);
  tcase_add_test(tcase, held_entry_stays_in_place);
  tcase_add_test(tcase, put_value_as_large_as_cache_stored);
  tcase_add_test(tcase, entry_numbers_exhausted_are_unique);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
