/* The table of namespaces: by name, bounded, and what goes when. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/store/namespace_table.h"
#include "daemon/store/store_clear.h"
#include "proto/errors.h"
#include "tests/support/private_store.h"
#include "tests/support/runner.h"

static struct region region;
static struct store store;
static struct namespace_table table;

static void setup(void) {
  private_store_init(&store, &region, 1 << 24, 1 << 20, 42);
  namespace_table_init(&table, &store, 3);
}

static void teardown(void) {
  namespace_table_deinit(&table);
  private_store_deinit(&store, &region);
}

static struct namespace *open_ns(const char *name) {
  struct namespace *ns = NULL;
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of(name), NULL, &ns), 0);
  return ns;
}

static struct namespace *find(const char *name) {
  return namespace_table_find(&table, fc_str_of(name));
}

static struct fc_key key_of(uint32_t n) {
  return (struct fc_key){.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = n};
}

static int put_began(struct namespace *ns, uint32_t n, uint64_t generation) {
  struct fc_key key = key_of(n);
  struct store_put_info info = {.has_generation = true, .generation = generation};
  return store_put(&store, ns, &key, "value", 5, &info);
}

static void put(struct namespace *ns, uint32_t n) {
  ck_assert_int_eq(put_began(ns, n, store.generation), FC_STORED);
}

static bool stored(struct namespace *ns, uint32_t n) {
  struct fc_key key = key_of(n);
  return store_peek(&store, ns, &key) != NULL;
}

START_TEST(test_the_same_name_is_the_same_namespace) {
  struct namespace *a = open_ns("a"), *b = open_ns("b");
  ck_assert_ptr_ne(a, b);
  ck_assert_ptr_eq(open_ns("a"), a);
  ck_assert_uint_eq(a->clients, 2);
  ck_assert_uint_eq(table.n, 2);
  ck_assert_ptr_eq(find("a"), a);
  ck_assert_ptr_null(find("c"));
  ck_assert_ptr_eq(table.first, a);
  ck_assert_ptr_eq(a->next, b);
  ck_assert_uint_ne(a->seed, b->seed);
}
END_TEST

START_TEST(test_entries_outlive_the_last_client) {
  struct namespace *a = open_ns("a");
  put(a, 1);
  namespace_table_close(&table, a);
  ck_assert_ptr_eq(open_ns("a"), a);
  ck_assert(stored(a, 1));
}
END_TEST

START_TEST(test_one_that_holds_nothing_goes_with_its_last_client) {
  struct namespace *a = open_ns("a");
  open_ns("a");
  namespace_table_close(&table, a);
  ck_assert_ptr_eq(find("a"), a);
  namespace_table_close(&table, a);
  ck_assert_ptr_null(find("a"));
  ck_assert_uint_eq(table.n, 0);
}
END_TEST

START_TEST(test_counts_or_a_limit_keep_one) {
  struct namespace *a = open_ns("a"), *b = open_ns("b");
  struct counters *sets[] = {&a->counters, NULL};
  counters_miss(sets, 2, 1, 10);
  ck_assert_int_eq(namespace_table_set_max_entries(&table, b, 5), 0);
  namespace_table_close(&table, a);
  namespace_table_close(&table, b);
  ck_assert_ptr_eq(find("a"), a);
  ck_assert_ptr_eq(find("b"), b);
}
END_TEST

START_TEST(test_past_the_bound_the_one_longest_without_clients_goes) {
  struct namespace *a = open_ns("a"), *b = open_ns("b"), *c = open_ns("c");
  put(a, 1);
  put(b, 1);
  put(c, 1);
  namespace_table_close(&table, b);
  namespace_table_close(&table, a);
  struct namespace *d = open_ns("d");
  ck_assert_ptr_null(find("b"));
  ck_assert_ptr_eq(find("a"), a);
  ck_assert_uint_eq(table.n, 3);
  ck_assert_uint_eq(store.entries, 2);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES] + store.evictions[EVICT_ENTRIES], 0);
  put(d, 1);
  open_ns("a"); /* has a client again */
  struct namespace *none = NULL;
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("e"), NULL, &none), FC_EREFUSED);
  ck_assert_ptr_null(none);
  ck_assert_uint_eq(table.n, 3);
}
END_TEST

static void set_manifest(struct namespace *ns, const char *text) {
  ck_assert_int_eq(namespace_set_manifest(ns, NULL, fc_str_of(text)), 0);
}

static void check_manifest(const struct namespace *ns, const char *text) {
  ck_assert(fc_str_equal(ns->manifest, fc_str_of(text)));
}

START_TEST(test_a_manifest_is_copied_and_the_latest_stands) {
  char text[] = "{\"model\": \"a\"}";
  struct namespace *a = open_ns("a"), *b = open_ns("b");
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
  namespace_table_close(&table, a);
  check_manifest(open_ns("a"), text); /* it lives with the entries */
}
END_TEST

