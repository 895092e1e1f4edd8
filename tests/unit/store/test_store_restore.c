/* Entries of an earlier daemon: inserted in any order, and sorted by their stamps. */
#include <check.h>
#include <string.h>

#include "daemon/store/store_restore.h"
#include "proto/errors.h"
#include "tests/support/colliding.h"
#include "tests/support/expect.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"
#include "tests/support/store_world.h"

static void set_up(void) {
  world_open_two(64 << 20, 1 << 20);
}

static int restore_key(struct namespace *ns, const struct fc_key *key, const char *value,
                       uint64_t stamp) {
  struct store_restore_info info = {.digest = fc_key_digest(ns->seed, key), .stamp = stamp};
  return store_restore(&world.store, ns, key, value, (uint32_t)strlen(value), &info);
}

static int restore(struct namespace *ns, uint32_t n, const char *value, uint64_t stamp) {
  struct fc_key key = key_number(n);
  return restore_key(ns, &key, value, stamp);
}

static void sort(void) {
  ck_assert_int_eq(store_sort_lru(&world.store, NULL), 0);
  store_check(&world.store);
}

/* ---- the order ---- */

/* How the stamps of a run are spread. */
enum spread { SPREAD_DENSE, SPREAD_SPARSE, SPREAD_CLUMPED, SPREAD_GROUPED, SPREADS };

/* The i-th stamp, in rising order. */
static uint64_t stamp_of(enum spread spread, uint32_t i, uint32_t n) {
  if (spread == SPREAD_SPARSE)
    return 1 + (uint64_t)i * 1000003 + i % 7;
  if (spread == SPREAD_CLUMPED && i > 2 && i < n - 2) /* all but a few in one group */
    return (UINT64_C(1) << 40) + (uint64_t)i * 3;
  if (spread == SPREAD_CLUMPED && i >= n - 2)
    return (UINT64_C(1) << 50) + i;
  if (spread == SPREAD_GROUPED) /* 100 in each of 300 groups, which have 2^17 stamps */
    return 1 + ((uint64_t)(i / 100) << 24) + i % 100 * 1300;
  return 1 + i;
}

static void shuffle(uint32_t *numbers, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    numbers[i] = i;
  for (uint32_t i = n - 1; i > 0; i--) {
    uint32_t other = random_below(i + 1), number = numbers[i];
    numbers[i] = numbers[other];
    numbers[other] = number;
  }
}

START_TEST(restore_in_any_order_sorts_by_stamp) {
  enum { N = 30000 };
  static uint32_t numbers[N];
  enum spread spread = (enum spread)_i;
  shuffle(numbers, N);
  for (uint32_t i = 0; i < N; i++) {
    struct namespace *ns = numbers[i] % 3 == 0 ? world.other : world.ns;
    EXPECT_EQUAL(restore(ns, numbers[i], "v", stamp_of(spread, numbers[i], N)), FC_STORED);
  }
  sort();
  ck_assert_uint_eq(world.store.saved->last_stamp, stamp_of(spread, N - 1, N));
  const struct entry *entry = store_oldest(&world.store, NULL);
  const struct entry *own = store_oldest(&world.store, world.other);
  for (uint32_t i = 0; i < N; i++) {
    struct fc_key key = entry_key(entry), wanted = key_number(i);
    EXPECT(memcmp(&key.prompt, &wanted.prompt, sizeof key.prompt) == 0);
    if (i % 3 == 0) {
      EXPECT(own == entry);
      own = store_newer(&world.store, world.other, own);
    }
    entry = store_newer(&world.store, NULL, entry);
  }
  EXPECT(entry == NULL && own == NULL);
}
END_TEST

START_TEST(sort_after_puts_keeps_order) {
  for (uint32_t n = 0; n < 1000; n++)
    world_put(n % 2 ? world.ns : world.other, n, "v");
  for (uint32_t n = 0; n < 1000; n += 7)
    ck_assert_ptr_nonnull(world_get(n % 2 ? world.ns : world.other, n));
  sort();
  world_put(world.ns, 1000, "v");
  ck_assert_ptr_eq(store_newest(&world.store, NULL), world_peek(world.ns, 1000));
  ck_assert_ptr_eq(store_newest(&world.store, world.other), world_peek(world.other, 994));
  ck_assert_ptr_eq(store_oldest(&world.store, NULL), world_peek(world.ns, 1));
}
END_TEST

START_TEST(sort_empty_store_succeeds) {
  sort();
  ck_assert_ptr_null(store_oldest(&world.store, NULL));
}
END_TEST

/* ---- one entry ---- */

