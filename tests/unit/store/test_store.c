/* The cache's behaviour, one rule a test. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/namespace_table.h"
#include "daemon/store/store_clear.h"
#include "daemon/store/store_list.h"
#include "proto/errors.h"
#include "tests/support/colliding.h"
#include "tests/support/private_store.h"
#include "tests/support/runner.h"

#define MAX_VALUE 4096u

static struct region region;
static struct store store;
static struct namespace_table table;
static struct namespace *ns, *other;

static void setup_with(uint64_t max_bytes) {
  private_store_init(&store, &region, max_bytes, MAX_VALUE, 7);
  namespace_table_init(&table, &store, 8);
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("ns"), NULL, &ns), 0);
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("other"), NULL, &other), 0);
}

static void setup(void) {
  setup_with(1 << 20);
}

static void teardown(void) {
  namespace_table_deinit(&table);
  private_store_deinit(&store, &region);
}

static struct fc_key key_named(const char *op, const char *view, uint32_t n) {
  return (struct fc_key){.op = fc_str_of(op), .view = fc_str_of(view), .top_k = n};
}

static struct fc_key key_of(uint32_t n) {
  return key_named("op", "base", n);
}

static int put_info(struct namespace *space, uint32_t n, const char *value,
                    struct store_put_info info) {
  struct fc_key key = key_of(n);
  return store_put(&store, space, &key, value, (uint32_t)strlen(value), &info);
}

static void put(struct namespace *space, uint32_t n, const char *value) {
  ck_assert_int_eq(put_info(space, n, value, (struct store_put_info){0}), FC_STORED);
}

static void put_named(struct namespace *space, const char *op, const char *view) {
  struct fc_key key = key_named(op, view, 0);
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&store, space, &key, "v", 1, &info), FC_STORED);
}

static bool stored(struct namespace *space, uint32_t n) {
  struct fc_key key = key_of(n);
  return store_peek(&store, space, &key) != NULL;
}

static struct entry *get(struct namespace *space, uint32_t n) {
  struct fc_key key = key_of(n);
  struct entry *entry = store_peek(&store, space, &key);
  if (entry != NULL)
    store_use(&store, entry, 99);
  return entry;
}

static void assert_value(const struct entry *entry, const char *value) {
  ck_assert_ptr_nonnull(entry);
  private_store_check_value(entry, value, strlen(value));
}

START_TEST(test_get_gives_what_was_put) {
  ck_assert_ptr_null(get(ns, 1));
  put(ns, 1, "one");
  put(ns, 2, "two");
  assert_value(get(ns, 1), "one");
  assert_value(get(ns, 2), "two");
  ck_assert_ptr_null(get(ns, 3));
  ck_assert_ptr_null(get(other, 1));
}
END_TEST

START_TEST(test_every_part_of_the_key_tells_entries_apart) {
  struct fc_key keys[5];
  keys[0] = key_named("op", "base", 1);
  keys[1] = key_named("op2", "base", 1);
  keys[2] = key_named("op", "ft", 1);
  keys[3] = key_named("op", "base", 2);
  keys[4] = keys[0];
  keys[4].prompt.bytes[15] = 1;
  struct store_put_info info = {0};
  for (uint32_t i = 0; i < 5; i++)
    ck_assert_int_eq(store_put(&store, ns, &keys[i], &i, sizeof i, &info), FC_STORED);
  /* the same bytes, cut elsewhere */
  struct fc_key cut = key_named("opb", "ase", 1);
  ck_assert_ptr_null(store_peek(&store, ns, &cut));
  ck_assert_uint_eq(store.entries, 5);
  for (uint32_t i = 0; i < 5; i++)
    private_store_check_value(store_peek(&store, ns, &keys[i]), &i, sizeof i);
}
END_TEST

START_TEST(test_an_empty_value_is_a_hit) {
  struct fc_key key = key_of(1);
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&store, ns, &key, NULL, 0, &info), FC_STORED);
  struct entry *entry = get(ns, 1);
  ck_assert_ptr_nonnull(entry);
  ck_assert_uint_eq(entry_value_size(entry), 0);
}
END_TEST

START_TEST(test_put_replaces_with_any_size) {
  const char *values[] = {"first", "other", "a longer one", "", "x"};
  for (size_t i = 0; i < 5; i++) {
    put(ns, 1, values[i]);
    assert_value(get(ns, 1), values[i]);
    struct fc_key key = key_of(1);
    ck_assert_uint_eq(store.entries, 1);
    ck_assert_uint_eq(ns->entries, 1);
    ck_assert_uint_eq(store.bytes, heap_charge(&key, strlen(values[i])));
    ck_assert_uint_eq(ns->bytes, store.bytes);
  }
}
END_TEST

START_TEST(test_an_entry_knows_its_history) {
  struct store_put_info info = {.origin = 5, .compute_ns = 1000, .now_ns = 10};
  ck_assert_int_eq(put_info(ns, 1, "v", info), FC_STORED);
  struct fc_key key = key_of(1);
  const struct entry *entry = store_peek(&store, ns, &key);
  ck_assert_uint_eq(entry_origin(entry), 5);
  ck_assert_uint_eq(entry_compute_ns(entry), 1000);
  ck_assert_uint_eq(entry->last_use_ns, 10);
  ck_assert_uint_eq(entry->hits, 0);
  uint64_t stamp = entry->use_stamp;
  get(ns, 1);
  entry = get(ns, 1);
  ck_assert_uint_eq(entry->hits, 2);
  ck_assert_uint_eq(entry->last_use_ns, 99);
  ck_assert_uint_gt(entry->use_stamp, stamp);
  info.origin = 6;
  ck_assert_int_eq(put_info(ns, 1, "w", info), FC_STORED);
  entry = store_peek(&store, ns, &key);
  ck_assert_uint_eq(entry_origin(entry), 6);
  ck_assert_uint_eq(entry->hits, 0);
  struct fc_key back = entry_key(entry);
  ck_assert(fc_str_equal(back.op, key.op) && fc_str_equal(back.view, key.view));
  ck_assert_uint_eq(back.top_k, 1);
}
END_TEST

