/* Snapshots and the clear journal: what was cleared or deleted does not come back. */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"
#include "tests/support/state_world.h"

/* ---- clears ---- */

START_TEST(cleared_entries_stay_away) {
  state_put_many(300);
  state_take_snapshot();
  state_clear(world.ns, NULL, NULL);
  if (_i == 1)
    state_finish_clear();
  world_put(world.ns, 7, "newer than the clear");
  if (_i == 2)
    state_take_snapshot();
  state_restart(false);
  ck_assert_uint_eq(state.snapshot.restored.cleared, _i == 2 ? 0 : 200);
  ck_assert_uint_eq(world.store.entries, _i == 2 ? 101 : 100);
  ck_assert(world_has(world.other, 3) && !world_has(world.ns, 1));
  state_restart(true); /* the records of the former daemon still hold, or are obsolete */
  ck_assert_uint_eq(world.store.entries, _i == 2 ? 101 : 100);
}
END_TEST

START_TEST(clear_during_walk_holds) {
  state_put_many(300);
  state_begin_snapshot();
  for (int turns = 0; turns < _i; turns++)
    (void)uv_run(&state.loop, UV_RUN_NOWAIT);
  state_clear(NULL, "base", "op");
  world_put(world.ns, 7, "newer");
  state_await_snapshot();
  ck_assert_str_eq(state.snapshot.error.text, "");
  state_restart(false);
  ck_assert_uint_le(world.store.entries, 1);
}
END_TEST

START_TEST(clear_of_names_selects_by_names) {
  world_put_named(world.ns, "op", "a");
  world_put_named(world.ns, "op", "b");
  world_put_named(world.ns, "another", "a");
  world_put_named(world.other, "op", "a");
  state_take_snapshot();
  state_clear(world.ns, "a", "op");
  state_finish_clear();
  state_restart(false);
  ck_assert_uint_eq(world.store.entries, 3);
  state_clear(NULL, "a", NULL);
  state_restart(false);
  ck_assert_uint_eq(world.store.entries, 1);
}
END_TEST

START_TEST(stale_put_after_restart_rejected) {
  uint64_t generation = world.store.saved->generation;
  world_put(world.ns, 1, "v");
  state_take_snapshot();
  state_clear(world.ns, NULL, NULL);
  state_finish_clear();
  state_restart(false);
  struct store_put_info info = {.has_generation = true, .generation = generation};
  ck_assert_int_eq(world_put_info(world.ns, 1, "old", info), FC_STALE);
  ck_assert_int_eq(world_put_info(world.other, 1, "old", info), FC_STORED);
}
END_TEST

/* ---- deletes ---- */

/* Deletes a key of put_many, and waits until that may be acknowledged, or not. */
static uint64_t delete_number(uint32_t i, bool await) {
  struct fc_key key = key_number(i);
  struct namespace *ns = i % 3 == 0 ? world.other : world.ns;
  (void)store_delete(&world.store, ns, &key); /* it may be gone */
  uint64_t ticket = snapshot_delete(&state.snapshot, ns->name, &key);
  if (await)
    state_await_clear(ticket);
  return ticket;
}

/* Random deletes and puts before, during and after a snapshot. The restart has each key that was
 * put and not deleted before the snapshot, and none that was deleted since its last put. */
START_TEST(random_deletes_hold) {
  enum { N = 300 };
  bool deleted[N] = {0}, saved[N];
  random_seed(31 + (uint64_t)_i);
  state_put_many(N);
  for (uint32_t step = 0; step < 1200; step++) {
    uint32_t i = random_below(N);
    if (step == 400) {
      for (uint32_t k = 0; k < N; k++)
        saved[k] = !deleted[k];
      state_begin_snapshot();
    }
    if (step > 400 && step % 16 == 0)
      (void)uv_run(&state.loop, UV_RUN_NOWAIT); /* also while it walks */
    if (random_below(3) == 0 && step < 400) {
      world_put(i % 3 == 0 ? world.other : world.ns, i, "again");
      deleted[i] = false;
    } else if (random_below(2) == 0) {
      (void)delete_number(i, random_below(4) == 0);
      deleted[i] = true;
    }
  }
  state_await_clear(delete_number(0, false));
  deleted[0] = true;
  state_await_snapshot();
  ck_assert_str_eq(state.snapshot.error.text, "");
  state_restart(false);
  for (uint32_t i = 0; i < N; i++)
    if (deleted[i] || saved[i])
      ck_assert_msg(world_has(i % 3 == 0 ? world.other : world.ns, i) != deleted[i],
                    "key %u, deleted %d", i, deleted[i]);
}
END_TEST

