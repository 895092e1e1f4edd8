/* Entries that are held while they leave the store. */
#include <check.h>
#include <string.h>

#include "tests/support/runner.h"
#include "tests/support/store_world.h"

static void set_up(void) {
  world_open_two(1 << 20, 4096);
}

static unsigned reclaims[3];
static struct entry *to_release;

static void release_held(void *arg, enum store_reclaim what) {
  (void)arg;
  reclaims[what]++;
  if (to_release != NULL)
    entry_release(to_release);
  to_release = NULL;
}

static struct entry *hold(uint32_t n) {
  struct entry *entry = world_get(world.ns, n);
  ck_assert_ptr_nonnull(entry);
  entry_hold(entry);
  return entry;
}

static void set_reclaim(uint64_t most) {
  memset(reclaims, 0, sizeof reclaims);
  to_release = NULL;
  world.store.reclaim = release_held;
  world.store.unlisted_max = most;
}

/* An entry leaves the store by an eviction, a replacement, or a clear. */
START_TEST(held_entry_removed_keeps_value) {
  struct store_select all = {0};
  world_put(world.ns, 1, "value");
  struct entry *entry = hold(1);
  uint64_t charge = heap_charge_of(entry);
  set_reclaim(charge);
  ck_assert_uint_eq(store_unlisted_bytes(&world.store), 0);
  if (_i == 0)
    ck_assert_int_eq(namespace_table_set_max_entries(&world.table, world.ns, 1), NAMESPACE_LIMITED);
  if (_i == 0)
    world_put(world.ns, 2, "another");
  if (_i == 1)
    world_put(world.ns, 1, "other");
  if (_i == 2)
    ck_assert_uint_eq(store_clear_all(&world.store, &all), 1);
  ck_assert_uint_eq(store_unlisted_bytes(&world.store), charge);
  private_store_check_value(entry, "value", 5);
  ck_assert_uint_eq(reclaims[STORE_RECLAIM_UNLISTED], 0);
  entry_release(entry);
  ck_assert_uint_eq(store_unlisted_bytes(&world.store), 0);
}
END_TEST

START_TEST(unlisted_bytes_over_limit_reclaimed) {
  world_put(world.ns, 1, "value");
  struct entry *entry = hold(1);
  set_reclaim(heap_charge_of(entry) - 1);
  to_release = entry;
  world_put(world.ns, 1, "other");
  ck_assert_uint_eq(reclaims[STORE_RECLAIM_UNLISTED], 1);
  ck_assert_uint_eq(store_unlisted_bytes(&world.store), 0);
  world_check_value(world_get(world.ns, 1), "other");
}
END_TEST

/* Otherwise other entries would be moved and evicted for room that does not exist. */
START_TEST(unlisted_bytes_count_in_max_bytes) {
  static char large[4096];
  memset(large, 'x', sizeof large - 1);
  world_put(world.ns, 0, large);
  struct entry *entry = hold(0);
  set_reclaim(UINT64_MAX);
  for (uint32_t i = 1; i < 1000; i++) {
    world_put(world.ns, i, large);
    ck_assert_uint_le(world.store.bytes + store_unlisted_bytes(&world.store),
                      world.store.max_bytes);
  }
  ck_assert_uint_gt(store_unlisted_bytes(&world.store), 0);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_FORCED], 0);
  ck_assert_uint_eq(reclaims[0] + reclaims[1] + reclaims[2], 0);
  entry_release(entry);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_held");
  TCase *tcase = tcase_create("store_held");
  tcase_add_checked_fixture(tcase, set_up, world_close);
  tcase_add_loop_test(tcase, held_entry_removed_keeps_value, 0, 3);
  tcase_add_test(tcase, unlisted_bytes_over_limit_reclaimed);
  tcase_add_test(tcase, unlisted_bytes_count_in_max_bytes);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