START_TEST(restore_keeps_value_and_metadata) {
  struct fc_key key = key_number(1);
  struct store_restore_info info = {.digest = fc_key_digest(world.ns->seed, &key),
                                    .compute_ns = 11,
                                    .stamp = 12,
                                    .last_use_ns = 13,
                                    .hits = 14,
                                    .origin = 15};
  ck_assert_int_eq(store_restore(&world.store, world.ns, &key, "value", 5, &info), FC_STORED);
  const struct entry *entry = world_peek(world.ns, 1);
  world_check_value(entry, "value");
  ck_assert_uint_eq(entry_compute_ns(entry), 11);
  ck_assert_uint_eq(entry->use_stamp, 12);
  ck_assert_uint_eq(entry->last_use_ns, 13);
  ck_assert_uint_eq(entry->hits, 14);
  ck_assert_uint_eq(entry_origin(entry), 15);
  ck_assert_uint_eq(world.store.saved->last_stamp, 12);
  world_put(world.ns, 2, "new");
  ck_assert_uint_eq(world_peek(world.ns, 2)->use_stamp, 13);
}
END_TEST

START_TEST(restore_large_value_keeps_bytes) {
  struct fc_key key = key_number(1);
  struct store_restore_info info = {.digest = fc_key_digest(world.ns->seed, &key), .stamp = 1};
  const void *bytes = seeded_bytes(3, 1 << 20);
  ck_assert_int_eq(store_restore(&world.store, world.ns, &key, bytes, 1 << 20, &info), FC_STORED);
  private_store_check_value(world_peek(world.ns, 1), bytes, 1 << 20);
}
END_TEST

START_TEST(restore_duplicate_keeps_newer_stamp) {
  ck_assert_int_eq(restore(world.ns, 1, "second", 20), FC_STORED);
  ck_assert_int_eq(restore(world.ns, 1, "first", 10), FC_KEPT);
  ck_assert_int_eq(restore(world.ns, 1, "same", 20), FC_KEPT);
  world_check_value(world_peek(world.ns, 1), "second");
  ck_assert_int_eq(restore(world.ns, 1, "third, longer", 30), FC_STORED);
  ck_assert_int_eq(restore(world.other, 1, "another namespace", 5), FC_STORED);
  world_check_value(world_peek(world.ns, 1), "third, longer");
  ck_assert_uint_eq(world.store.entries, 2);
  sort();
}
END_TEST

START_TEST(restore_value_above_max_value_refused) {
  struct fc_key key = key_number(1);
  struct store_restore_info info = {.digest = fc_key_digest(world.ns->seed, &key), .stamp = 1};
  ck_assert_int_eq(store_restore(&world.store, world.ns, &key, "", (1 << 20) + 1, &info),
                   FC_ETOOBIG);
  ck_assert_uint_eq(world.store.entries, 0);
}
END_TEST

/* ---- no room ---- */

START_TEST(restore_into_full_chain_evicts_nothing) {
  for (uint32_t i = 0; i <= STORE_CHAIN_MAX; i++) {
    struct fc_key key = colliding_key(world.ns->seed, "op", "base", i);
    ck_assert_int_eq(restore_key(world.ns, &key, "v", 1 + i),
                     i < STORE_CHAIN_MAX ? FC_STORED : FC_ENOMEM);
  }
  struct fc_key key = colliding_key(world.ns->seed, "op", "base", 3);
  ck_assert_int_eq(restore_key(world.ns, &key, "new", 100), FC_STORED);
  ck_assert_uint_eq(world.store.entries, STORE_CHAIN_MAX);
  sort();
}
END_TEST

START_TEST(restore_above_max_bytes_evicts_nothing) {
  static const uint32_t sizes[] = {64, 3000, 100000, 1 << 20};
  uint32_t n = 0, refused = 0;
  for (; refused < 20; n++) {
    struct fc_key key = key_number(n);
    uint32_t size = sizes[random_below(4)];
    struct store_restore_info info = {.digest = fc_key_digest(world.ns->seed, &key),
                                      .stamp = 1 + n};
    int rc = store_restore(&world.store, world.ns, &key, seeded_bytes(n, size), size, &info);
    EXPECT(rc == FC_STORED || rc == FC_ENOMEM);
    refused += rc == FC_ENOMEM;
    EXPECT(world.store.bytes <= world.store.max_bytes);
  }
  ck_assert_uint_eq(world.store.entries, n - refused);
  for (size_t cause = 0; cause < EVICT_CAUSES; cause++)
    ck_assert_uint_eq(world.store.saved->evictions[cause], 0);
  sort();
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("restore");
  tcase_add_checked_fixture(tests, set_up, world_close);
  tcase_add_loop_test(tests, restore_in_any_order_sorts_by_stamp, 0, SPREADS);
  tcase_add_test(tests, sort_after_puts_keeps_order);
  tcase_add_test(tests, sort_empty_store_succeeds);
  tcase_add_test(tests, restore_keeps_value_and_metadata);
  tcase_add_test(tests, restore_large_value_keeps_bytes);
  tcase_add_test(tests, restore_duplicate_keeps_newer_stamp);
  tcase_add_test(tests, restore_value_above_max_value_refused);
  tcase_add_test(tests, restore_into_full_chain_evicts_nothing);
  tcase_add_test(tests, restore_above_max_bytes_evicts_nothing);
  Suite *suite = suite_create("store_restore");
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
