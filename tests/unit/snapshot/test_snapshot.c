/* Snapshots of a store: what is written comes back, and a failure keeps the last one. */
#include <check.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"
#include "tests/support/state_world.h"

/* ---- round trips ---- */

static void use_some(uint32_t n) {
  random_seed(5);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t at = random_below(n);
    (void)world_get(at % 3 == 0 ? world.other : world.ns, at);
  }
}

/* Returns a hash of the LRU order. */
static uint64_t order(void) {
  uint64_t hash = 1;
  for (const struct entry *entry = store_oldest(&world.store, NULL); entry != NULL;
       entry = store_newer(&world.store, NULL, entry))
    hash = hash * 31 + entry->digest + entry->use_stamp + entry->hits;
  return hash;
}

START_TEST(snapshot_restores_all) {
  bool clean = _i == 0;
  state_put_many(1000);
  use_some(1000);
  world.ns->counters.hits = 5;
  world.store.saved->evictions[EVICT_BYTES] = 9;
  state.totals[4] = 44;
  ck_assert(store_limit_entries(&world.store, world.other, 5000));
  ck_assert_int_eq(namespace_set_manifest(world.ns, world.store.catalog, NULL, fc_str_of("{}")), 0);
  if (!clean)
    state_take_snapshot();
  uint64_t before = order(), stamp = world.store.saved->last_stamp,
           generation = world.store.saved->generation;
  uint64_t seed = world.ns->seed;
  state_restart(clean);
  ck_assert_uint_eq(state.snapshot.restored.entries, 1000);
  ck_assert_uint_eq(state.snapshot.restored.damaged + state.snapshot.restored.no_room, 0);
  state_check_many(1000);
  ck_assert_uint_eq(order(), before);
  ck_assert_uint_eq(world.store.saved->last_stamp, stamp);
  ck_assert_uint_gt(world.store.saved->generation, generation);
  ck_assert_uint_eq(world.ns->seed, seed);
  ck_assert_uint_eq(world.ns->counters.hits, 5);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_BYTES], 9);
  ck_assert_uint_eq(world.other->max_entries, 5000);
  ck_assert(fc_str_equal(world.ns->manifest, fc_str_of("{}")));
  ck_assert_uint_eq(state.totals[4], 44);
  ck_assert_uint_eq(state.cache_id, 1);
  ck_assert(state.n_boots == 1 && state.boots[0] == 1001);
}
END_TEST

/* Slices of few entries: none is written twice. */
START_TEST(snapshot_in_slices_has_each_entry_once) {
  const uint32_t n = 20000;
  for (uint32_t i = 0; i < n; i++)
    world_put(world.ns, i, "v");
  state_take_snapshot();
  ck_assert_uint_eq(state.snapshot.entries, n);
}
END_TEST

START_TEST(snapshot_during_changes_is_whole) {
  state_put_many(1000);
  state_begin_snapshot();
  for (uint32_t n = 0; state.snapshot.running != 0; n++) {
    world_put(world.ns, 100000 + n % 5000, "new"); /* while it walks */
    (void)world_get(world.ns, n % 1000);
    (void)uv_run(&state.loop, UV_RUN_NOWAIT);
  }
  ck_assert_str_eq(state.snapshot.error.text, "");
  state_restart(false);
  ck_assert_uint_ge(state.snapshot.restored.entries, 1000);
  state_check_many(1000);
}
END_TEST

START_TEST(smaller_max_bytes_keeps_newest) {
  state_put_many(1000);
  use_some(1000);
  uint64_t bytes = world.store.bytes;
  state_end(true);
  state.max_bytes = bytes / 3;
  state_start(2);
  ck_assert_uint_gt(world.store.bytes, state.max_bytes - 310000); /* but for the largest value */
  ck_assert_uint_gt(state.snapshot.restored.no_room, 0);
  uint64_t oldest = store_oldest(&world.store, NULL)->use_stamp;
  ck_assert_uint_gt(oldest, world.store.saved->last_stamp / 4);
}
END_TEST

/* ---- failures ---- */

START_TEST(failed_snapshot_keeps_last) {
  state_put_many(300);
  state_take_snapshot();
  world_put(world.ns, 1, "new");
  state_limit_files(100000);
  for (int i = 0; i < 2; i++) {
    state_begin_snapshot();
    state_await_snapshot();
    ck_assert_ptr_nonnull(strstr(state.snapshot.error.text, "File too large"));
    ck_assert(!state_exists(STATE_SNAPSHOT_NEW));
  }
  state_limit_files(RLIM_INFINITY);
  ck_assert(state.snapshot.failed == 2 && state.snapshot.written == 1);
  state_restart(false);
  ck_assert_uint_eq(world.store.entries, 300);
  private_store_check_value(world_peek(world.ns, 1), seeded_bytes(2, state_size_of(1)),
                            state_size_of(1));
}
END_TEST

START_TEST(stop_during_snapshot_keeps_last) {
  state_put_many(300);
  state_take_snapshot();
  world_put(world.ns, 1000, "new");
  state_begin_snapshot();
  for (int turns = 0; turns < _i; turns++)
    (void)uv_run(&state.loop, UV_RUN_NOWAIT);
  state_restart(false);
  ck_assert(!state_exists(STATE_SNAPSHOT_NEW));
  ck_assert_uint_ge(world.store.entries, 300);
  state_check_many(300);
}
END_TEST

START_TEST(late_snapshot_logged_once) {
  ck_assert(!snapshot_is_late(&state.snapshot));
  state_limit_files(0);
  state.snapshot.last_ns = 1; /* long ago */
  for (int i = 0; i < 3; i++) {
    snapshot_tick(&state.snapshot);
    state_await_snapshot();
  }
  state_limit_files(RLIM_INFINITY);
  ck_assert(snapshot_is_late(&state.snapshot) && state.snapshot.logged_late);
  ck_assert_uint_eq(state.snapshot.failed, 3);
  snapshot_tick(&state.snapshot);
  state_await_snapshot();
  ck_assert(!snapshot_is_late(&state.snapshot) && !state.snapshot.logged_late);
  snapshot_tick(&state.snapshot);
  ck_assert(!state.snapshot.logged_late);
  state_await_snapshot();
}
END_TEST

START_TEST(second_daemon_refused) {
  struct snapshot second;
  struct error_text error;
  struct snapshot_config settings = state_config();
  ck_assert_int_eq(snapshot_open(&second, &settings, &error), FC_EBUSY);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("snapshot");
  TCase *tests = tcase_create("snapshot");
  tcase_set_timeout(tests, 60); /* thousands of writes are synced to the disk */
  tcase_add_checked_fixture(tests, state_set_up, state_tear_down);
  tcase_add_loop_test(tests, snapshot_restores_all, 0, 2);
  tcase_add_test(tests, snapshot_in_slices_has_each_entry_once);
  tcase_add_test(tests, snapshot_during_changes_is_whole);
  tcase_add_test(tests, smaller_max_bytes_keeps_newest);
  tcase_add_test(tests, failed_snapshot_keeps_last);
  tcase_add_loop_test(tests, stop_during_snapshot_keeps_last, 0, 6);
  tcase_add_test(tests, late_snapshot_logged_once);
  tcase_add_test(tests, second_daemon_refused);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
