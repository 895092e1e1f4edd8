/* The table of namespaces: names, bound, limits, manifests, and which namespace is dropped when. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/store/namespace_table.h"
#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/store_world.h"

static void set_up(void) {
  world_open(1 << 24, 1 << 20, 3);
}

static struct namespace *find(const char *name) {
  return namespace_table_find(&world.table, fc_str_of(name));
}

static int put_began(struct namespace *ns, uint32_t n, uint64_t generation) {
  return world_put_info(ns, n, "value",
                        (struct store_put_info){.has_generation = true, .generation = generation});
}

static void put(struct namespace *ns, uint32_t n) {
  world_put(ns, n, "value");
}

START_TEST(open_same_name_returns_same_namespace) {
  struct namespace *a = world_namespace("a"), *b = world_namespace("b");
  ck_assert_ptr_ne(a, b);
  ck_assert_ptr_eq(world_namespace("a"), a);
  ck_assert_uint_eq(a->clients, 2);
  ck_assert_uint_eq(world.table.n, 2);
  ck_assert_ptr_eq(find("a"), a);
  ck_assert_ptr_null(find("c"));
  ck_assert_ptr_eq(world.table.first, a);
  ck_assert_ptr_eq(a->next, b);
  ck_assert_uint_ne(a->seed, b->seed);
}
END_TEST

START_TEST(close_namespace_with_entries_keeps_them) {
  struct namespace *a = world_namespace("a");
  put(a, 1);
  namespace_table_close(&world.table, a);
  ck_assert_ptr_eq(world_namespace("a"), a);
  ck_assert(world_has(a, 1));
}
END_TEST

START_TEST(close_empty_namespace_drops_it) {
  struct namespace *a = world_namespace("a");
  world_namespace("a");
  namespace_table_close(&world.table, a);
  ck_assert_ptr_eq(find("a"), a);
  namespace_table_close(&world.table, a);
  ck_assert_ptr_null(find("a"));
  ck_assert_uint_eq(world.table.n, 0);
}
END_TEST

START_TEST(close_namespace_with_counts_or_limit_keeps_it) {
  struct namespace *a = world_namespace("a"), *b = world_namespace("b");
  struct counters *sets[] = {&a->counters, NULL};
  counters_miss(sets, 2, 1, 10);
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, b, 5), 0);
  namespace_table_close(&world.table, a);
  namespace_table_close(&world.table, b);
  ck_assert_ptr_eq(find("a"), a);
  ck_assert_ptr_eq(find("b"), b);
}
END_TEST

START_TEST(open_at_bound_drops_longest_idle) {
  struct namespace *a = world_namespace("a"), *b = world_namespace("b"), *c = world_namespace("c");
  put(a, 1);
  put(b, 1);
  put(c, 1);
  namespace_table_close(&world.table, b);
  namespace_table_close(&world.table, a);
  struct namespace *d = world_namespace("d");
  ck_assert_ptr_null(find("b"));
  ck_assert_ptr_eq(find("a"), a);
  ck_assert_uint_eq(world.table.n, 3);
  ck_assert_uint_eq(world.store.entries, 2);
  ck_assert_uint_eq(
      world.store.saved->evictions[EVICT_BYTES] + world.store.saved->evictions[EVICT_ENTRIES], 0);
  put(d, 1);
  world_namespace("a"); /* has a client again */
  struct namespace *none = NULL;
  ck_assert_int_eq(namespace_table_open(&world.table, fc_str_of("e"), NULL, &none), FC_EREFUSED);
  ck_assert_ptr_null(none);
  ck_assert_uint_eq(world.table.n, 3);
}
END_TEST

static void set_manifest(struct namespace *ns, const char *text) {
  ck_assert_int_eq(namespace_set_manifest(ns, world.store.catalog, NULL, fc_str_of(text)), 0);
}

static void check_manifest(const struct namespace *ns, const char *text) {
  ck_assert(fc_str_equal(ns->manifest, fc_str_of(text)));
}