START_TEST(test_max_entries_evicts_the_least_recently_used_of_its_namespace) {
  ck_assert_int_eq(namespace_table_set_max_entries(&table, ns, 2), 0);
  put(other, 9, "older than all");
  put(ns, 1, "a");
  put(ns, 2, "b");
  get(ns, 1);
  put(ns, 3, "c");
  ck_assert(stored(ns, 1) && !stored(ns, 2) && stored(ns, 3));
  ck_assert(stored(other, 9));
  put(ns, 1, "replaced"); /* promotes, evicts nothing */
  put(ns, 4, "d");
  ck_assert(stored(ns, 1) && !stored(ns, 3) && stored(ns, 4));
  ck_assert_uint_eq(ns->evictions[EVICT_ENTRIES], 2);
  ck_assert_uint_eq(store.evictions[EVICT_ENTRIES], 2);
  ck_assert_uint_eq(other->evictions[EVICT_ENTRIES], 0);
}
END_TEST

START_TEST(test_peek_does_not_promote) {
  ck_assert_int_eq(namespace_table_set_max_entries(&table, ns, 2), 0);
  put(ns, 1, "a");
  put(ns, 2, "b");
  ck_assert(stored(ns, 1));
  put(ns, 3, "c");
  ck_assert(!stored(ns, 1));
}
END_TEST

START_TEST(test_max_bytes_evicts_the_least_recently_used_of_all) {
  struct fc_key key = key_of(1);
  store.max_bytes = 3 * heap_charge(&key, 1);
  put(ns, 1, "a");
  put(other, 1, "b");
  put(ns, 2, "c");
  get(ns, 1);
  put(ns, 3, "d");
  ck_assert(!stored(other, 1));
  ck_assert(stored(ns, 1) && stored(ns, 2) && stored(ns, 3));
  put(other, 2, "e");
  ck_assert(!stored(ns, 2));
  ck_assert_uint_eq(other->evictions[EVICT_BYTES], 1);
  ck_assert_uint_eq(ns->evictions[EVICT_BYTES], 1);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES], 2);
  ck_assert_uint_eq(store.evictions[EVICT_ENTRIES], 0);
  ck_assert_uint_eq(store.bytes, store.max_bytes);
}
END_TEST

START_TEST(test_a_namespaces_max_bytes_evicts_the_least_recently_used_of_it) {
  struct fc_key key = key_of(1);
  uint64_t charge = heap_charge(&key, 1);
  put(other, 9, "older than all");
  ck_assert_int_eq(namespace_table_set_max_bytes(&table, ns, 3 * charge), 0);
  for (uint32_t i = 1; i <= 3; i++)
    put(ns, i, "v");
  get(ns, 1);
  put(ns, 4, "v");
  ck_assert(stored(ns, 1) && !stored(ns, 2) && stored(ns, 3) && stored(ns, 4));
  ck_assert(stored(other, 9));
  put(ns, 3, "w"); /* replaced: nothing goes */
  ck_assert_uint_eq(ns->entries, 3);
  ck_assert_uint_eq(ns->bytes, 3 * charge);
  put(ns, 3, "a larger value: another goes for it");
  ck_assert(!stored(ns, 1) && stored(ns, 3) && stored(ns, 4));
  ck_assert_uint_eq(ns->evictions[EVICT_OWN_BYTES], 2);
  ck_assert_uint_eq(store.evictions[EVICT_OWN_BYTES], 2);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES] + other->evictions[EVICT_OWN_BYTES], 0);
}
END_TEST

START_TEST(test_what_alone_is_more_than_its_namespaces_max_bytes_is_too_big) {
  struct fc_key key = key_of(1);
  char value[117];
  memset(value, 'x', sizeof value - 1);
  value[sizeof value - 1] = '\0';
  put(ns, 1, "old");
  ck_assert_int_eq(namespace_table_set_max_bytes(&table, ns, heap_charge(&key, 100)), 0);
  ck_assert_int_eq(put_info(ns, 1, value, (struct store_put_info){0}), FC_ETOOBIG);
  assert_value(get(ns, 1), "old");
  put(other, 1, value);
  value[100] = '\0';
  put(ns, 1, value);
  put(ns, 2, value); /* alone it may be there */
  ck_assert(!stored(ns, 1) && stored(ns, 2));
}
END_TEST

START_TEST(test_one_large_value_may_evict_all_others) {
  char large[1001];
  memset(large, 'x', sizeof large - 1);
  large[1000] = '\0';
  struct fc_key key = key_of(9);
  store.max_bytes = heap_charge(&key, 1000);
  for (uint32_t i = 0; i < 5; i++)
    put(ns, i, "v");
  put(ns, 9, large);
  ck_assert_uint_eq(store.entries, 1);
  assert_value(get(ns, 9), large);
}
END_TEST

