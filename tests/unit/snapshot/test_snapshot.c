/* Snapshots of a store: what is written comes back, and what was cleared does not. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/snapshot/snapshot.h"
#include "proto/errors.h"
#include "tests/support/expect.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"
#include "tests/support/store_world.h"

#define TOTALS 5u

static char dir[] = "/tmp/fcached-test-snapshot-XXXXXX";
static struct snapshot snapshot;
static uv_loop_t loop;
static uint64_t totals[TOTALS], cache_id, boots[SNAPSHOT_BOOTS_MAX];
static uint32_t n_boots;
static uint64_t max_bytes = 64 << 20;

static unsigned clears_written; /* calls of config.clears_written */

static void on_clears_written(void *arg) {
  ck_assert_ptr_eq(arg, &clears_written);
  clears_written++;
}

static struct snapshot_config config(void) {
  return (struct snapshot_config){.dir = dir,
                                  .interval_ms = 1000,
                                  .clears_written = on_clears_written,
                                  .arg = &clears_written,
                                  .cache = {.store = &world.store,
                                            .namespaces = &world.table,
                                            .totals = totals,
                                            .n_totals = TOTALS,
                                            .cache_id = &cache_id,
                                            .boots = boots,
                                            .n_boots = &n_boots}};
}

static void open_folder(void) {
  struct error_text error;
  struct snapshot_config settings = config();
  if (snapshot_open(&snapshot, &settings, &error) < 0)
    ck_abort_msg("%s", error.text);
}

/* Starts a daemon's cache, empty, with the id `id`. */
static void start(uint64_t id) {
  world_open(max_bytes, 1 << 20, 8);
  cache_id = id;
  n_boots = 1;
  boots[0] = id + 1000;
  memset(totals, 0, sizeof totals);
  open_folder();
  ck_assert_int_eq(snapshot_restore(&snapshot), 0);
  store_check(&world.store);
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  ck_assert_int_eq(snapshot_run(&snapshot, &loop, NULL), 0);
}

static void end(bool clean) {
  snapshot_close(&snapshot);
  ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  if (clean)
    ck_assert_int_eq(snapshot_at_stop(&snapshot), 0);
  snapshot_deinit(&snapshot);
  while (world.store.active_clears != NULL)
    (void)store_clear_step(&world.store, world.store.active_clears, UINT64_MAX);
  world_close();
}

static void restart(bool clean) {
  end(clean);
  start(cache_id + 1);
  world.ns = namespace_table_find(&world.table, fc_str_of("ns"));
  world.other = namespace_table_find(&world.table, fc_str_of("other"));
}

static void set_up(void) {
  memcpy(dir + sizeof dir - 7, "XXXXXX", 6); /* without a process for each test, it was used */
  ck_assert_ptr_nonnull(mkdtemp(dir));
  max_bytes = 64 << 20;
  start(1);
  world.ns = world_namespace("ns");
  world.other = world_namespace("other");
  world.ns->counters.hits = world.other->counters.hits = 1; /* a start keeps them without entries */
}

static void tear_down(void) {
  char command[100];
  end(false);
  (void)snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}

