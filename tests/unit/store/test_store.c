/* Puts and gets of the store, and its limits. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/store_world.h"

#define MAX_VALUE 4096u

static void set_up(void) {
  world_open_two(1 << 20, MAX_VALUE);
}

START_TEST(get_after_put_returns_value) {
  ck_assert_ptr_null(world_get(world.ns, 1));
  world_put(world.ns, 1, "one");
  world_put(world.ns, 2, "two");
  world_check_value(world_get(world.ns, 1), "one");
  world_check_value(world_get(world.ns, 2), "two");
  ck_assert_ptr_null(world_get(world.ns, 3));
  ck_assert_ptr_null(world_get(world.other, 1));
}
END_TEST

START_TEST(keys_differing_in_one_part_are_distinct) {
  struct fc_key keys[] = {key_number(1), key_named("op2", "base", 1), key_named("op", "ft", 1),
                          key_number(2), key_number(1)};
  keys[4].top_k = 1;
  struct store_put_info info = {0};
  for (uint32_t i = 0; i < 5; i++)
    ck_assert_int_eq(store_put(&world.store, world.ns, &keys[i], &i, sizeof i, &info), FC_STORED);
  /* the same bytes, divided elsewhere */
  struct fc_key cut = key_named("opb", "ase", 1);
  ck_assert_ptr_null(store_peek(&world.store, world.ns, &cut));
  ck_assert_uint_eq(world.store.entries, 5);
  for (uint32_t i = 0; i < 5; i++)
    private_store_check_value(store_peek(&world.store, world.ns, &keys[i]), &i, sizeof i);
}
END_TEST

START_TEST(get_empty_value_hits) {
  world_put_bytes(world.ns, 1, NULL, 0);
  struct entry *entry = world_get(world.ns, 1);
  ck_assert_ptr_nonnull(entry);
  ck_assert_uint_eq(entry_value_size(entry), 0);
}
END_TEST

START_TEST(put_same_key_replaces_value_and_charge) {
  const char *values[] = {"first", "other", "a longer one", "", "x"};
  for (size_t i = 0; i < 5; i++) {
    world_put(world.ns, 1, values[i]);
    world_check_value(world_get(world.ns, 1), values[i]);
    struct fc_key key = key_number(1);
    ck_assert_uint_eq(world.store.entries, 1);
    ck_assert_uint_eq(world.ns->entries, 1);
    ck_assert_uint_eq(world.store.bytes, heap_charge(&key, strlen(values[i])));
    ck_assert_uint_eq(world.ns->bytes, world.store.bytes);
  }
}
END_TEST

START_TEST(entry_after_gets_and_put_has_history) {
  struct store_put_info info = {.origin = 5, .compute_ns = 1000, .now_ns = 10};
  ck_assert_int_eq(world_put_info(world.ns, 1, "v", info), FC_STORED);
  struct fc_key key = key_number(1);
  const struct entry *entry = store_peek(&world.store, world.ns, &key);
  ck_assert_uint_eq(entry_origin(entry), 5);
  ck_assert_uint_eq(entry_compute_ns(entry), 1000);
  ck_assert_uint_eq(entry->last_use_ns, 10);
  ck_assert_uint_eq(entry->hits, 0);
  uint64_t stamp = entry->use_stamp;
  world_get(world.ns, 1);
  entry = world_get(world.ns, 1);
  ck_assert_uint_eq(entry->hits, 2);
  ck_assert_uint_eq(entry->last_use_ns, 99);
  ck_assert_uint_gt(entry->use_stamp, stamp);
  info.origin = 6;
  ck_assert_int_eq(world_put_info(world.ns, 1, "w", info), FC_STORED);
  entry = store_peek(&world.store, world.ns, &key);
  ck_assert_uint_eq(entry_origin(entry), 6);
  ck_assert_uint_eq(entry->hits, 0);
  struct fc_key back = entry_key(entry);
  ck_assert(fc_str_equal(back.op, key.op) && fc_str_equal(back.view, key.view));
  ck_assert_mem_eq(back.prompt.bytes, key.prompt.bytes, FC_HASH_SIZE);
}
END_TEST