START_TEST(test_too_big_is_refused_and_leaves_what_is_there) {
  char value[MAX_VALUE + 1];
  memset(value, 'x', sizeof value);
  struct fc_key key = key_of(1);
  struct store_put_info info = {0};
  put(ns, 1, "old");
  ck_assert_int_eq(store_put(&store, ns, &key, value, MAX_VALUE + 1, &info), FC_ETOOBIG);
  assert_value(get(ns, 1), "old");
  store.max_bytes = heap_charge(&key, 100) - 1;
  ck_assert_int_eq(store_put(&store, ns, &key, value, 100, &info), FC_ETOOBIG);
  assert_value(get(ns, 1), "old");
  store.max_bytes = 1 << 20;
  ck_assert_int_eq(store_put(&store, ns, &key, value, MAX_VALUE, &info), FC_STORED);
}
END_TEST

START_TEST(test_keep_first_promotes_and_keeps) {
  ck_assert_int_eq(namespace_table_set_max_entries(&table, ns, 2), 0);
  struct store_put_info keep = {.origin = 3, .keep_first = true, .now_ns = 50};
  ck_assert_int_eq(put_info(ns, 1, "first", keep), FC_STORED);
  put(ns, 2, "b");
  keep.origin = 4;
  ck_assert_int_eq(put_info(ns, 1, "second", keep), FC_KEPT);
  put(ns, 3, "c");
  struct fc_key key = key_of(1);
  assert_value(store_peek(&store, ns, &key), "first");
  ck_assert_uint_eq(entry_origin(store_peek(&store, ns, &key)), 3);
  ck_assert_uint_eq(store_peek(&store, ns, &key)->hits, 0);
  ck_assert(!stored(ns, 2));
}
END_TEST

START_TEST(test_charge_counts_block_names_value_and_books) {
  struct fc_key key = key_named("op", "base", 0);
  uint64_t empty = heap_charge(&key, 0);
  ck_assert_uint_eq(empty, sizeof(struct fc_region_entry) + 16 + sizeof(struct entry) + 2 * 32);
  ck_assert_uint_eq(heap_charge(&key, 8), empty);
  ck_assert_uint_eq(heap_charge(&key, 9), empty + 16);
  ck_assert_uint_eq(heap_charge(&key, 1600), empty + 1600);
  ck_assert_uint_eq(heap_charge(&key, (uint64_t)UINT32_MAX + 1), empty + (1ull << 32));
}
END_TEST

START_TEST(test_clear_selects_by_namespace_view_and_op) {
  put_named(ns, "dist", "base");
  put_named(ns, "dist", "ft");
  put_named(ns, "roll", "base");
  put_named(ns, "roll", "ft");
  put_named(other, "dist", "base");
  struct store_select select = {ns, fc_str_of("base"), fc_str_of("dist")};
  ck_assert_uint_eq(store_clear_all(&store, &select), 1);
  ck_assert_uint_eq(store_clear_all(&store, &select), 0);
  select = (struct store_select){.ns = ns, .view = fc_str_of("ft")};
  ck_assert_uint_eq(store_clear_all(&store, &select), 2);
  select = (struct store_select){.op = fc_str_of("dist")};
  ck_assert_uint_eq(store_clear_all(&store, &select), 1);
  ck_assert_uint_eq(other->entries, 0);
  select = (struct store_select){0};
  ck_assert_uint_eq(store_clear_all(&store, &select), 1);
  ck_assert_uint_eq(store.entries, 0);
  ck_assert_uint_eq(store.bytes, 0);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES] + store.evictions[EVICT_ENTRIES], 0);
}
END_TEST

START_TEST(test_what_began_before_a_clear_is_not_stored) {
  uint64_t began = store.generation;
  struct store_put_info info = {.has_generation = true, .generation = began};
  struct store_select select = {.ns = ns, .view = fc_str_of("base")};
  store_clear_all(&store, &select);
  ck_assert_uint_gt(store.generation, began);
  ck_assert_int_eq(put_info(ns, 1, "old", info), FC_STALE);
  ck_assert(!stored(ns, 1));
  ck_assert_int_eq(put_info(other, 1, "another namespace", info), FC_STORED);
  struct fc_key ft = key_named("op", "ft", 1);
  ck_assert_int_eq(store_put(&store, ns, &ft, "v", 1, &info), FC_STORED);
  info.has_generation = false;
  ck_assert_int_eq(put_info(ns, 1, "says nothing", info), FC_STORED);
  info = (struct store_put_info){.has_generation = true, .generation = store.generation};
  ck_assert_int_eq(put_info(ns, 1, "began after", info), FC_STORED);
  /* a clear of all namespaces reaches each */
  store_clear_all(&store, &(struct store_select){0});
  ck_assert_int_eq(put_info(other, 1, "old", info), FC_STALE);
  ck_assert_int_eq(put_info(ns, 1, "old", info), FC_STALE);
}
END_TEST

/* A large value that needs the room of thousands has it slice by slice, and the put takes no more.
 */