START_TEST(test_a_manifest_goes_with_its_namespace) {
  struct namespace *a = open_ns("a");
  set_manifest(a, "old");
  for (uint32_t i = 0; i < 5000; i++) /* more than go in one step */
    put(a, i);
  namespace_table_close(&table, a);
  (void)open_ns("b"), (void)open_ns("c"), (void)open_ns("d");
  ck_assert_ptr_null(find("a"));
  ck_assert_ptr_eq(table.condemned, a);
  ck_assert_ptr_null(a->manifest.data); /* at once, though its entries go step by step */
  while (!namespace_table_step(&table, 1024))
    ;
  namespace_table_close(&table, find("b"));
  ck_assert_ptr_null(open_ns("a")->manifest.data);
}
END_TEST

/* It says what would have gone in, and nothing did. */
START_TEST(test_a_manifest_alone_keeps_no_namespace) {
  struct namespace *a = open_ns("a");
  set_manifest(a, "{}");
  namespace_table_close(&table, a);
  ck_assert_ptr_null(find("a"));
}
END_TEST

START_TEST(test_namespaces_have_serials_in_their_order) {
  (void)open_ns("a");
  struct namespace *b = open_ns("b");
  (void)open_ns("c");
  namespace_table_close(&table, b);
  (void)open_ns("b");
  for (const struct namespace *ns = table.first; ns->next != NULL; ns = ns->next)
    ck_assert_uint_lt(ns->serial, ns->next->serial);
  ck_assert_uint_gt(table.first->serial, 0); /* a listing starts behind 0 */
}
END_TEST

START_TEST(test_the_last_use_is_the_latest) {
  struct namespace *a = open_ns("a");
  namespace_use(a, 7);
  namespace_use(a, 5);
  ck_assert_uint_eq(a->last_use_ns, 7);
}
END_TEST

START_TEST(test_a_later_release_counts_anew) {
  struct namespace *a = open_ns("a"), *b = open_ns("b"), *c = open_ns("c");
  put(a, 1);
  put(b, 1);
  put(c, 1);
  namespace_table_close(&table, a);
  namespace_table_close(&table, b);
  open_ns("a");
  namespace_table_close(&table, a);
  open_ns("d");
  ck_assert_ptr_null(find("b"));
  ck_assert_ptr_eq(find("a"), a);
}
END_TEST

START_TEST(test_a_large_one_is_gone_at_once_and_freed_in_steps) {
  struct namespace *a = open_ns("a");
  for (uint32_t i = 0; i < 5000; i++)
    put(a, i);
  put(open_ns("b"), 1);
  open_ns("c");
  namespace_table_close(&table, a);
  uint64_t before = store.generation;
  struct namespace *d = open_ns("d");
  ck_assert_ptr_null(find("a"));
  ck_assert_uint_gt(store.entries, 1);
  ck_assert_uint_gt(store.generation, before);
  put(d, 1);
  int steps = 0;
  while (!namespace_table_step(&table, 1000)) {
    ck_assert_int_lt(++steps, 10);
  }
  ck_assert_int_gt(steps, 1);
  ck_assert_uint_eq(store.entries, 2);
  ck_assert(stored(d, 1));
  ck_assert(namespace_table_step(&table, 0));
}
END_TEST

START_TEST(test_eviction_passes_through_a_dropped_one_uncounted) {
  struct namespace *a = open_ns("a");
  struct fc_key key = key_of(0);
  uint64_t charge = heap_charge(&key, 5);
  for (uint32_t i = 0; i < 3000; i++)
    put(a, i);
  open_ns("b");
  open_ns("c");
  namespace_table_close(&table, a);
  struct namespace *d = open_ns("d");
  ck_assert_ptr_nonnull(table.condemned);
  store.max_bytes = store.bytes; /* full, but for what is on its way out */
  put(d, 1);
  put(d, 2);
  ck_assert_uint_le(store.bytes, store.max_bytes);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES], 0);
  ck_assert_uint_eq(d->bytes, 2 * charge);
  ck_assert(stored(d, 1) && stored(d, 2));
}
END_TEST

START_TEST(test_a_put_from_before_it_was_made_anew_is_stale) {
  struct namespace *a = open_ns("a");
  uint64_t began = store.generation;
  ck_assert_int_eq(put_began(a, 1, began), FC_STORED);
  struct store_select all = {.ns = a};
  ck_assert_uint_eq(store_clear_all(&store, &all), 1);
  uint64_t after_clear = store.generation;
  namespace_table_close(&table, a); /* gone, and its log of clears with it */
  ck_assert_ptr_null(find("a"));
  a = open_ns("a");
  ck_assert_int_eq(put_began(a, 1, began), FC_STALE);
  ck_assert_int_eq(put_began(a, 1, after_clear), FC_STALE);
  ck_assert_int_eq(put_began(a, 1, store.generation), FC_STORED);
}
END_TEST