/* Runs the loop until the snapshot that was started has ended. */
static void take(void) {
  struct error_text error;
  ck_assert_int_eq(snapshot_start(&snapshot, &error), 0);
  while (snapshot.running != 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_str_eq(snapshot.error.text, "");
}

static void await_clear(uint64_t ticket) {
  while (snapshot_clear_state(&snapshot, ticket) == SNAPSHOT_CLEAR_WAIT) {
    unsigned before = clears_written;
    (void)uv_run(&loop, UV_RUN_ONCE);
    if (clears_written == before && snapshot_clear_state(&snapshot, ticket) != SNAPSHOT_CLEAR_WAIT)
      ck_abort_msg("the state of a clear changed without a call of clears_written");
  }
  ck_assert_int_eq(snapshot_clear_state(&snapshot, ticket), SNAPSHOT_CLEAR_DONE);
}

static struct store_clear clear_in_use;

/* Begins a clear and waits until it may be acknowledged. */
static void clear(struct namespace *ns, const char *view, const char *op) {
  struct store_select select = {.ns = ns, .view = fc_str_of(view), .op = fc_str_of(op)};
  ck_assert(store_clear_start(&world.store, &clear_in_use, &select));
  struct fc_str name = ns == NULL ? (struct fc_str){0} : ns->name;
  await_clear(snapshot_clear(&snapshot, name, select.view, select.op));
}

static void finish_clear(void) {
  while (!store_clear_step(&world.store, &clear_in_use, UINT64_MAX))
    ;
}

/* ---- round trips ---- */

static uint32_t size_of(uint32_t n) {
  return n % 100 == 7 ? 300000 : n % 7 == 0 ? 5000 + n : n % 200;
}

static void put_many(uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    struct fc_key key = key_number(i);
    struct store_put_info info = {.origin = i, .compute_ns = i + 1, .now_ns = i + 2};
    EXPECT_EQUAL(store_put(&world.store, i % 3 == 0 ? world.other : world.ns, &key,
                           seeded_bytes(i + 1, size_of(i)), size_of(i), &info),
                 FC_STORED);
  }
}

static void check_many(uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    const struct entry *entry = world_peek(i % 3 == 0 ? world.other : world.ns, i);
    EXPECT(entry != NULL);
    private_store_check_value(entry, seeded_bytes(i + 1, size_of(i)), size_of(i));
    EXPECT(entry_compute_ns(entry) == i + 1 && entry_origin(entry) == i);
  }
}

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
  put_many(1000);
  use_some(1000);
  world.ns->counters.hits = 5;
  world.store.saved->evictions[EVICT_BYTES] = 9;
  totals[4] = 44;
  ck_assert(store_limit_entries(&world.store, world.other, 5000));
  ck_assert_int_eq(namespace_set_manifest(world.ns, world.store.catalog, NULL, fc_str_of("{}")), 0);
  if (!clean)
    take();
  uint64_t before = order(), stamp = world.store.saved->last_stamp,
           generation = world.store.saved->generation;
  uint64_t seed = world.ns->seed;
  restart(clean);
  ck_assert_uint_eq(snapshot.restored.entries, 1000);
  ck_assert_uint_eq(snapshot.restored.damaged + snapshot.restored.no_room, 0);
  check_many(1000);
  ck_assert_uint_eq(order(), before);
  ck_assert_uint_eq(world.store.saved->last_stamp, stamp);
  ck_assert_uint_gt(world.store.saved->generation, generation);
  ck_assert_uint_eq(world.ns->seed, seed);
  ck_assert_uint_eq(world.ns->counters.hits, 5);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_BYTES], 9);
  ck_assert_uint_eq(world.other->max_entries, 5000);
  ck_assert(fc_str_equal(world.ns->manifest, fc_str_of("{}")));
  ck_assert_uint_eq(totals[4], 44);
  ck_assert_uint_eq(cache_id, 1);
  ck_assert(n_boots == 1 && boots[0] == 1001);
}
END_TEST

/* Slices of few entries: none is written twice. */
START_TEST(snapshot_in_slices_has_each_entry_once) {
  const uint32_t n = 20000;
  for (uint32_t i = 0; i < n; i++)
    world_put(world.ns, i, "v");
  take();
  ck_assert_uint_eq(snapshot.entries, n);
}
END_TEST

START_TEST(snapshot_during_changes_is_whole) {
  struct error_text error;
  put_many(1000);
  ck_assert_int_eq(snapshot_start(&snapshot, &error), 0);
  for (uint32_t n = 0; snapshot.running != 0; n++) {
    world_put(world.ns, 100000 + n % 5000, "new"); /* while it walks */
    (void)world_get(world.ns, n % 1000);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  }
  ck_assert_str_eq(snapshot.error.text, "");
  restart(false);
  ck_assert_uint_ge(snapshot.restored.entries, 1000);
  check_many(1000);
}
END_TEST