START_TEST(test_room_for_a_large_value_is_made_in_slices) {
  enum { SMALL = 5000, LARGE = 1 << 20 };
  char *value = calloc(1, LARGE);
  struct store_put_info info = {.keep_first = _i == 1};
  struct fc_key key = key_of(SMALL);
  unsigned slices = 0;
  ck_assert_ptr_nonnull(value);
  teardown();
  setup_with(2 << 20);
  store.max_value = LARGE;
  for (uint32_t i = 0; i < 2 * SMALL; i++)
    put(ns, i == SMALL ? 0 : i, "v");
  for (uint64_t before = store.entries; !store_put_has_room(&store, ns, &key, LARGE - 200, &info);
       before = store.entries, slices++)
    ck_assert_uint_eq(before - store.entries, STORE_SLICE);
  ck_assert_uint_ge(slices, 3);
  uint64_t before = store.entries;
  ck_assert_int_eq(store_put(&store, ns, &key, value, LARGE - 200, &info), FC_STORED);
  ck_assert_uint_ge(store.entries + STORE_SLICE, before);
  ck_assert_uint_eq(store.evictions[EVICT_FORCED], 0);
  before = store.entries;
  ck_assert(store_put_has_room(&store, ns, &key, LARGE - 200, &info)); /* it replaces as much */
  ck_assert_uint_eq(store.entries, before);
  free(value);
}
END_TEST

/* To zero what goes takes time, too. */
START_TEST(test_a_slice_of_a_clear_is_bounded_by_bytes) {
  enum { VALUES = 64, BYTES = 256 << 10 };
  struct store_clear clear;
  char *value = calloc(1, BYTES);
  ck_assert_ptr_nonnull(value);
  teardown();
  private_store_init(&store, &region, 32 << 20, BYTES, 7);
  namespace_table_init(&table, &store, 8);
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("ns"), NULL, &ns), 0);
  for (uint32_t i = 0; i < VALUES; i++) {
    struct fc_key key = key_of(i);
    struct store_put_info info = {0};
    ck_assert_int_eq(store_put(&store, ns, &key, value, BYTES, &info), FC_STORED);
  }
  free(value);
  ck_assert(store_clear_start(&store, &clear, &(struct store_select){.ns = ns}));
  uint64_t before = 0, steps = 0;
  for (bool done = false; !done; before = clear.removed, steps++) {
    done = store_clear_step(&store, &clear, STORE_SLICE);
    ck_assert_uint_gt(clear.removed, before);
    ck_assert_uint_le((clear.removed - before - 1) * BYTES, STORE_SLICE_BYTES);
  }
  ck_assert_uint_ge(steps, VALUES / (STORE_SLICE_BYTES / BYTES));
  ck_assert_uint_eq(clear.removed, VALUES);
}
END_TEST

START_TEST(test_a_clear_holds_from_its_start) {
  for (uint32_t i = 0; i < 10; i++)
    put(ns, i, "old");
  struct store_clear clear;
  store_clear_start(&store, &clear, &(struct store_select){.ns = ns});
  ck_assert_ptr_null(get(ns, 3));
  ck_assert(!stored(ns, 4));
  ck_assert_uint_eq(ns->entries, 10); /* they are out of sight, but not gone */
  struct store_put_info keep = {.keep_first = true};
  ck_assert_int_eq(put_info(ns, 5, "new", keep), FC_STORED);
  put(ns, 20, "new");
  ck_assert(!store_clear_step(&store, &clear, 3));
  assert_value(get(ns, 5), "new");
  while (!store_clear_step(&store, &clear, 3))
    ck_assert_uint_le(clear.removed, 10);
  ck_assert_uint_eq(clear.removed, 10);
  ck_assert_uint_eq(ns->entries, 2);
  assert_value(get(ns, 5), "new");
  assert_value(get(ns, 20), "new");
  ck_assert(store_clear_step(&store, &clear, 1)); /* nothing happens any more */
}
END_TEST

START_TEST(test_clears_at_once_and_promotions_under_way) {
  for (uint32_t i = 0; i < 50; i++) {
    put(ns, i, "old");
    put(other, i, "old");
  }
  put_named(ns, "op", "ft");
  struct store_clear base, all;
  store_clear_start(&store, &base, &(struct store_select){.ns = ns, .view = fc_str_of("base")});
  ck_assert(!store_clear_step(&store, &base, 7));
  store_clear_start(&store, &all, &(struct store_select){.op = fc_str_of("op")});
  put(ns, 7, "new");
  bool done = false;
  for (uint32_t i = 0; !done; i++) {
    ck_assert_uint_lt(i, 1000);
    if (i % 3 == 0)
      assert_value(get(ns, 7), "new");
    bool one = store_clear_step(&store, &base, 2), two = store_clear_step(&store, &all, 3);
    done = one && two;
  }
  ck_assert_uint_eq(base.removed + all.removed, 101);
  ck_assert_uint_eq(store.entries, 1);
  ck_assert_ptr_null(store.active_clears);
}
END_TEST

START_TEST(test_an_eviction_of_what_is_being_cleared_counts_as_cleared) {
  struct fc_key key = key_of(0);
  for (uint32_t i = 0; i < 4; i++)
    put(ns, i, "v");
  store.max_bytes = 4 * heap_charge(&key, 1);
  struct store_clear clear;
  store_clear_start(&store, &clear, &(struct store_select){0});
  put(other, 1, "v");
  ck_assert_uint_eq(store.evictions[EVICT_BYTES], 0);
  ck_assert_uint_eq(clear.removed, 1);
  ck_assert(store_clear_step(&store, &clear, 100));
  ck_assert_uint_eq(clear.removed, 4);
  ck_assert(stored(other, 1));
}
END_TEST

