/* A store that adopts the memory of an earlier daemon: entries, order, counters, clears. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/expect.h"
#include "tests/support/keys.h"
#include "tests/support/lives.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

#define MAX_BYTES (8u << 20)
#define N 3000u

static struct lives lives;
static struct life life;
static struct namespace *ns, *other;
static uint32_t order[N]; /* numbers of keys, oldest first */

static void set_up(void) {
  lives_open(&lives, MAX_BYTES);
  lives_begin(&lives, &life);
  ns = lives_namespace(&life, "ns");
  other = lives_namespace(&life, "other");
  random_seed(1);
}

static void tear_down(void) {
  store_check(&life.store);
  lives_kill(&life);
  lives_close(&lives);
}

static struct namespace *space_of(uint32_t n) {
  return n % 3 == 0 ? other : ns;
}

static uint32_t size_of(uint32_t n) {
  return n % 500 == 499 ? 200000 : n % 10 == 9 ? 5000 + n : n % 200;
}

static struct entry *peek(uint32_t n) {
  struct fc_key key = key_number(n);
  return store_peek(&life.store, space_of(n), &key);
}

/* Puts N entries, uses some, and notes the order. */
static void fill(void) {
  for (uint32_t n = 0; n < N; n++) {
    struct fc_key key = key_number(n);
    ck_assert_int_eq(lives_put(&life, space_of(n), &key, n, size_of(n)), FC_STORED);
  }
  for (uint32_t i = 0; i < N; i++) {
    struct entry *entry = peek(random_below(N));
    store_use(&life.store, entry, i);
  }
  uint32_t i = 0;
  for (const struct entry *entry = store_oldest(&life.store, NULL); entry != NULL;
       entry = store_newer(&life.store, NULL, entry)) {
    struct fc_key key = entry_key(entry);
    EXPECT(i < N);
    order[i++] = key_number_of(&key, N);
  }
  ck_assert_uint_eq(i, N);
}

static void next_life(void) {
  lives_kill(&life);
  lives_begin(&lives, &life);
  ns = namespace_table_find(&life.table, fc_str_of("ns"));
  other = namespace_table_find(&life.table, fc_str_of("other"));
  ck_assert(ns != NULL && other != NULL);
}

/* Checks all entries and their order, and both lookups. */
static void check_all(void) {
  store_check(&life.store);
  ck_assert_uint_eq(life.store.entries, N);
  const struct entry *entry = store_oldest(&life.store, NULL);
  for (uint32_t i = 0; i < N; i++, entry = store_newer(&life.store, NULL, entry)) {
    EXPECT(entry != NULL && entry == peek(order[i]));
    EXPECT(lives_has_value(entry, order[i], size_of(order[i])));
    EXPECT_EQUAL(entry_compute_ns(entry), order[i]);
    EXPECT_EQUAL(entry_origin(entry), 5);
  }
}

START_TEST(entries_adopted_have_values_and_order) {
  fill();
  uint64_t bytes = life.store.bytes, hits = 0;
  for (uint32_t n = 0; n < N; n++)
    hits += peek(n)->hits;
  next_life();
  ck_assert_uint_eq(life.report.entries, N);
  ck_assert_uint_eq(life.report.bytes, bytes);
  ck_assert_uint_eq(life.report.regions, 1);
  ck_assert(store_is_migrating(&life.store));
  check_all();
  lives_migrate(&life);
  ck_assert(!store_is_migrating(&life.store));
  ck_assert_uint_eq(store_migrating_bytes(&life.store), 0);
  check_all();
  for (uint32_t n = 0; n < N; n++)
    hits -= peek(n)->hits;
  ck_assert_uint_eq(hits, 0);
}
END_TEST

/* Any number of steps before the next kill: some entries are in each of the regions. */
START_TEST(entries_survive_many_kills_during_migration) {
  fill();
  for (int kill = 0; kill < 40; kill++) {
    next_life();
    check_all();
    for (uint32_t steps = random_below(12); steps > 0; steps--)
      (void)store_background_step(&life.store);
    check_all();
  }
  lives_migrate(&life);
  check_all();
}
END_TEST