START_TEST(smaller_max_bytes_keeps_newest) {
  put_many(1000);
  use_some(1000);
  uint64_t bytes = world.store.bytes;
  end(true);
  max_bytes = bytes / 3;
  start(2);
  ck_assert_uint_gt(world.store.bytes, max_bytes - 310000); /* but for the largest value */
  ck_assert_uint_gt(snapshot.restored.no_room, 0);
  uint64_t oldest = store_oldest(&world.store, NULL)->use_stamp;
  ck_assert_uint_gt(oldest, world.store.saved->last_stamp / 4);
}
END_TEST

/* ---- clears ---- */

START_TEST(cleared_entries_stay_away) {
  put_many(300);
  take();
  clear(world.ns, NULL, NULL);
  if (_i == 1)
    finish_clear();
  world_put(world.ns, 7, "newer than the clear");
  if (_i == 2)
    take();
  restart(false);
  ck_assert_uint_eq(snapshot.restored.cleared, _i == 2 ? 0 : 200);
  ck_assert_uint_eq(world.store.entries, _i == 2 ? 101 : 100);
  ck_assert(world_has(world.other, 3) && !world_has(world.ns, 1));
  restart(true); /* the records of the former daemon still hold, or are obsolete */
  ck_assert_uint_eq(world.store.entries, _i == 2 ? 101 : 100);
}
END_TEST