/* In slices: the limit of the moment holds after each of them. */
START_TEST(test_a_lower_limit_sinks_to_its_value) {
  enum { N = 2 * STORE_SLICE + 100 };
  teardown();
  setup_with(8 << 20);
  for (uint32_t i = 0; i < N; i++)
    put(ns, i, "v");
  ck_assert_int_eq(namespace_table_set_max_entries(&table, ns, 50), NAMESPACE_LIMIT_MORE);
  ck_assert_uint_eq(ns->max_entries, N - STORE_SLICE);
  ck_assert_uint_eq(ns->entries, N - STORE_SLICE);
  put(ns, N, "v"); /* another's, in between */
  ck_assert_uint_eq(ns->entries, N - STORE_SLICE);
  ck_assert_int_eq(namespace_table_set_max_entries(&table, ns, 50), NAMESPACE_LIMIT_MORE);
  ck_assert_int_eq(namespace_table_set_max_entries(&table, ns, 50), NAMESPACE_LIMITED);
  ck_assert_uint_eq(ns->max_entries, 50);
  ck_assert_uint_eq(ns->entries, 50);
  ck_assert_uint_eq(ns->evictions[EVICT_ENTRIES], N + 1 - 50);
  ck_assert(stored(ns, N) && stored(ns, N - 49) && !stored(ns, N - 50));
}
END_TEST

struct page {
  uint32_t keys[64];
  uint32_t n, room;
};

static bool emit(void *arg, const struct entry *entry) {
  struct page *page = arg;
  if (page->n == page->room)
    return false;
  page->keys[page->n++] = entry_key(entry).top_k;
  return true;
}

/* Lists with each page's cursor sent through its encoding. */
static bool list_page(const struct store_select *select, uint32_t limit, uint64_t max_examined,
                      uint8_t *bytes, size_t *size, struct page *page) {
  struct store_cursor cursor;
  ck_assert_int_eq(store_cursor_decode(&cursor, bytes, *size), 0);
  bool more = store_list(&store, select, limit, max_examined, &cursor, emit, page);
  *size = more ? STORE_CURSOR_SIZE : 0;
  store_cursor_encode(&cursor, bytes);
  return more;
}

START_TEST(test_list_is_newest_first_in_pages) {
  for (uint32_t i = 0; i < 10; i++)
    put(i % 2 == 0 ? ns : other, i, "v");
  get(ns, 4);
  const uint32_t all[] = {4, 9, 8, 7, 6, 5, 3, 2, 1, 0}, own[] = {4, 8, 6, 2, 0};
  for (uint32_t limit = 1; limit < 12; limit++) {
    struct page page = {.room = 64};
    uint8_t cursor[STORE_CURSOR_SIZE];
    size_t size = 0;
    while (list_page(&(struct store_select){0}, limit, 100, cursor, &size, &page))
      ck_assert_uint_eq(page.n % limit, 0);
    ck_assert_uint_eq(page.n, 10);
    ck_assert_mem_eq(page.keys, all, sizeof all);
    page.n = 0;
    while (list_page(&(struct store_select){.ns = ns}, 64, limit, cursor, &size, &page))
      ck_assert_uint_le(page.n, 5);
    ck_assert_uint_eq(page.n, 5);
    ck_assert_mem_eq(page.keys, own, sizeof own);
  }
}
END_TEST

START_TEST(test_list_selects) {
  put_named(ns, "dist", "base");
  put_named(ns, "dist", "ft");
  put_named(ns, "roll", "ft");
  struct page page = {.room = 64};
  uint8_t cursor[STORE_CURSOR_SIZE];
  size_t size = 0;
  struct store_select select = {.ns = ns, .view = fc_str_of("ft"), .op = fc_str_of("dist")};
  ck_assert(!list_page(&select, 64, 100, cursor, &size, &page));
  ck_assert_uint_eq(page.n, 1);
}
END_TEST

START_TEST(test_list_goes_on_where_its_last_entry_is_gone_or_used) {
  for (uint32_t i = 0; i < 10; i++)
    put(ns, i, "v");
  for (int gone = 0; gone < 2; gone++) {
    struct page page = {.room = 64};
    uint8_t cursor[STORE_CURSOR_SIZE];
    size_t size = 0;
    ck_assert(list_page(&(struct store_select){0}, 4, 100, cursor, &size, &page));
    uint32_t last = page.keys[3];
    if (gone == 0) {
      get(ns, last);
    } else {
      store_remove(&store, get(ns, last));
    }
    /* examined in twos: the walk down to where it was takes pages of its own */
    for (int turns = 0; list_page(&(struct store_select){0}, 4, 2, cursor, &size, &page); turns++)
      ck_assert_int_lt(turns, 10);
    ck_assert_uint_eq(page.n, 10);
    for (uint32_t i = 0; i < 10; i++)
      for (uint32_t j = 0; j < i; j++)
        ck_assert_uint_ne(page.keys[i], page.keys[j]);
  }
}
END_TEST

START_TEST(test_list_ends_the_page_where_the_receiver_has_no_room) {
  for (uint32_t i = 0; i < 5; i++)
    put(ns, i, "v");
  struct page page = {.room = 2};
  uint8_t cursor[STORE_CURSOR_SIZE];
  size_t size = 0;
  ck_assert(list_page(&(struct store_select){0}, 64, 100, cursor, &size, &page));
  ck_assert_uint_eq(page.n, 2);
  page.room = 64;
  ck_assert(!list_page(&(struct store_select){0}, 64, 100, cursor, &size, &page));
  const uint32_t keys[] = {4, 3, 2, 1, 0};
  ck_assert_uint_eq(page.n, 5);
  ck_assert_mem_eq(page.keys, keys, sizeof keys);
}
END_TEST

