/* Damaged memory: whatever bytes change, the next store starts, and only the entries go whose bytes
 * they are. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/expect.h"
#include "tests/support/keys.h"
#include "tests/support/lives.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"
#include "tests/support/seeded_values.h"

#define MAX_BYTES (4u << 20)
#define N 1500u

static struct lives lives;
static struct life life;
static uint8_t *arena; /* the writable map of the first life */

static uint32_t size_of(uint32_t n) {
  return n % 300 == 299 ? 150000 : n % 10 == 9 ? 3000 : n % 100;
}

/* The map of the first life stays, to change bytes that are sealed for all others. */
static void set_up(void) {
  lives_open(&lives, MAX_BYTES);
  lives_begin(&lives, &life);
  struct namespace *ns = lives_namespace(&life, "ns");
  for (uint32_t n = 0; n < N; n++) {
    struct fc_key key = key_number(n);
    ck_assert_int_eq(lives_put(&life, ns, &key, n, size_of(n)), FC_STORED);
  }
  ck_assert_uint_eq(life.store.entries, N);
  arena = life.region.base + life.region.arena_offset;
}

/* Adopts and migrates all. Returns the number of entries that are left, whose values are right. */
static uint32_t adopt_and_check(void) {
  static struct life next;
  uint32_t left = 0;
  lives_begin(&lives, &next);
  struct namespace *ns = namespace_table_find(&next.table, fc_str_of("ns"));
  for (uint32_t n = 0; ns != NULL && n < N; n++) {
    struct fc_key key = key_number(n);
    const struct entry *entry = store_peek(&next.store, ns, &key);
    EXPECT(entry == NULL || lives_has_value(entry, n, size_of(n)));
  }
  lives_migrate(&next);
  ck_assert(!store_is_migrating(&next.store));
  store_check(&next.store);
  for (uint32_t n = 0; ns != NULL && n < N; n++) {
    struct fc_key key = key_number(n);
    const struct entry *entry = store_peek(&next.store, ns, &key);
    EXPECT(entry == NULL || lives_has_value(entry, n, size_of(n)));
    left += entry != NULL;
  }
  struct fc_key key = key_number(N);
  ck_assert_int_eq(lives_put(&next, lives_namespace(&next, "new"), &key, 1, 100), FC_STORED);
  lives_kill(&next);
  return left;
}

static void change(uint8_t *at) {
  *at ^= (uint8_t)(1 + random_below(255));
}

START_TEST(arena_bytes_changed_lose_their_entries) {
  enum { CHANGES = 40 };
  random_seed((uint64_t)_i + 1);
  for (int i = 0; i < CHANGES; i++)
    change(arena + random_below((uint32_t)life.store.heap.arena.used_bytes));
  ck_assert_uint_ge(adopt_and_check(), N - CHANGES);
}
END_TEST

START_TEST(metadata_bytes_changed_lose_their_entries) {
  enum { CHANGES = 40 };
  random_seed((uint64_t)_i + 100);
  uint8_t *chunks = catalog_at(&life.catalog, CATALOG_CHUNKS, 0);
  for (int i = 0; i < CHANGES; i++)
    change(chunks + random_below(N / ENTRIES_PER_CHUNK * SLOTS_CHUNK_BYTES));
  ck_assert_uint_ge(adopt_and_check(), N - CHANGES);
}
END_TEST

/* Anything in the store's state and in the directory may be wrong. All that is asked is that it
 * starts, and gives no wrong value. */
START_TEST(state_bytes_changed_never_prevent_the_start) {
  static const enum catalog_area areas[] = {CATALOG_STORE, CATALOG_NAMESPACES, CATALOG_DIRECTORY,
                                            CATALOG_TOTALS};
  random_seed((uint64_t)_i + 200);
  enum catalog_area area = areas[(size_t)_i % 4];
  uint64_t bytes = life.catalog.header->areas[area].element_bytes;
  bytes = area == CATALOG_DIRECTORY ? 12 * bytes : bytes;
  for (int i = 0; i < 1 + _i % 7; i++)
    change((uint8_t *)catalog_at(&life.catalog, area, 0) + random_below((uint32_t)bytes));
  (void)adopt_and_check();
}
END_TEST

START_TEST(header_bytes_changed_are_refused_or_harmless) {
  struct catalog_sizes sizes = {.areas[CATALOG_LEASES] = {256, 64}};
  struct error_text why;
  random_seed((uint64_t)_i + 300);
  change((uint8_t *)life.catalog.header + random_below(sizeof(struct catalog_header)));
  store_catalog_sizes(&sizes);
  struct catalog catalog;
  int rc = catalog_open(&catalog, dup(lives.catalog_fd), &sizes, 1, &why);
  if (rc == 0) {
    catalog_deinit(&catalog);
    (void)adopt_and_check();
  } else {
    ck_assert_int_eq(rc, FC_EREFUSED);
    ck_assert_int_gt((int)strlen(why.text), 20);
  }
}
END_TEST

int main(void) {
  const int part = SANITIZER_SLOW ? 8 : 2; /* of the seeds, to bound the time */
  Suite *suite = suite_create("adopt_damage");
  TCase *tcase = tcase_create("adopt_damage");
  tcase_add_checked_fixture(tcase, set_up, NULL);
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, arena_bytes_changed_lose_their_entries, 0, 40 / part);
  tcase_add_loop_test(tcase, metadata_bytes_changed_lose_their_entries, 0, 100 / part);
  tcase_add_loop_test(tcase, state_bytes_changed_never_prevent_the_start, 0, 200 / part);
  tcase_add_loop_test(tcase, header_bytes_changed_are_refused_or_harmless, 0, 200 / part);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