START_TEST(put_over_max_entries_evicts_oldest_of_namespace) {
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, world.ns, 2), 0);
  world_put(world.other, 9, "older than all");
  world_put(world.ns, 1, "a");
  world_put(world.ns, 2, "b");
  world_get(world.ns, 1);
  world_put(world.ns, 3, "c");
  ck_assert(world_has(world.ns, 1) && !world_has(world.ns, 2) && world_has(world.ns, 3));
  ck_assert(world_has(world.other, 9));
  world_put(world.ns, 1, "replaced"); /* promotes, evicts nothing */
  world_put(world.ns, 4, "d");
  ck_assert(world_has(world.ns, 1) && !world_has(world.ns, 3) && world_has(world.ns, 4));
  ck_assert_uint_eq(world.ns->evictions[EVICT_ENTRIES], 2);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_ENTRIES], 2);
  ck_assert_uint_eq(world.other->evictions[EVICT_ENTRIES], 0);
}
END_TEST

START_TEST(peek_entry_does_not_promote) {
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, world.ns, 2), 0);
  world_put(world.ns, 1, "a");
  world_put(world.ns, 2, "b");
  ck_assert(world_has(world.ns, 1));
  world_put(world.ns, 3, "c");
  ck_assert(!world_has(world.ns, 1));
}
END_TEST

START_TEST(put_over_max_bytes_evicts_oldest_of_all) {
  struct fc_key key = key_number(1);
  world.store.max_bytes = 3 * heap_charge(&key, 1);
  world_put(world.ns, 1, "a");
  world_put(world.other, 1, "b");
  world_put(world.ns, 2, "c");
  world_get(world.ns, 1);
  world_put(world.ns, 3, "d");
  ck_assert(!world_has(world.other, 1));
  ck_assert(world_has(world.ns, 1) && world_has(world.ns, 2) && world_has(world.ns, 3));
  world_put(world.other, 2, "e");
  ck_assert(!world_has(world.ns, 2));
  ck_assert_uint_eq(world.other->evictions[EVICT_BYTES], 1);
  ck_assert_uint_eq(world.ns->evictions[EVICT_BYTES], 1);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_BYTES], 2);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_ENTRIES], 0);
  ck_assert_uint_eq(world.store.bytes, world.store.max_bytes);
}
END_TEST

START_TEST(put_over_namespace_bytes_evicts_oldest_of_namespace) {
  struct fc_key key = key_number(1);
  uint64_t charge = heap_charge(&key, 1);
  world_put(world.other, 9, "older than all");
  ck_assert_int_eq(namespace_table_set_max_bytes(&world.table, world.ns, 3 * charge), 0);
  for (uint32_t i = 1; i <= 3; i++)
    world_put(world.ns, i, "v");
  world_get(world.ns, 1);
  world_put(world.ns, 4, "v");
  ck_assert(world_has(world.ns, 1) && !world_has(world.ns, 2) && world_has(world.ns, 3) &&
            world_has(world.ns, 4));
  ck_assert(world_has(world.other, 9));
  world_put(world.ns, 3, "w"); /* a replacement evicts nothing */
  ck_assert_uint_eq(world.ns->entries, 3);
  ck_assert_uint_eq(world.ns->bytes, 3 * charge);
  world_put(world.ns, 3, "a larger value: another goes for it");
  ck_assert(!world_has(world.ns, 1) && world_has(world.ns, 3) && world_has(world.ns, 4));
  ck_assert_uint_eq(world.ns->evictions[EVICT_OWN_BYTES], 2);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_OWN_BYTES], 2);
  ck_assert_uint_eq(
      world.store.saved->evictions[EVICT_BYTES] + world.other->evictions[EVICT_OWN_BYTES], 0);
}
END_TEST