START_TEST(test_list_does_not_show_what_is_being_cleared) {
  put(ns, 1, "v");
  struct store_clear clear;
  store_clear_start(&store, &clear, &(struct store_select){0});
  put(ns, 2, "v");
  struct page page = {.room = 64};
  uint8_t cursor[STORE_CURSOR_SIZE];
  size_t size = 0;
  ck_assert(!list_page(&(struct store_select){0}, 64, 100, cursor, &size, &page));
  ck_assert_uint_eq(page.n, 1);
  ck_assert_uint_eq(page.keys[0], 2);
  ck_assert(store_clear_step(&store, &clear, 100));
}
END_TEST

START_TEST(test_any_cursor_is_safe) {
  put(ns, 1, "v");
  uint8_t bytes[STORE_CURSOR_SIZE + 1];
  struct store_cursor cursor;
  ck_assert_int_eq(store_cursor_decode(&cursor, bytes, 1), FC_EINVAL);
  ck_assert_int_eq(store_cursor_decode(&cursor, bytes, sizeof bytes), FC_EINVAL);
  for (int fill = 0; fill < 256; fill++) {
    memset(bytes, fill, sizeof bytes);
    struct page page = {.room = 64};
    size_t size = STORE_CURSOR_SIZE;
    for (int turns = 0; list_page(&(struct store_select){.ns = ns}, 64, 1, bytes, &size, &page);
         turns++)
      ck_assert_int_lt(turns, 5);
  }
}
END_TEST

START_TEST(test_counters_charge_all_sets) {
  struct counters a = {0}, b = {0};
  struct counters *sets[] = {&a, NULL, &b};
  ck_assert(counters_are_zero(&a));
  counters_hit(sets, 3, 10, 1000, true);
  counters_hit(sets, 3, 20, 2000, false);
  counters_miss(sets, 3, 3, 600);
  counters_batch(sets, 3, 5, 5, true);
  counters_batch(sets, 3, 2, 2, true);
  ck_assert_mem_eq(&a, &b, sizeof a);
  struct counters expected = {.hits = 2,
                              .misses = 3,
                              .forward_passes = 3,
                              .scoring_wall_ns = 630,
                              .batches_sent = 2,
                              .batched_prompts = 7,
                              .max_batch_size = 5,
                              .shared_hits = 1,
                              .saved_wall_ns = 3000};
  ck_assert_mem_eq(&a, &expected, sizeof a);
  ck_assert(!counters_are_zero(&a));
}
END_TEST

START_TEST(test_times_stay_at_their_maximum) {
  struct counters set = {0};
  struct counters *sets[] = {&set};
  for (int i = 0; i < 3; i++) {
    counters_hit(sets, 1, UINT64_MAX / 2, UINT64_MAX / 2, false);
    counters_miss(sets, 1, 1, UINT64_MAX / 2);
  }
  ck_assert_uint_eq(set.scoring_wall_ns, UINT64_MAX);
  ck_assert_uint_eq(set.saved_wall_ns, UINT64_MAX);
}
END_TEST

static TCase *basics(void) {
  TCase *tcase = tcase_create("store");
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, test_get_gives_what_was_put);
  tcase_add_test(tcase, test_every_part_of_the_key_tells_entries_apart);
  tcase_add_test(tcase, test_an_empty_value_is_a_hit);
  tcase_add_test(tcase, test_put_replaces_with_any_size);
  tcase_add_test(tcase, test_an_entry_knows_its_history);
  tcase_add_test(tcase, test_max_entries_evicts_the_least_recently_used_of_its_namespace);
  tcase_add_test(tcase, test_peek_does_not_promote);
  tcase_add_test(tcase, test_max_bytes_evicts_the_least_recently_used_of_all);
  tcase_add_test(tcase, test_a_namespaces_max_bytes_evicts_the_least_recently_used_of_it);
  tcase_add_test(tcase, test_what_alone_is_more_than_its_namespaces_max_bytes_is_too_big);
  tcase_add_test(tcase, test_one_large_value_may_evict_all_others);
  tcase_add_test(tcase, test_too_big_is_refused_and_leaves_what_is_there);
  tcase_add_test(tcase, test_keep_first_promotes_and_keeps);
  tcase_add_test(tcase, test_charge_counts_block_names_value_and_books);
  tcase_add_test(tcase, test_counters_charge_all_sets);
  tcase_add_test(tcase, test_times_stay_at_their_maximum);
  return tcase;
}

/* Whether or not there were such entries before. */
START_TEST(test_a_clear_that_selects_nothing_is_finished_when_it_starts) {
  struct store_clear clear;
  put_named(ns, "op", "base");
  put_named(other, "op", "gone");
  put_named(other, "gone", "base");
  put_named(other, "other", "gone");
  ck_assert_uint_eq(store_clear_all(&store, &(struct store_select){.ns = other}), 3);
  const struct store_select nothing[] = {
      {.view = fc_str_of("gone")},
      {.op = fc_str_of("gone")},
      {.view = fc_str_of("base"), .op = fc_str_of("other")},
      {.ns = other},
      {.ns = other, .op = fc_str_of("op")},
  };
  uint64_t generation = store.generation;
  for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
    ck_assert(store_clear_start(&store, &clear, &nothing[i]));
    ck_assert(clear.finished);
    ck_assert_uint_eq(clear.removed, 0);
    ck_assert_uint_eq(store.generation, generation + i + 1); /* it counts against older puts */
  }
  ck_assert_uint_eq(store.n_active_clears, 0);
}
END_TEST