/* A put after the delete is newer than its record. */
START_TEST(put_after_delete_restored) {
  state_put_many(3);
  state_take_snapshot();
  (void)delete_number(1, true);
  world_put(world.ns, 1, "new");
  state_end(true);
  state_start(50);
  ck_assert_uint_eq(world.store.entries, 3);
}
END_TEST

START_TEST(stale_put_after_restart_rejected_by_delete) {
  uint64_t generation = world.store.saved->generation;
  state_put_many(3);
  state_take_snapshot();
  (void)delete_number(1, true);
  state_restart(false);
  struct store_put_info info = {.has_generation = true, .generation = generation};
  ck_assert_int_eq(world_put_info(world.ns, 1, "old", info), FC_STALE);
}
END_TEST

/* The file has room for far more deletes than records, if each waits for the disk alone. */
START_TEST(full_journal_is_compacted) {
  const uint32_t n = 300;
  char path[STATE_PATH_SIZE];
  struct stat status;
  state_put_many(n);
  state_take_snapshot();
  state_clear(world.ns, "no view", NULL); /* records of clears stay, in their order */
  state_finish_clear();
  for (uint32_t i = 0; i < CLEAR_JOURNAL_MAX + 100; i++)
    (void)delete_number(i % (n - 1), true);
  ck_assert(state_exists(STATE_SNAPSHOT));
  state_path(STATE_CLEARS, path);
  ck_assert_int_eq(stat(path, &status), 0);
  ck_assert_int_lt(status.st_size, CLEAR_JOURNAL_MAX / 8 * CLEAR_JOURNAL_RECORD_BYTES);
  state_restart(false);
  ck_assert_uint_eq(world.store.entries, 1);
}
END_TEST

/* ---- files ---- */