START_TEST(put_larger_than_namespace_bytes_rejected) {
  struct fc_key key = key_number(1);
  char value[117];
  memset(value, 'x', sizeof value - 1);
  value[sizeof value - 1] = '\0';
  world_put(world.ns, 1, "old");
  ck_assert_int_eq(namespace_table_set_max_bytes(&world.table, world.ns, heap_charge(&key, 100)),
                   0);
  ck_assert_int_eq(world_put_info(world.ns, 1, value, (struct store_put_info){0}), FC_ETOOBIG);
  world_check_value(world_get(world.ns, 1), "old");
  world_put(world.other, 1, value);
  value[100] = '\0';
  world_put(world.ns, 1, value);
  world_put(world.ns, 2, value); /* it fits alone */
  ck_assert(!world_has(world.ns, 1) && world_has(world.ns, 2));
}
END_TEST

START_TEST(put_large_value_evicts_all_others) {
  char large[1001];
  memset(large, 'x', sizeof large - 1);
  large[1000] = '\0';
  struct fc_key key = key_number(9);
  world.store.max_bytes = heap_charge(&key, 1000);
  for (uint32_t i = 0; i < 5; i++)
    world_put(world.ns, i, "v");
  world_put(world.ns, 9, large);
  ck_assert_uint_eq(world.store.entries, 1);
  world_check_value(world_get(world.ns, 9), large);
}
END_TEST

START_TEST(put_too_large_rejected_and_old_value_kept) {
  char value[MAX_VALUE + 1];
  memset(value, 'x', sizeof value);
  struct fc_key key = key_number(1);
  struct store_put_info info = {0};
  world_put(world.ns, 1, "old");
  ck_assert_int_eq(store_put(&world.store, world.ns, &key, value, MAX_VALUE + 1, &info),
                   FC_ETOOBIG);
  world_check_value(world_get(world.ns, 1), "old");
  world.store.max_bytes = heap_charge(&key, 100) - 1;
  ck_assert_int_eq(store_put(&world.store, world.ns, &key, value, 100, &info), FC_ETOOBIG);
  world_check_value(world_get(world.ns, 1), "old");
  world.store.max_bytes = 1 << 20;
  ck_assert_int_eq(store_put(&world.store, world.ns, &key, value, MAX_VALUE, &info), FC_STORED);
}
END_TEST

START_TEST(put_keep_first_promotes_old_value) {
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, world.ns, 2), 0);
  struct store_put_info keep = {.origin = 3, .keep_first = true, .now_ns = 50};
  ck_assert_int_eq(world_put_info(world.ns, 1, "first", keep), FC_STORED);
  world_put(world.ns, 2, "b");
  keep.origin = 4;
  ck_assert_int_eq(world_put_info(world.ns, 1, "second", keep), FC_KEPT);
  world_put(world.ns, 3, "c");
  struct fc_key key = key_number(1);
  world_check_value(store_peek(&world.store, world.ns, &key), "first");
  ck_assert_uint_eq(entry_origin(store_peek(&world.store, world.ns, &key)), 3);
  ck_assert_uint_eq(store_peek(&world.store, world.ns, &key)->hits, 0);
  ck_assert(!world_has(world.ns, 2));
}
END_TEST

START_TEST(charge_of_value_counts_block_and_metadata) {
  struct fc_key key = key_named("op", "base", 0);
  uint64_t empty = heap_charge(&key, 0);
  ck_assert_uint_eq(empty, sizeof(struct fc_region_entry) + 16 + sizeof(struct entry) + 2 * 32);
  ck_assert_uint_eq(heap_charge(&key, 8), empty);
  ck_assert_uint_eq(heap_charge(&key, 9), empty + 16);
  ck_assert_uint_eq(heap_charge(&key, 1600), empty + 1600);
  ck_assert_uint_eq(heap_charge(&key, (uint64_t)UINT32_MAX + 1), empty + (1ull << 32));
}
END_TEST