/* It need not look at those that were used later. */
START_TEST(test_a_clear_is_finished_with_its_last_entry) {
  struct store_clear clear;
  put_named(ns, "op", "first");
  for (uint32_t i = 0; i < 50; i++)
    put(ns, i, "v");
  struct store_select first = {.view = fc_str_of("first")};
  ck_assert(store_clear_start(&store, &clear, &first));
  ck_assert(store_clear_step(&store, &clear, 2));
  ck_assert_uint_eq(clear.removed, 1);
}
END_TEST

/* Each get, put and eviction looks at all that run. */
START_TEST(test_clears_that_run_are_bounded) {
  struct store_clear clears[STORE_CLEARS_MAX], more;
  struct store_select all = {0};
  put(ns, 1, "v");
  for (size_t i = 0; i < STORE_CLEARS_MAX; i++)
    ck_assert(store_clear_start(&store, &clears[i], &all));
  uint64_t generation = store.generation;
  ck_assert(!store_clear_start(&store, &more, &all));
  ck_assert_uint_eq(store.generation, generation);
  ck_assert(store_clear_step(&store, &clears[0], 10));
  ck_assert(store_clear_start(&store, &more, &all));
  ck_assert(more.finished); /* nothing is left */
  for (size_t i = 1; i < STORE_CLEARS_MAX; i++)
    ck_assert(store_clear_step(&store, &clears[i], 10));
}
END_TEST

/* ---- keys that share a bucket ---- */

static void put_colliding(struct namespace *space, uint32_t i) {
  struct fc_key key = colliding_key(space->seed, "op", "base", i);
  struct store_put_info info = {0};
  ck_assert_int_eq(store_put(&store, space, &key, "v", 1, &info), FC_STORED);
}

static struct entry *find_colliding(struct namespace *space, uint32_t i) {
  struct fc_key key = colliding_key(space->seed, "op", "base", i);
  return store_peek(&store, space, &key);
}

static uint64_t digest_of_colliding(struct namespace *space) {
  struct fc_key key = colliding_key(space->seed, "op", "base", 0);
  return fc_key_digest(space->seed, &key);
}

static uint32_t longest_chain(void) {
  uint32_t longest = 0;
  for (uint64_t bucket = 0; bucket < region.n_buckets; bucket++) {
    uint64_t digest = ((bucket << 32) + region.n_buckets - 1) / region.n_buckets << 32;
    uint32_t n = 0;
    for (const struct fc_region_entry *at = region_writer_first(&region, digest); at != NULL;
         at = region_writer_next(&region, at))
      n++;
    longest = n > longest ? n : longest;
  }
  return longest;
}

/* A key of `other` in the bucket to which all of the colliding keys of `ns` belong. */
static uint32_t neighbour_in_bucket(void) {
  uint64_t bucket = fc_region_bucket_of(digest_of_colliding(ns), region.n_buckets);
  for (uint32_t n = 0;; n++) {
    struct fc_key key = key_of(n);
    if (fc_region_bucket_of(fc_key_digest(other->seed, &key), region.n_buckets) == bucket)
      return n;
  }
}

START_TEST(test_a_bucket_holds_so_many) {
  const uint32_t many = 1000;
  for (uint32_t i = 0; i < many; i++)
    put_colliding(ns, i);
  ck_assert_uint_eq(longest_chain(), STORE_CHAIN_MAX);
  ck_assert_uint_eq(store.evictions[EVICT_CHAIN], many - STORE_CHAIN_MAX);
  ck_assert_uint_eq(ns->evictions[EVICT_CHAIN], many - STORE_CHAIN_MAX);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES], 0);
  for (uint32_t i = 0; i < many; i++)
    ck_assert_int_eq(find_colliding(ns, i) != NULL, i >= many - STORE_CHAIN_MAX);
}
END_TEST

START_TEST(test_of_a_full_bucket_the_least_recently_used_goes) {
  for (uint32_t i = 0; i < STORE_CHAIN_MAX; i++)
    put_colliding(ns, i);
  put_colliding(ns, 5); /* replaces, and takes no place of another's */
  ck_assert_uint_eq(store.evictions[EVICT_CHAIN], 0);
  store_use(&store, find_colliding(ns, 0), 1);
  put_colliding(ns, STORE_CHAIN_MAX);
  ck_assert_ptr_nonnull(find_colliding(ns, 0));
  ck_assert_ptr_null(find_colliding(ns, 1));
  ck_assert_ptr_nonnull(find_colliding(ns, 2));
}
END_TEST

/* Its clients choose its keys: what they make of it is theirs to bear. */
START_TEST(test_a_namespace_fills_a_bucket_at_its_own_cost) {
  uint32_t n = neighbour_in_bucket();
  put(other, n, "neighbour's");
  for (uint32_t i = 0; i < 10 * STORE_CHAIN_MAX; i++)
    put_colliding(ns, i);
  ck_assert(stored(other, n));
  ck_assert_uint_eq(longest_chain(), STORE_CHAIN_MAX);
  ck_assert_uint_eq(other->evictions[EVICT_CHAIN], 0);
}
END_TEST

START_TEST(test_another_namespace_can_still_put_into_a_full_bucket) {
  uint32_t n = neighbour_in_bucket();
  for (uint32_t i = 0; i < STORE_CHAIN_MAX; i++)
    put_colliding(ns, i);
  put(other, n, "neighbour's");
  ck_assert(stored(other, n));
  ck_assert_ptr_null(find_colliding(ns, 0));
  ck_assert_uint_eq(ns->evictions[EVICT_CHAIN], 1);
  ck_assert_uint_eq(longest_chain(), STORE_CHAIN_MAX);
}
END_TEST