START_TEST(namespaces_keep_limits_counters_and_manifest) {
  static char manifest[FC_MANIFEST_MAX];
  memset(manifest, 'm', sizeof manifest);
  struct fc_key key = key_number(1);
  ck_assert_int_eq(lives_put(&life, ns, &key, 1, 100), FC_STORED);
  ck_assert(store_limit_entries(&life.store, ns, 77));
  ck_assert(store_limit_bytes(&life.store, ns, 1 << 20));
  ns->counters.hits = 5;
  ns->has_owner = true;
  ns->owner = 1234;
  ck_assert_int_eq(
      namespace_set_manifest(ns, &life.catalog, NULL, (struct fc_str){manifest, sizeof manifest}),
      0);
  uint64_t seed = ns->seed, generation = life.store.saved->generation;
  namespace_table_hold(ns); /* by what the next daemon does not know */
  next_life();
  ck_assert_uint_eq(ns->seed, seed);
  ck_assert_uint_eq(ns->max_entries, 77);
  ck_assert_uint_eq(ns->max_bytes, 1 << 20);
  ck_assert_uint_eq(ns->counters.hits, 5);
  ck_assert(ns->has_owner && ns->owner == 1234);
  ck_assert_uint_eq(ns->manifest.size, sizeof manifest);
  ck_assert_mem_eq(ns->manifest.data, manifest, sizeof manifest);
  ck_assert_uint_eq(ns->clients, 0);
  ck_assert_uint_eq(namespace_clients(ns), 0);
  ck_assert_uint_eq(life.store.saved->generation, generation);
  ck_assert_uint_ne(lives_namespace(&life, "third")->seed, seed);
  ck_assert(catalog_knows_boot(&life.catalog, lives.boot_id - 1));
  ck_assert(catalog_knows_boot(&life.catalog, lives.boot_id));
}
END_TEST

START_TEST(clears_stay_cleared_and_active_ones_are_finished) {
  struct store_clear clear;
  fill();
  struct store_select all_of_other = {.ns = other};
  uint64_t removed = store_clear_all(&life.store, &all_of_other);
  ck_assert_uint_eq(removed, N / 3);
  uint64_t began = life.store.saved->generation;
  ck_assert(store_clear_start(&life.store, &clear, &(struct store_select){.ns = ns}));
  (void)store_clear_step(&life.store, &clear, 100);
  next_life();
  for (uint32_t n = 0; n < N; n++)
    EXPECT(peek(n) == NULL);
  struct fc_key key = key_number(1);
  struct store_put_info info = {.has_generation = true, .generation = began};
  ck_assert_int_eq(store_put(&life.store, ns, &key, "v", 1, &info), FC_STALE);
  lives_migrate(&life);
  ck_assert_uint_eq(life.store.entries, 0);
  next_life();
  ck_assert_uint_eq(life.store.n_active_clears, 0);
  ck_assert_uint_eq(life.report.entries, 0);
}
END_TEST

START_TEST(namespace_dropped_is_finished) {
  fill();
  lives.max_namespaces = 1;
  lives_kill(&life);
  lives_begin(&lives, &life);
  ck_assert_uint_eq(life.table.n, 1);
  while (!namespace_table_step(&life.table, 500))
    ck_assert_ptr_nonnull(life.table.pending_delete);
  lives_kill(&life);
  lives_begin(&lives, &life);
  ck_assert_uint_eq(life.report.namespaces, 1);
  ck_assert_uint_eq(life.store.entries, life.table.first->entries);
}
END_TEST

START_TEST(puts_during_migration_find_room) {
  fill();
  next_life();
  for (uint32_t n = N; n < 4 * N; n++) {
    struct fc_key key = key_number(n);
    struct store_put_info info = {0};
    while (!store_put_has_room(&life.store, ns, &key, 3000, &info))
      ;
    EXPECT_EQUAL(lives_put(&life, ns, &key, n, 3000), FC_STORED);
    EXPECT(life.region.committed_bytes + life.region.other_bytes <= life.region.budget_bytes);
  }
  ck_assert_uint_eq(life.store.saved->evictions[EVICT_FORCED], 0);
  lives_migrate(&life);
  next_life();
  lives_migrate(&life);
  ck_assert_uint_gt(life.store.entries, 1000);
}
END_TEST