START_TEST(manifest_set_twice_copies_latest) {
  char text[] = "{\"model\": \"a\"}";
  struct namespace *a = world_namespace("a"), *b = world_namespace("b");
  ck_assert_ptr_null(a->manifest.data);
  set_manifest(a, text);
  ck_assert_ptr_ne(a->manifest.data, text);
  text[11] = 'b';
  check_manifest(a, "{\"model\": \"a\"}");
  const char *kept = a->manifest.data;
  set_manifest(a, "{\"model\": \"a\"}");
  ck_assert_ptr_eq(a->manifest.data, kept); /* the same again costs nothing */
  set_manifest(a, text);
  check_manifest(a, "{\"model\": \"b\"}");
  ck_assert_ptr_null(b->manifest.data);
  put(a, 1);
  namespace_table_close(&world.table, a);
  check_manifest(world_namespace("a"), text); /* it is kept with the entries */
}
END_TEST

START_TEST(manifest_of_dropped_namespace_freed) {
  struct namespace *a = world_namespace("a");
  set_manifest(a, "old");
  for (uint32_t i = 0; i < 5000; i++) /* more than one slice */
    put(a, i);
  namespace_table_close(&world.table, a);
  (void)world_namespace("b"), (void)world_namespace("c"), (void)world_namespace("d");
  ck_assert_ptr_null(find("a"));
  ck_assert_ptr_eq(world.table.pending_delete, a);
  ck_assert_ptr_null(a->manifest.data); /* at once, before its entries */
  while (!namespace_table_step(&world.table, 1024))
    ;
  namespace_table_close(&world.table, find("b"));
  ck_assert_ptr_null(world_namespace("a")->manifest.data);
}
END_TEST

START_TEST(close_namespace_with_manifest_only_drops_it) {
  struct namespace *a = world_namespace("a");
  set_manifest(a, "{}");
  namespace_table_close(&world.table, a);
  ck_assert_ptr_null(find("a"));
}
END_TEST

START_TEST(serials_in_table_rise) {
  (void)world_namespace("a");
  struct namespace *b = world_namespace("b");
  (void)world_namespace("c");
  namespace_table_close(&world.table, b);
  (void)world_namespace("b");
  for (const struct namespace *ns = world.table.first; ns->next != NULL; ns = ns->next)
    ck_assert_uint_lt(ns->serial, ns->next->serial);
  ck_assert_uint_gt(world.table.first->serial, 0); /* a listing begins after 0 */
}
END_TEST

START_TEST(last_use_out_of_order_keeps_latest) {
  struct namespace *a = world_namespace("a");
  namespace_use(a, 7);
  namespace_use(a, 5);
  ck_assert_uint_eq(a->last_use_ns, 7);
}
END_TEST

START_TEST(release_again_counts_as_latest) {
  struct namespace *a = world_namespace("a"), *b = world_namespace("b"), *c = world_namespace("c");
  put(a, 1);
  put(b, 1);
  put(c, 1);
  namespace_table_close(&world.table, a);
  namespace_table_close(&world.table, b);
  world_namespace("a");
  namespace_table_close(&world.table, a);
  world_namespace("d");
  ck_assert_ptr_null(find("b"));
  ck_assert_ptr_eq(find("a"), a);
}
END_TEST

START_TEST(drop_large_namespace_frees_in_slices) {
  struct namespace *a = world_namespace("a");
  for (uint32_t i = 0; i < 5000; i++)
    put(a, i);
  put(world_namespace("b"), 1);
  world_namespace("c");
  namespace_table_close(&world.table, a);
  uint64_t before = world.store.saved->generation;
  struct namespace *d = world_namespace("d");
  ck_assert_ptr_null(find("a"));
  ck_assert_uint_gt(world.store.entries, 1);
  ck_assert_uint_gt(world.store.saved->generation, before);
  put(d, 1);
  int steps = 0;
  while (!namespace_table_step(&world.table, 1000)) {
    ck_assert_int_lt(++steps, 10);
  }
  ck_assert_int_gt(steps, 1);
  ck_assert_uint_eq(world.store.entries, 2);
  ck_assert(world_has(d, 1));
  ck_assert(namespace_table_step(&world.table, 0));
}
END_TEST