/* ---- entries that are held when they leave ---- */

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
  struct entry *entry = get(ns, n);
  ck_assert_ptr_nonnull(entry);
  entry_hold(entry);
  return entry;
}

static void set_reclaim(uint64_t most) {
  memset(reclaims, 0, sizeof reclaims);
  to_release = NULL;
  store.reclaim = release_held;
  store.unlisted_max = most;
}

/* By an eviction, a replacement, a clear. */
START_TEST(test_what_is_held_keeps_its_place) {
  struct store_select all = {0};
  put(ns, 1, "value");
  struct entry *entry = hold(1);
  uint64_t charge = heap_charge_of(entry);
  set_reclaim(charge);
  ck_assert_uint_eq(store_unlisted_bytes(&store), 0);
  if (_i == 0)
    ck_assert_int_eq(namespace_table_set_max_entries(&table, ns, 1), NAMESPACE_LIMITED);
  if (_i == 0)
    put(ns, 2, "another");
  if (_i == 1)
    put(ns, 1, "other");
  if (_i == 2)
    ck_assert_uint_eq(store_clear_all(&store, &all), 1);
  ck_assert_uint_eq(store_unlisted_bytes(&store), charge);
  private_store_check_value(entry, "value", 5);
  ck_assert_uint_eq(reclaims[STORE_RECLAIM_UNLISTED], 0);
  entry_release(entry);
  ck_assert_uint_eq(store_unlisted_bytes(&store), 0);
}
END_TEST

START_TEST(test_past_a_bound_it_is_wanted_back) {
  put(ns, 1, "value");
  struct entry *entry = hold(1);
  set_reclaim(heap_charge_of(entry) - 1);
  to_release = entry;
  put(ns, 1, "other");
  ck_assert_uint_eq(reclaims[STORE_RECLAIM_UNLISTED], 1);
  ck_assert_uint_eq(store_unlisted_bytes(&store), 0);
  assert_value(get(ns, 1), "other");
}
END_TEST

/* Or else others would be moved, and evicted by force, for room that there is not. */
START_TEST(test_it_counts_in_the_limit_of_bytes) {
  static char large[MAX_VALUE];
  memset(large, 'x', sizeof large - 1);
  put(ns, 0, large);
  struct entry *entry = hold(0);
  set_reclaim(UINT64_MAX);
  for (uint32_t i = 1; i < 1000; i++) {
    put(ns, i, large);
    ck_assert_uint_le(store.bytes + store_unlisted_bytes(&store), store.max_bytes);
  }
  ck_assert_uint_gt(store_unlisted_bytes(&store), 0);
  ck_assert_uint_eq(store.evictions[EVICT_FORCED], 0);
  ck_assert_uint_eq(reclaims[0] + reclaims[1] + reclaims[2], 0);
  entry_release(entry);
}
END_TEST

static TCase *held(void) {
  TCase *tcase = tcase_create("entries that are held");
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_loop_test(tcase, test_what_is_held_keeps_its_place, 0, 3);
  tcase_add_test(tcase, test_past_a_bound_it_is_wanted_back);
  tcase_add_test(tcase, test_it_counts_in_the_limit_of_bytes);
  return tcase;
}

static TCase *buckets(void) {
  TCase *tcase = tcase_create("keys that share a bucket");
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, test_a_bucket_holds_so_many);
  tcase_add_test(tcase, test_of_a_full_bucket_the_least_recently_used_goes);
  tcase_add_test(tcase, test_a_namespace_fills_a_bucket_at_its_own_cost);
  tcase_add_test(tcase, test_another_namespace_can_still_put_into_a_full_bucket);
  return tcase;
}

static TCase *clears_and_lists(void) {
  TCase *tcase = tcase_create("clears and lists");
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, test_clear_selects_by_namespace_view_and_op);
  tcase_add_test(tcase, test_what_began_before_a_clear_is_not_stored);
  tcase_add_test(tcase, test_a_slice_of_a_clear_is_bounded_by_bytes);
  tcase_add_test(tcase, test_a_clear_holds_from_its_start);
  tcase_add_test(tcase, test_clears_at_once_and_promotions_under_way);
  tcase_add_test(tcase, test_an_eviction_of_what_is_being_cleared_counts_as_cleared);
  tcase_add_test(tcase, test_a_lower_limit_sinks_to_its_value);
  tcase_add_test(tcase, test_list_is_newest_first_in_pages);
  tcase_add_test(tcase, test_list_selects);
  tcase_add_test(tcase, test_list_goes_on_where_its_last_entry_is_gone_or_used);
  tcase_add_test(tcase, test_list_ends_the_page_where_the_receiver_has_no_room);
  tcase_add_test(tcase, test_list_does_not_show_what_is_being_cleared);
  tcase_add_test(tcase, test_any_cursor_is_safe);
  tcase_add_test(tcase, test_a_clear_that_selects_nothing_is_finished_when_it_starts);
  tcase_add_test(tcase, test_a_clear_is_finished_with_its_last_entry);
  tcase_add_test(tcase, test_clears_that_run_are_bounded);
  tcase_add_loop_test(tcase, test_room_for_a_large_value_is_made_in_slices, 0, 2);
  return tcase;
}

int main(void) {
  Suite *suite = suite_create("store");
  suite_add_tcase(suite, basics());
  suite_add_tcase(suite, clears_and_lists());
  suite_add_tcase(suite, buckets());
  suite_add_tcase(suite, held());
  return runner_run(suite);
}