static void damage_journal(uint64_t offset) {
  char path[STATE_PATH_SIZE];
  uint8_t byte;
  state_path(STATE_CLEARS, path);
  int fd = open(path, O_RDWR);
  ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
  byte ^= 1;
  ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(damaged_clear_restores_nothing_cleared) {
  state_put_many(300);
  state_take_snapshot();
  state_clear(world.ns, NULL, NULL);
  state_end(false);
  damage_journal(100);
  if (_i == 1)
    damage_journal(CLEAR_JOURNAL_RECORD_BYTES / 2 + 100); /* the second copy, too */
  state_start(50);
  ck_assert_uint_eq(world.store.entries, _i == 1 ? 0 : 100);
}
END_TEST

START_TEST(torn_clear_at_end_ignored) {
  char path[STATE_PATH_SIZE];
  state_put_many(300);
  state_take_snapshot();
  state_clear(world.ns, NULL, NULL);
  state_end(false);
  state_path(STATE_CLEARS, path);
  ck_assert_int_eq(truncate(path, CLEAR_JOURNAL_RECORD_BYTES + 700), 0);
  state_start(50);
  ck_assert_uint_eq(world.store.entries, 100);
}
END_TEST

/* ---- clears that fail ---- */

START_TEST(unrecorded_clear_removes_snapshot) {
  state_put_many(300);
  state_take_snapshot();
  state_limit_files(0);
  state_clear(world.ns, NULL, NULL); /* acknowledged */
  state_limit_files(RLIM_INFINITY);
  ck_assert(!state_exists(STATE_SNAPSHOT));
  state_restart(false);
  ck_assert_uint_eq(world.store.entries, 0);
}
END_TEST

START_TEST(unrecorded_clear_aborts_running_snapshot) {
  state_put_many(300);
  state_begin_snapshot();
  for (int turns = 0; turns < _i; turns++)
    (void)uv_run(&state.loop, UV_RUN_NOWAIT);
  state_limit_files(0);
  state_clear(world.ns, NULL, NULL);
  state_limit_files(RLIM_INFINITY);
  state_await_snapshot();
  state_restart(false);
  ck_assert(world.ns == NULL || world.ns->entries == 0);
}
END_TEST

START_TEST(too_many_clears_remove_snapshot) {
  uint64_t ticket = 0;
  state_put_many(300);
  state_take_snapshot();
  for (uint32_t i = 0; i <= CLEAR_JOURNAL_MAX; i++) {
    ticket =
        snapshot_clear(&state.snapshot, fc_str_of("ns"), fc_str_of("view"), (struct fc_str){0});
    if (i % SNAPSHOT_CLEARS_PENDING_MAX == SNAPSHOT_CLEARS_PENDING_MAX - 1)
      state_await_clear(ticket);
  }
  state_await_clear(ticket);
  ck_assert(!state_exists(STATE_SNAPSHOT));
  state_take_snapshot();
  state_clear(world.ns, NULL, NULL);
  state_restart(false);
  ck_assert_uint_eq(world.store.entries, 100);
}
END_TEST

/* While the disk takes no record, the daemon keeps a limited number in memory. */
START_TEST(too_many_pending_clears_fail) {
  uint64_t first = 0, ticket = 0;
  state_put_many(300);
  state_take_snapshot();
  for (uint32_t i = 0; i < SNAPSHOT_CLEARS_PENDING_MAX; i++) {
    ticket =
        snapshot_clear(&state.snapshot, fc_str_of("ns"), fc_str_of("view"), (struct fc_str){0});
    first = i == 0 ? ticket : first;
    ck_assert_int_eq(snapshot_clear_state(&state.snapshot, ticket), SNAPSHOT_CLEAR_WAIT);
  }
  uint64_t refused =
      snapshot_clear(&state.snapshot, (struct fc_str){0}, (struct fc_str){0}, (struct fc_str){0});
  ck_assert_int_eq(snapshot_clear_state(&state.snapshot, refused), SNAPSHOT_CLEAR_FAILED);
  state_await_clear(first);
  state_await_clear(ticket);
  ck_assert_int_eq(snapshot_clear_state(&state.snapshot, refused), SNAPSHOT_CLEAR_FAILED);
  state_clear(world.ns, NULL, NULL); /* there is room again */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("snapshot_clears");
  TCase *tests = tcase_create("snapshot_clears");
  tcase_set_timeout(tests, 60); /* thousands of writes are synced to the disk */
  tcase_add_checked_fixture(tests, state_set_up, state_tear_down);
  tcase_add_loop_test(tests, cleared_entries_stay_away, 0, 3);
  tcase_add_loop_test(tests, clear_during_walk_holds, 0, 6);
  tcase_add_test(tests, clear_of_names_selects_by_names);
  tcase_add_test(tests, stale_put_after_restart_rejected);
  tcase_add_loop_test(tests, random_deletes_hold, 0, 6);
  tcase_add_test(tests, put_after_delete_restored);
  tcase_add_test(tests, stale_put_after_restart_rejected_by_delete);
  tcase_add_test(tests, full_journal_is_compacted);
  tcase_add_loop_test(tests, damaged_clear_restores_nothing_cleared, 0, 2);
  tcase_add_test(tests, torn_clear_at_end_ignored);
  tcase_add_test(tests, unrecorded_clear_removes_snapshot);
  tcase_add_loop_test(tests, unrecorded_clear_aborts_running_snapshot, 0, 6);
  tcase_add_test(tests, too_many_clears_remove_snapshot);
  tcase_add_test(tests, too_many_pending_clears_fail);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