/* A lowered limit is reached in slices, and each intermediate limit holds. */
START_TEST(limit_lowered_evicts_in_slices) {
  enum { N = 2 * STORE_SLICE + 100 };
  world_close();
  world_open_two(8 << 20, MAX_VALUE);
  for (uint32_t i = 0; i < N; i++)
    world_put(world.ns, i, "v");
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, world.ns, 50),
                   NAMESPACE_LIMIT_MORE);
  ck_assert_uint_eq(world.ns->max_entries, N - STORE_SLICE);
  ck_assert_uint_eq(world.ns->entries, N - STORE_SLICE);
  world_put(world.ns, N, "v"); /* of another client, in between */
  ck_assert_uint_eq(world.ns->entries, N - STORE_SLICE);
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, world.ns, 50),
                   NAMESPACE_LIMIT_MORE);
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, world.ns, 50), NAMESPACE_LIMITED);
  ck_assert_uint_eq(world.ns->max_entries, 50);
  ck_assert_uint_eq(world.ns->entries, 50);
  ck_assert_uint_eq(world.ns->evictions[EVICT_ENTRIES], N + 1 - 50);
  ck_assert(world_has(world.ns, N) && world_has(world.ns, N - 49) && !world_has(world.ns, N - 50));
}
END_TEST

/* store_put_has_room evicts thousands of entries for a large value slice by slice. The put then
 * evicts few. */
START_TEST(room_for_large_value_made_in_slices) {
  enum { SMALL = 5000, LARGE = 1 << 20 };
  char *value = calloc(1, LARGE);
  struct store_put_info info = {.keep_first = _i == 1};
  struct fc_key key = key_number(SMALL);
  unsigned slices = 0;
  ck_assert_ptr_nonnull(value);
  world_close();
  world_open_two(2 << 20, MAX_VALUE);
  world.store.max_value = LARGE;
  for (uint32_t i = 0; i < 2 * SMALL; i++)
    world_put(world.ns, i == SMALL ? 0 : i, "v");
  for (uint64_t before = world.store.entries;
       !store_put_has_room(&world.store, world.ns, &key, LARGE - 200, &info);
       before = world.store.entries, slices++)
    ck_assert_uint_eq(before - world.store.entries, STORE_SLICE);
  ck_assert_uint_ge(slices, 3);
  uint64_t before = world.store.entries;
  ck_assert_int_eq(store_put(&world.store, world.ns, &key, value, LARGE - 200, &info), FC_STORED);
  ck_assert_uint_ge(world.store.entries + STORE_SLICE, before);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_FORCED], 0);
  before = world.store.entries;
  ck_assert(store_put_has_room(&world.store, world.ns, &key, LARGE - 200,
                               &info)); /* it replaces a value of the same size */
  ck_assert_uint_eq(world.store.entries, before);
  free(value);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store");
  TCase *tcase = tcase_create("store");
  tcase_add_checked_fixture(tcase, set_up, world_close);
  tcase_add_test(tcase, get_after_put_returns_value);
  tcase_add_test(tcase, keys_differing_in_one_part_are_distinct);
  tcase_add_test(tcase, get_empty_value_hits);
  tcase_add_test(tcase, put_same_key_replaces_value_and_charge);
  tcase_add_test(tcase, entry_after_gets_and_put_has_history);
  tcase_add_test(tcase, put_over_max_entries_evicts_oldest_of_namespace);
  tcase_add_test(tcase, peek_entry_does_not_promote);
  tcase_add_test(tcase, put_over_max_bytes_evicts_oldest_of_all);
  tcase_add_test(tcase, put_over_namespace_bytes_evicts_oldest_of_namespace);
  tcase_add_test(tcase, put_larger_than_namespace_bytes_rejected);
  tcase_add_test(tcase, put_large_value_evicts_all_others);
  tcase_add_test(tcase, put_too_large_rejected_and_old_value_kept);
  tcase_add_test(tcase, put_keep_first_promotes_old_value);
  tcase_add_test(tcase, charge_of_value_counts_block_and_metadata);
  tcase_add_test(tcase, limit_lowered_evicts_in_slices);
  tcase_add_loop_test(tcase, room_for_large_value_made_in_slices, 0, 2);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
