/* Entries that are cleared, dropped or moved leave no bytes in the region. */
#include <check.h>

#include "daemon/region/arena_internal.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

#define KEYS 2048u
#define WALLS 7u /* held entries, which do not move */

static bool is_zero(const uint8_t *bytes, uint64_t size) {
  while (size > 0 && bytes[size - 1] == 0)
    size--;
  return size == 0;
}

/* Blocks that are in use are metadata or held entries. */
static bool holes_are_zero(void) {
  const struct arena *arena = &world.store.heap.arena;
  const uint8_t *base = world.region.base + world.region.arena_offset;
  for (uint32_t hole = arena_first_hole(arena); hole != 0; hole = arena_next_hole(arena, hole))
    if (!is_zero(base + arena_offset(arena, hole), arena_block_size(arena, hole)))
      return false;
  return true;
}

/* Entries are removed by clears only, and are moved. No bytes remain, neither at their last place
 * nor where they were moved from, except those of a held entry. */
START_TEST(cleared_entries_leave_no_bytes) {
  bool scatters = _i % 2 == 1;
  uint64_t most = scatters ? SEEDED_MAX_BYTES / 4 * 3 : SEEDED_MAX_BYTES / 64 * 63, pieces = 0;
  struct entry *held = NULL;
  struct store_clear clear;
  random_seed((uint64_t)_i + 1);
  for (uint64_t i = 1; i <= 20000; i++) {
    uint32_t n = random_below(KEYS), size = random_log_uniform(scatters ? 20 : 15);
    struct fc_key key = key_number(n);
    while (world_peek(world.ns, n) != NULL || world.store.bytes + heap_charge(&key, size) > most)
      store_erase(&world.store, world_peek(world.ns, n) != NULL ? world_peek(world.ns, n)
                                                                : store_oldest(&world.store, NULL));
    ck_assert_int_eq(seeded_put(n, i, size), FC_STORED);
    pieces += seeded_pieces(world_peek(world.ns, n)) - 1;
    if (held == NULL && i > 10000) {
      held = world_peek(world.ns, n);
      entry_hold(held);
    }
  }
  ck_assert_uint_gt(scatters ? pieces : world.store.heap.arena.moves, 10);
  (void)store_clear_start(&world.store, &clear, &(struct store_select){.ns = world.ns});
  for (uint32_t n = 0; n < KEYS; n += 3) /* a put may find an entry before the clear does */
    ck_assert_int_eq(seeded_put(n, n, 8), FC_STORED);
  while (!store_clear_step(&world.store, &clear, 10))
    ;
  ck_assert_uint_eq(
      world.store.saved->evictions[EVICT_FORCED] + world.store.saved->evictions[EVICT_BYTES], 0);
  (void)store_clear_all(&world.store, &(struct store_select){.ns = world.ns});
  uint64_t used = world.store.heap.arena.used_bytes;
  ck_assert(holes_are_zero());
  entry_release(held);
  ck_assert_uint_lt(world.store.heap.arena.used_bytes, used);
  ck_assert(holes_are_zero());
}
END_TEST

/* A compaction that finds a held entry continues elsewhere. The places that it moved entries from
 * are not reused. */
START_TEST(moved_entries_leave_no_bytes) {
  struct entry *held[WALLS];
  uint32_t n = 0;
  for (; world.store.heap.arena.used_bytes + 5000 < world.store.heap.arena.size; n++) {
    world.store.max_bytes = 2 * SEEDED_MAX_BYTES; /* so that the arena itself gets full */
    ck_assert_int_eq(seeded_put(n, n, 3000), FC_STORED);
  }
  for (uint32_t i = 0; i < n; i += 8)
    store_erase(&world.store, world_peek(world.ns, i));
  for (uint32_t i = 0; i < WALLS; i++) {
    held[i] = world_peek(world.ns, (n - 20 - 40 * i) / 8 * 8 + 4);
    entry_hold(held[i]);
  }
  ck_assert_int_eq(seeded_put(n, 77, 20000), FC_STORED);
  ck_assert_uint_gt(world.store.heap.arena.moves, 7 * 7); /* more moves than one hole needs */
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_FORCED], 0);
  (void)store_clear_all(&world.store, &(struct store_select){.ns = world.ns});
  for (uint32_t i = 0; i < WALLS; i++)
    entry_release(held[i]);
  ck_assert(holes_are_zero());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("heap_wipe");
  TCase *tcase = tcase_create("heap_wipe");
  tcase_add_checked_fixture(tcase, seeded_open, seeded_close);
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, cleared_entries_leave_no_bytes, 0, 4);
  tcase_add_test(tcase, moved_entries_leave_no_bytes);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