START_TEST(eviction_of_dropped_entries_not_counted) {
  struct namespace *a = world_namespace("a");
  struct fc_key key = key_number(0);
  uint64_t charge = heap_charge(&key, 5);
  for (uint32_t i = 0; i < 3000; i++)
    put(a, i);
  world_namespace("b");
  world_namespace("c");
  namespace_table_close(&world.table, a);
  struct namespace *d = world_namespace("d");
  ck_assert_ptr_nonnull(world.table.pending_delete);
  world.store.max_bytes = world.store.bytes; /* full, except for dropped entries */
  put(d, 1);
  put(d, 2);
  ck_assert_uint_le(world.store.bytes, world.store.max_bytes);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_BYTES], 0);
  ck_assert_uint_eq(d->bytes, 2 * charge);
  ck_assert(world_has(d, 1) && world_has(d, 2));
}
END_TEST

START_TEST(put_from_before_new_namespace_stale) {
  struct namespace *a = world_namespace("a");
  uint64_t began = world.store.saved->generation;
  ck_assert_int_eq(put_began(a, 1, began), FC_STORED);
  struct store_select all = {.ns = a};
  ck_assert_uint_eq(store_clear_all(&world.store, &all), 1);
  uint64_t after_clear = world.store.saved->generation;
  namespace_table_close(&world.table, a); /* dropped, with its log of clears */
  ck_assert_ptr_null(find("a"));
  a = world_namespace("a");
  ck_assert_int_eq(put_began(a, 1, began), FC_STALE);
  ck_assert_int_eq(put_began(a, 1, after_clear), FC_STALE);
  ck_assert_int_eq(put_began(a, 1, world.store.saved->generation), FC_STORED);
}
END_TEST

START_TEST(limit_entries_positive_evicts_at_once) {
  struct namespace *a = world_namespace("a");
  for (uint32_t i = 0; i < 10; i++)
    put(a, i);
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, a, 0), FC_EMAXENTRIES);
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, a, INT64_MIN), FC_EMAXENTRIES);
  ck_assert_uint_eq(a->entries, 10);
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, a, 3), 0);
  ck_assert_uint_eq(a->entries, 3);
  ck_assert_uint_eq(a->evictions[EVICT_ENTRIES], 7);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_ENTRIES], 7);
  ck_assert(world_has(a, 9) && world_has(a, 7) && !world_has(a, 6));
  ck_assert_int_eq(namespace_table_set_max_entries(&world.table, a, INT64_MAX), 0);
  put(a, 10);
  ck_assert_uint_eq(a->entries, 4);
}
END_TEST

START_TEST(limit_bytes_lowered_evicts_in_slices) {
  struct namespace *a = world_namespace("a");
  for (uint32_t i = 0; i < 3 * STORE_SLICE; i++)
    put(a, i);
  uint64_t charge = a->bytes / a->entries, most = (STORE_SLICE - 1) * charge;
  ck_assert_int_eq(namespace_table_set_max_bytes(&world.table, a, 0), FC_EINVAL);
  ck_assert_int_eq(namespace_table_set_max_bytes(&world.table, a, UINT64_MAX), NAMESPACE_LIMITED);
  int calls = 1;
  while (namespace_table_set_max_bytes(&world.table, a, most) == NAMESPACE_LIMIT_MORE) {
    ck_assert_uint_eq(a->entries, (3 - (unsigned)calls) * STORE_SLICE);
    ck_assert_uint_eq(a->max_bytes, a->bytes); /* lowered so far */
    calls++;
  }
  ck_assert_int_eq(calls, 3);
  ck_assert_uint_eq(a->entries, STORE_SLICE - 1);
  ck_assert_uint_eq(a->max_bytes, most);
  ck_assert_uint_eq(a->evictions[EVICT_OWN_BYTES], 2 * STORE_SLICE + 1);
  put(a, 0);
  ck_assert_uint_eq(a->entries, STORE_SLICE - 1);
}
END_TEST