START_TEST(clear_during_walk_holds) {
  struct error_text error;
  put_many(300);
  ck_assert_int_eq(snapshot_start(&snapshot, &error), 0);
  for (int turns = 0; turns < _i; turns++)
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  clear(NULL, "base", "op");
  world_put(world.ns, 7, "newer");
  while (snapshot.running != 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_str_eq(snapshot.error.text, "");
  restart(false);
  ck_assert_uint_le(world.store.entries, 1);
}
END_TEST

START_TEST(clear_of_names_selects_by_names) {
  world_put_named(world.ns, "op", "a");
  world_put_named(world.ns, "op", "b");
  world_put_named(world.ns, "another", "a");
  world_put_named(world.other, "op", "a");
  take();
  clear(world.ns, "a", "op");
  finish_clear();
  restart(false);
  ck_assert_uint_eq(world.store.entries, 3);
  clear(NULL, "a", NULL);
  restart(false);
  ck_assert_uint_eq(world.store.entries, 1);
}
END_TEST

START_TEST(stale_put_after_restart_rejected) {
  uint64_t generation = world.store.saved->generation;
  world_put(world.ns, 1, "v");
  take();
  clear(world.ns, NULL, NULL);
  finish_clear();
  restart(false);
  struct store_put_info info = {.has_generation = true, .generation = generation};
  ck_assert_int_eq(world_put_info(world.ns, 1, "old", info), FC_STALE);
  ck_assert_int_eq(world_put_info(world.other, 1, "old", info), FC_STORED);
}
END_TEST

static void path_of(const char *name, char path[200]) {
  (void)snprintf(path, 200, "%s/%s", dir, name);
}

static bool exists(const char *name) {
  char path[200];
  path_of(name, path);
  return access(path, F_OK) == 0;
}

/* ---- deletes ---- */

/* Deletes a key of put_many, and waits until that may be acknowledged, or not. */
static uint64_t delete_number(uint32_t i, bool await) {
  struct fc_key key = key_number(i);
  struct namespace *ns = i % 3 == 0 ? world.other : world.ns;
  (void)store_delete(&world.store, ns, &key); /* it may be gone */
  uint64_t ticket = snapshot_delete(&snapshot, ns->name, &key);
  if (await)
    await_clear(ticket);
  return ticket;
}

/* Random deletes and puts before, during and after a snapshot. The restart has each key that was
 * put and not deleted before the snapshot, and none that was deleted since its last put. */
START_TEST(random_deletes_hold) {
  enum { N = 300 };
  bool deleted[N] = {0}, saved[N];
  struct error_text error;
  random_seed(31 + (uint64_t)_i);
  put_many(N);
  for (uint32_t step = 0; step < 1200; step++) {
    uint32_t i = random_below(N);
    if (step == 400) {
      for (uint32_t k = 0; k < N; k++)
        saved[k] = !deleted[k];
      ck_assert_int_eq(snapshot_start(&snapshot, &error), 0);
    }
    if (step > 400 && step % 16 == 0)
      (void)uv_run(&loop, UV_RUN_NOWAIT); /* also while it walks */
    if (random_below(3) == 0 && step < 400) {
      world_put(i % 3 == 0 ? world.other : world.ns, i, "again");
      deleted[i] = false;
    } else if (random_below(2) == 0) {
      (void)delete_number(i, random_below(4) == 0);
      deleted[i] = true;
    }
  }
  await_clear(delete_number(0, false));
  deleted[0] = true;
  while (snapshot.running != 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert_str_eq(snapshot.error.text, "");
  restart(false);
  for (uint32_t i = 0; i < N; i++)
    if (deleted[i] || saved[i])
      ck_assert_msg(world_has(i % 3 == 0 ? world.other : world.ns, i) != deleted[i],
                    "key %u, deleted %d", i, deleted[i]);
}
END_TEST

/* A put after the delete is newer than its record. */
START_TEST(put_after_delete_restored) {
  put_many(3);
  take();
  (void)delete_number(1, true);
  world_put(world.ns, 1, "new");
  end(true);
  start(50);
  ck_assert_uint_eq(world.store.entries, 3);
}
END_TEST

START_TEST(stale_put_after_restart_rejected_by_delete) {
  uint64_t generation = world.store.saved->generation;
  put_many(3);
  take();
  (void)delete_number(1, true);
  restart(false);
  struct store_put_info info = {.has_generation = true, .generation = generation};
  ck_assert_int_eq(world_put_info(world.ns, 1, "old", info), FC_STALE);
}
END_TEST

/* The file has room for far more deletes than records, if each waits for the disk alone. */
START_TEST(full_journal_is_compacted) {
  const uint32_t n = 300;
  char path[200];
  struct stat status;
  put_many(n);
  take();
  clear(world.ns, "no view", NULL); /* records of clears stay, in their order */
  finish_clear();
  for (uint32_t i = 0; i < CLEAR_JOURNAL_MAX + 100; i++)
    (void)delete_number(i % (n - 1), true);
  ck_assert(exists(STATE_SNAPSHOT));
  path_of(STATE_CLEARS, path);
  ck_assert_int_eq(stat(path, &status), 0);
  ck_assert_int_lt(status.st_size, CLEAR_JOURNAL_MAX / 8 * CLEAR_JOURNAL_RECORD_BYTES);
  restart(false);
  ck_assert_uint_eq(world.store.entries, 1);
}
END_TEST

/* ---- files ---- */

static void damage_journal(uint64_t offset) {
  char path[200];
  uint8_t byte;
  path_of(STATE_CLEARS, path);
  int fd = open(path, O_RDWR);
  ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
  byte ^= 1;
  ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(damaged_clear_restores_nothing_cleared) {
  put_many(300);
  take();
  clear(world.ns, NULL, NULL);
  end(false);
  damage_journal(100);
  if (_i == 1)
    damage_journal(CLEAR_JOURNAL_RECORD_BYTES / 2 + 100); /* the second copy, too */
  start(50);
  ck_assert_uint_eq(world.store.entries, _i == 1 ? 0 : 100);
}
END_TEST

START_TEST(torn_clear_at_end_ignored) {
  char path[200];
  put_many(300);
  take();
  clear(world.ns, NULL, NULL);
  end(false);
  path_of(STATE_CLEARS, path);
  ck_assert_int_eq(truncate(path, CLEAR_JOURNAL_RECORD_BYTES + 700), 0);
  start(50);
  ck_assert_uint_eq(world.store.entries, 100);
}
END_TEST

/* ---- failures ---- */

/* Makes each write beyond `bytes` of a file fail, or none (RLIM_INFINITY). */
static void limit_files(rlim_t bytes) {
  struct rlimit limit = {bytes, RLIM_INFINITY};
  (void)signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(failed_snapshot_keeps_last) {
  struct error_text error;
  put_many(300);
  take();
  world_put(world.ns, 1, "new");
  limit_files(100000);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(snapshot_start(&snapshot, &error), 0);
    while (snapshot.running != 0)
      (void)uv_run(&loop, UV_RUN_ONCE);
    ck_assert_ptr_nonnull(strstr(snapshot.error.text, "File too large"));
    ck_assert(!exists(STATE_SNAPSHOT_NEW));
  }
  limit_files(RLIM_INFINITY);
  ck_assert(snapshot.failed == 2 && snapshot.written == 1);
  restart(false);
  ck_assert_uint_eq(world.store.entries, 300);
  private_store_check_value(world_peek(world.ns, 1), seeded_bytes(2, size_of(1)), size_of(1));
}
END_TEST

START_TEST(unrecorded_clear_removes_snapshot) {
  put_many(300);
  take();
  limit_files(0);
  clear(world.ns, NULL, NULL); /* acknowledged */
  limit_files(RLIM_INFINITY);
  ck_assert(!exists(STATE_SNAPSHOT));
  restart(false);
  ck_assert_uint_eq(world.store.entries, 0);
}
END_TEST

START_TEST(unrecorded_clear_aborts_running_snapshot) {
  struct error_text error;
  put_many(300);
  ck_assert_int_eq(snapshot_start(&snapshot, &error), 0);
  for (int turns = 0; turns < _i; turns++)
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  limit_files(0);
  clear(world.ns, NULL, NULL);
  limit_files(RLIM_INFINITY);
  while (snapshot.running != 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  restart(false);
  ck_assert(world.ns == NULL || world.ns->entries == 0);
}
END_TEST

START_TEST(too_many_clears_remove_snapshot) {
  uint64_t ticket = 0;
  put_many(300);
  take();
  for (uint32_t i = 0; i <= CLEAR_JOURNAL_MAX; i++) {
    ticket = snapshot_clear(&snapshot, fc_str_of("ns"), fc_str_of("view"), (struct fc_str){0});
    if (i % SNAPSHOT_CLEARS_PENDING_MAX == SNAPSHOT_CLEARS_PENDING_MAX - 1)
      await_clear(ticket);
  }
  await_clear(ticket);
  ck_assert(!exists(STATE_SNAPSHOT));
  take();
  clear(world.ns, NULL, NULL);
  restart(false);
  ck_assert_uint_eq(world.store.entries, 100);
}
END_TEST

/* While the disk takes no record, the daemon keeps a limited number in memory. */
START_TEST(too_many_pending_clears_fail) {
  uint64_t first = 0, ticket = 0;
  put_many(300);
  take();
  for (uint32_t i = 0; i < SNAPSHOT_CLEARS_PENDING_MAX; i++) {
    ticket = snapshot_clear(&snapshot, fc_str_of("ns"), fc_str_of("view"), (struct fc_str){0});
    first = i == 0 ? ticket : first;
    ck_assert_int_eq(snapshot_clear_state(&snapshot, ticket), SNAPSHOT_CLEAR_WAIT);
  }
  uint64_t refused =
      snapshot_clear(&snapshot, (struct fc_str){0}, (struct fc_str){0}, (struct fc_str){0});
  ck_assert_int_eq(snapshot_clear_state(&snapshot, refused), SNAPSHOT_CLEAR_FAILED);
  await_clear(first);
  await_clear(ticket);
  ck_assert_int_eq(snapshot_clear_state(&snapshot, refused), SNAPSHOT_CLEAR_FAILED);
  clear(world.ns, NULL, NULL); /* there is room again */
}
END_TEST

START_TEST(stop_during_snapshot_keeps_last) {
  struct error_text error;
  put_many(300);
  take();
  world_put(world.ns, 1000, "new");
  ck_assert_int_eq(snapshot_start(&snapshot, &error), 0);
  for (int turns = 0; turns < _i; turns++)
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  restart(false);
  ck_assert(!exists(STATE_SNAPSHOT_NEW));
  ck_assert_uint_ge(world.store.entries, 300);
  check_many(300);
}
END_TEST

START_TEST(late_snapshot_logged_once) {
  ck_assert(!snapshot_is_late(&snapshot));
  limit_files(0);
  snapshot.last_ns = 1; /* long ago */
  for (int i = 0; i < 3; i++) {
    snapshot_tick(&snapshot);
    while (snapshot.running != 0)
      (void)uv_run(&loop, UV_RUN_ONCE);
  }
  limit_files(RLIM_INFINITY);
  ck_assert(snapshot_is_late(&snapshot) && snapshot.logged_late);
  ck_assert_uint_eq(snapshot.failed, 3);
  snapshot_tick(&snapshot);
  while (snapshot.running != 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
  ck_assert(!snapshot_is_late(&snapshot) && !snapshot.logged_late);
  snapshot_tick(&snapshot);
  ck_assert(!snapshot.logged_late);
  while (snapshot.running != 0)
    (void)uv_run(&loop, UV_RUN_ONCE);
}
END_TEST

START_TEST(second_daemon_refused) {
  struct snapshot second;
  struct error_text error;
  struct snapshot_config settings = config();
  ck_assert_int_eq(snapshot_open(&second, &settings, &error), FC_EBUSY);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("snapshot");
  TCase *tests = tcase_create("snapshot");
  tcase_set_timeout(tests, 60); /* thousands of writes are synced to the disk */
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, snapshot_restores_all, 0, 2);
  tcase_add_test(tests, snapshot_in_slices_has_each_entry_once);
  tcase_add_test(tests, snapshot_during_changes_is_whole);
  tcase_add_test(tests, smaller_max_bytes_keeps_newest);
  tcase_add_loop_test(tests, cleared_entries_stay_away, 0, 3);
  tcase_add_loop_test(tests, clear_during_walk_holds, 0, 6);
  tcase_add_test(tests, clear_of_names_selects_by_names);
  tcase_add_test(tests, stale_put_after_restart_rejected);
  tcase_add_loop_test(tests, damaged_clear_restores_nothing_cleared, 0, 2);
  tcase_add_test(tests, torn_clear_at_end_ignored);
  tcase_add_loop_test(tests, random_deletes_hold, 0, 6);
  tcase_add_test(tests, put_after_delete_restored);
  tcase_add_test(tests, stale_put_after_restart_rejected_by_delete);
  tcase_add_test(tests, full_journal_is_compacted);
  tcase_add_test(tests, failed_snapshot_keeps_last);
  tcase_add_test(tests, unrecorded_clear_removes_snapshot);
  tcase_add_loop_test(tests, unrecorded_clear_aborts_running_snapshot, 0, 6);
  tcase_add_test(tests, too_many_clears_remove_snapshot);
  tcase_add_test(tests, too_many_pending_clears_fail);
  tcase_add_loop_test(tests, stop_during_snapshot_keeps_last, 0, 6);
  tcase_add_test(tests, late_snapshot_logged_once);
  tcase_add_test(tests, second_daemon_refused);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