START_TEST(test_a_limit_must_be_positive_and_evicts_at_once) {
  struct namespace *a = open_ns("a");
  for (uint32_t i = 0; i < 10; i++)
    put(a, i);
  ck_assert_int_eq(namespace_table_set_max_entries(&table, a, 0), FC_EMAXENTRIES);
  ck_assert_int_eq(namespace_table_set_max_entries(&table, a, INT64_MIN), FC_EMAXENTRIES);
  ck_assert_uint_eq(a->entries, 10);
  ck_assert_int_eq(namespace_table_set_max_entries(&table, a, 3), 0);
  ck_assert_uint_eq(a->entries, 3);
  ck_assert_uint_eq(a->evictions[EVICT_ENTRIES], 7);
  ck_assert_uint_eq(store.evictions[EVICT_ENTRIES], 7);
  ck_assert(stored(a, 9) && stored(a, 7) && !stored(a, 6));
  ck_assert_int_eq(namespace_table_set_max_entries(&table, a, INT64_MAX), 0);
  put(a, 10);
  ck_assert_uint_eq(a->entries, 4);
}
END_TEST

START_TEST(test_a_lower_limit_in_bytes_evicts_in_slices) {
  struct namespace *a = open_ns("a");
  for (uint32_t i = 0; i < 3 * STORE_SLICE; i++)
    put(a, i);
  uint64_t charge = a->bytes / a->entries, most = (STORE_SLICE - 1) * charge;
  ck_assert_int_eq(namespace_table_set_max_bytes(&table, a, 0), FC_EINVAL);
  ck_assert_int_eq(namespace_table_set_max_bytes(&table, a, UINT64_MAX), NAMESPACE_LIMITED);
  int calls = 1;
  while (namespace_table_set_max_bytes(&table, a, most) == NAMESPACE_LIMIT_MORE) {
    ck_assert_uint_eq(a->entries, (3 - (unsigned)calls) * STORE_SLICE);
    ck_assert_uint_eq(a->max_bytes, a->bytes); /* so far */
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

/* The namespace is the maker's until it is dropped, and a manifest its giver's until it is
 * replaced.
 */
START_TEST(test_what_it_takes_is_charged_to_users) {
  struct users users;
  struct namespace *a;
  users_init(&users, 75);
  users_set_limit(&users, USER_NAMESPACES, 8);
  struct user *maker = users_ref(&users, 1, true), *giver = users_ref(&users, 2, true);
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("a"), maker, &a), 0);
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("a"), giver, &a), 0);
  ck_assert_uint_eq(maker->used[USER_NAMESPACES], 1);
  ck_assert_uint_eq(giver->used[USER_NAMESPACES], 0);
  ck_assert_int_eq(namespace_set_manifest(a, maker, fc_str_of("one")), 0);
  ck_assert_uint_eq(maker->used[USER_MANIFEST_BYTES], 3);
  ck_assert_int_eq(namespace_set_manifest(a, giver, fc_str_of("other")), 0);
  ck_assert_uint_eq(maker->used[USER_MANIFEST_BYTES], 0);
  ck_assert_uint_eq(giver->used[USER_MANIFEST_BYTES], 5);
  user_unref(maker);
  user_unref(giver);
  ck_assert_uint_eq(users.n, 2); /* what they left keeps them */
  namespace_table_close(&table, a);
  namespace_table_close(&table, a); /* unused: it goes */
  users_deinit(&users);
}
END_TEST

START_TEST(test_dropping_ends_the_clears_of_it) {
  struct namespace *a = open_ns("a");
  put(a, 1);
  open_ns("b");
  open_ns("c");
  namespace_table_close(&table, a);
  struct store_select select = {.ns = a};
  struct store_clear clear;
  store_clear_start(&store, &clear, &select);
  open_ns("d");
  ck_assert(clear.finished);
  ck_assert(store_clear_step(&store, &clear, 1));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("namespace");
  TCase *tcase = tcase_create("namespace");
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, test_the_same_name_is_the_same_namespace);
  tcase_add_test(tcase, test_entries_outlive_the_last_client);
  tcase_add_test(tcase, test_one_that_holds_nothing_goes_with_its_last_client);
  tcase_add_test(tcase, test_counts_or_a_limit_keep_one);
  tcase_add_test(tcase, test_past_the_bound_the_one_longest_without_clients_goes);
  tcase_add_test(tcase, test_a_manifest_is_copied_and_the_latest_stands);
  tcase_add_test(tcase, test_a_manifest_goes_with_its_namespace);
  tcase_add_test(tcase, test_a_manifest_alone_keeps_no_namespace);
  tcase_add_test(tcase, test_namespaces_have_serials_in_their_order);
  tcase_add_test(tcase, test_the_last_use_is_the_latest);
  tcase_add_test(tcase, test_a_later_release_counts_anew);
  tcase_add_test(tcase, test_a_large_one_is_gone_at_once_and_freed_in_steps);
  tcase_add_test(tcase, test_eviction_passes_through_a_dropped_one_uncounted);
  tcase_add_test(tcase, test_a_put_from_before_it_was_made_anew_is_stale);
  tcase_add_test(tcase, test_a_limit_must_be_positive_and_evicts_at_once);
  tcase_add_test(tcase, test_a_lower_limit_in_bytes_evicts_in_slices);
  tcase_add_test(tcase, test_what_it_takes_is_charged_to_users);
  tcase_add_test(tcase, test_dropping_ends_the_clears_of_it);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