/* A namespace is charged to its maker until it is dropped, and a manifest to its sender until it is
 * replaced. */
START_TEST(namespace_and_manifest_charged_to_users) {
  struct users users;
  struct namespace *a;
  users_init(&users, 75);
  users_set_limit(&users, USER_NAMESPACES, 8);
  struct user *maker = users_ref(&users, 1, true), *giver = users_ref(&users, 2, true);
  ck_assert_int_eq(namespace_table_open(&world.table, fc_str_of("a"), maker, &a), 0);
  ck_assert_int_eq(namespace_table_open(&world.table, fc_str_of("a"), giver, &a), 0);
  ck_assert_uint_eq(maker->used[USER_NAMESPACES], 1);
  ck_assert_uint_eq(giver->used[USER_NAMESPACES], 0);
  ck_assert_int_eq(namespace_set_manifest(a, world.store.catalog, maker, fc_str_of("one")), 0);
  ck_assert_uint_eq(maker->used[USER_MANIFEST_BYTES], 3);
  ck_assert_int_eq(namespace_set_manifest(a, world.store.catalog, giver, fc_str_of("other")), 0);
  ck_assert_uint_eq(maker->used[USER_MANIFEST_BYTES], 0);
  ck_assert_uint_eq(giver->used[USER_MANIFEST_BYTES], 5);
  user_unref(maker);
  user_unref(giver);
  ck_assert_uint_eq(users.n, 2); /* their charges keep them */
  namespace_table_close(&world.table, a);
  namespace_table_close(&world.table, a); /* dropped, because it is unused */
  users_deinit(&users);
}
END_TEST

START_TEST(drop_during_clear_finishes_clear) {
  struct namespace *a = world_namespace("a");
  put(a, 1);
  world_namespace("b");
  world_namespace("c");
  namespace_table_close(&world.table, a);
  struct store_select select = {.ns = a};
  struct store_clear clear;
  store_clear_start(&world.store, &clear, &select);
  world_namespace("d");
  ck_assert(clear.finished);
  ck_assert(store_clear_step(&world.store, &clear, 1));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("namespace");
  TCase *tcase = tcase_create("namespace");
  tcase_add_checked_fixture(tcase, set_up, world_close);
  tcase_add_test(tcase, open_same_name_returns_same_namespace);
  tcase_add_test(tcase, close_namespace_with_entries_keeps_them);
  tcase_add_test(tcase, close_empty_namespace_drops_it);
  tcase_add_test(tcase, close_namespace_with_counts_or_limit_keeps_it);
  tcase_add_test(tcase, open_at_bound_drops_longest_idle);
  tcase_add_test(tcase, manifest_set_twice_copies_latest);
  tcase_add_test(tcase, manifest_of_dropped_namespace_freed);
  tcase_add_test(tcase, close_namespace_with_manifest_only_drops_it);
  tcase_add_test(tcase, serials_in_table_rise);
  tcase_add_test(tcase, last_use_out_of_order_keeps_latest);
  tcase_add_test(tcase, release_again_counts_as_latest);
  tcase_add_test(tcase, drop_large_namespace_frees_in_slices);
  tcase_add_test(tcase, eviction_of_dropped_entries_not_counted);
  tcase_add_test(tcase, put_from_before_new_namespace_stale);
  tcase_add_test(tcase, limit_entries_positive_evicts_at_once);
  tcase_add_test(tcase, limit_bytes_lowered_evicts_in_slices);
  tcase_add_test(tcase, namespace_and_manifest_charged_to_users);
  tcase_add_test(tcase, drop_during_clear_finishes_clear);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