START_TEST(value_held_keeps_its_segment) {
  fill();
  next_life();
  struct entry *held = peek(9);
  entry_hold(held);
  lives_migrate(&life);
  ck_assert(store_is_migrating(&life.store));
  ck_assert(!store_has_background_work(&life.store));
  ck_assert(lives_has_value(held, 9, size_of(9)));
  store_remove(&life.store, held);
  lives_migrate(&life);
  ck_assert(lives_has_value(held, 9, size_of(9)));
  entry_release(held);
  ck_assert(store_has_background_work(&life.store));
  lives_migrate(&life);
  ck_assert(!store_is_migrating(&life.store));
  ck_assert_uint_eq(life.store.entries, N - 1);
}
END_TEST

START_TEST(lower_limit_evicts_the_oldest) {
  fill();
  uint64_t half = life.store.bytes / 2;
  lives.max_bytes = half;
  next_life();
  lives_migrate(&life);
  ck_assert_uint_le(life.store.bytes, half);
  ck_assert_uint_ge(life.store.bytes, half - 250000);
  uint32_t left = (uint32_t)life.store.entries;
  for (uint32_t i = 0; i < left; i++)
    EXPECT(peek(order[N - 1 - i]) != NULL);
}
END_TEST

START_TEST(higher_limit_keeps_all) {
  fill();
  lives.max_bytes = 4 * MAX_BYTES;
  next_life();
  check_all();
  lives_migrate(&life);
  check_all();
}
END_TEST

/* Else each restart would give all users a new share. */
START_TEST(namespaces_are_charged_to_their_owners) {
  struct users users;
  users_init(&users, USER_SHARE_DEFAULT);
  users_set_limit(&users, USER_NAMESPACES, 8);
  ns->has_owner = true;
  ns->owner = 1000;
  ck_assert_int_eq(namespace_set_manifest(ns, &life.catalog, NULL, fc_str_of("manifest")), 0);
  next_life();
  namespace_table_charge(&life.table, &users);
  ck_assert_uint_eq(users.used[USER_NAMESPACES], 1); /* the other one has no owner */
  ck_assert_uint_eq(users.used[USER_MANIFEST_BYTES], strlen("manifest"));
  struct user *owner = users_ref(&users, 1000, true);
  ck_assert_uint_eq(owner->used[USER_NAMESPACES], 1);
  ck_assert_uint_eq(owner->used[USER_MANIFEST_BYTES], strlen("manifest"));
  user_unref(owner);
  namespace_table_leave(&life.table);
  users_deinit(&users); /* asserts that no charge is left */
}
END_TEST

static void count_file(void *arg, uint64_t boot_id, uint32_t segment) {
  unsigned *files = arg;
  ck_assert_uint_lt(boot_id, lives.boot_id);
  ck_assert_uint_lt(segment, CATALOG_SEGMENTS_MAX);
  ++*files;
}

START_TEST(files_given_up_are_reported) {
  unsigned files = 0;
  fill();
  unsigned segments = life.region.n_segments;
  next_life();
  life.store.segment_released = count_file;
  life.store.segment_released_arg = &files;
  lives_migrate(&life);
  ck_assert_uint_eq(files, segments);
}
END_TEST

START_TEST(region_missing_loses_its_entries_only) {
  fill();
  for (size_t i = 0; i < lives.n_fds; i++)
    (void)close(lives.fds[i]);
  lives.n_fds = 0;
  next_life();
  ck_assert_uint_eq(life.report.entries, 0);
  ck_assert_uint_eq(life.report.regions_lost, 1);
  ck_assert_uint_eq(life.report.dropped[ADOPT_UNMAPPED], N);
  ck_assert_ptr_nonnull(strstr(life.report.why.text, "no descriptor was kept"));
  struct fc_key key = key_number(1);
  ck_assert_int_eq(lives_put(&life, ns, &key, 1, 100), FC_STORED);
}
END_TEST

/* Chunks of entries lie in the arena if values have all its memory. */
START_TEST(chunks_in_the_arena_are_adopted) {
  for (uint32_t n = 0; n < 200; n++) {
    struct fc_key key = key_number(n);
    ck_assert_int_eq(lives_put(&life, ns, &key, n, 60000), FC_STORED);
  }
  for (uint32_t n = 0; n < 20000; n++) {
    struct fc_key key = key_number(n);
    ck_assert_int_eq(lives_put(&life, ns, &key, n, 20), FC_STORED);
  }
  uint64_t entries = life.store.entries, in_arena = 0;
  for (uint32_t i = 0; i < life.store.heap.entries.n_chunks; i++)
    in_arena += life.store.heap.entries.chunks[i]->block != 0;
  ck_assert_uint_gt(in_arena, 0);
  lives_kill(&life);
  lives_begin(&lives, &life);
  ns = namespace_table_find(&life.table, fc_str_of("ns"));
  ck_assert_uint_eq(life.report.entries, entries);
  lives_migrate(&life);
  ck_assert_uint_eq(life.store.entries, entries);
}
END_TEST

/* A kill while the metadata moved to another slot leaves both, before (0) or after (1) the bytes in
 * the region name the new one. */
START_TEST(entry_in_two_slots_is_adopted_once) {
  fill();
  struct heap *heap = &life.store.heap;
  uint32_t to = 0, end = heap->entries.n_chunks << ENTRY_BITS;
  while (++to < end && (to % (1u << ENTRY_BITS) >= ENTRIES_PER_CHUNK ||
                        heap_find_entry(heap, to) == NULL || heap_entry(heap, to)->holders != 0))
    ;
  ck_assert_uint_lt(to, end);
  struct entry *entry = peek(8), copy = *entry;
  uint64_t origin = region_writer_load(&entry_placed(entry)->origin);
  copy.number = to;
  *heap_entry(heap, to) = copy;
  if (_i == 1)
    region_writer_store(&entry_placed(entry)->origin, (uint64_t)to << 32 | (uint32_t)origin);
  uint32_t number = _i == 1 ? to : entry->number;
  next_life();
  ck_assert_uint_eq(life.report.entries, N);
  ck_assert_uint_eq(life.report.dropped[ADOPT_DUPLICATE], 1);
  ck_assert_uint_eq(peek(8)->number, number);
  check_all();
  lives_migrate(&life);
  check_all();
}
END_TEST

/* A kill while a value is overwritten. */
START_TEST(value_written_in_part_is_a_miss_and_can_be_put) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  struct fc_key key = key_number(9);
  fill();
  ck_assert_uint_ge(entry_value(peek(9), pieces), 1);
  *(uint8_t *)pieces[0].iov_base ^= 1;
  next_life();
  ck_assert_ptr_null(peek(9));
  ck_assert_int_eq(lives_put(&life, space_of(9), &key, N, 300), FC_STORED);
  next_life();
  ck_assert(lives_has_value(peek(9), N, 300));
  ck_assert_uint_eq(life.store.entries, N + 1); /* until the migration finds the damaged one */
  lives_migrate(&life);
  ck_assert(lives_has_value(peek(9), N, 300));
  ck_assert_uint_eq(life.store.entries, N);
  ck_assert_uint_eq(life.store.migration.dropped[ADOPT_DAMAGED], 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("adopt");
  TCase *tcase = tcase_create("adopt");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, entries_adopted_have_values_and_order);
  tcase_add_test(tcase, entries_survive_many_kills_during_migration);
  tcase_add_test(tcase, namespaces_keep_limits_counters_and_manifest);
  tcase_add_test(tcase, clears_stay_cleared_and_active_ones_are_finished);
  tcase_add_test(tcase, namespace_dropped_is_finished);
  tcase_add_test(tcase, puts_during_migration_find_room);
  tcase_add_test(tcase, value_held_keeps_its_segment);
  tcase_add_test(tcase, lower_limit_evicts_the_oldest);
  tcase_add_test(tcase, higher_limit_keeps_all);
  tcase_add_test(tcase, namespaces_are_charged_to_their_owners);
  tcase_add_test(tcase, files_given_up_are_reported);
  tcase_add_test(tcase, region_missing_loses_its_entries_only);
  tcase_add_test(tcase, chunks_in_the_arena_are_adopted);
  tcase_add_loop_test(tcase, entry_in_two_slots_is_adopted_once, 0, 2);
  tcase_add_test(tcase, value_written_in_part_is_a_miss_and_can_be_put);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
