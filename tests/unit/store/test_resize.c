/* Another max_bytes at run time: entries move to a new region, and memory is given back. */
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
static struct namespace *ns;
static int n_replaced, replaced_rc;

static uint32_t size_of(uint32_t n) {
  return n % 500 == 499 ? 200000 : n % 10 == 9 ? 5000 + n : n % 200;
}

static void count_replaced(void *arg, int rc, const struct error_text *error) {
  (void)arg;
  (void)error;
  n_replaced++;
  replaced_rc = rc;
  lives_keep(&lives, &life);
}

static void set_up(void) {
  lives_open(&lives, MAX_BYTES);
  lives_begin(&lives, &life);
  ns = lives_namespace(&life, "ns");
  n_replaced = 0;
  life.store.region_replaced = count_replaced;
  for (uint32_t n = 0; n < N; n++) {
    struct fc_key key = key_number(n);
    ck_assert_int_eq(lives_put(&life, ns, &key, n, size_of(n)), FC_STORED);
  }
}

static void tear_down(void) {
  store_check(&life.store);
  lives_kill(&life);
  lives_close(&lives);
}

static struct entry *peek(uint32_t n) {
  struct fc_key key = key_number(n);
  return store_peek(&life.store, ns, &key);
}

static uint32_t check_values(void) {
  uint32_t found = 0;
  for (uint32_t n = 0; n < N; n++) {
    const struct entry *entry = peek(n);
    EXPECT(entry == NULL || lives_has_value(entry, n, size_of(n)));
    found += entry != NULL;
  }
  store_check(&life.store);
  return found;
}

static void resize(uint64_t max_bytes) {
  struct error_text error = {0};
  static uint64_t id = 5000;
  int rc = store_resize(&life.store, max_bytes, id++, &error);
  ck_assert_msg(rc == 0, "%s", error.text);
}

START_TEST(limit_raised_keeps_all_and_has_more_room) {
  resize(4 * MAX_BYTES);
  while (n_replaced == 0)
    ck_assert(store_background_step(&life.store));
  ck_assert_int_eq(replaced_rc, 0);
  ck_assert_uint_eq(check_values(), N);
  lives_migrate(&life);
  ck_assert(!store_is_migrating(&life.store));
  ck_assert_uint_eq(check_values(), N);
  for (uint32_t n = N; n < 7 * N; n++) {
    struct fc_key key = key_number(n);
    EXPECT_EQUAL(lives_put(&life, ns, &key, n, 1000), FC_STORED);
  }
  ck_assert_uint_gt(life.store.bytes, 2 * MAX_BYTES);
}
END_TEST

START_TEST(limit_lowered_evicts_the_oldest_and_gives_memory_back) {
  uint64_t before = life.region.committed_bytes;
  resize(1 << 20);
  lives_migrate(&life);
  ck_assert_int_eq(n_replaced, 1);
  ck_assert_uint_le(life.store.bytes, 1 << 20);
  ck_assert_uint_lt(life.region.committed_bytes + life.region.other_bytes, before / 2);
  uint32_t left = check_values();
  ck_assert_uint_eq(left, life.store.entries);
  for (uint32_t n = 0; n < left; n++)
    EXPECT(peek(N - 1 - n) != NULL);
}
END_TEST

START_TEST(limit_changed_many_times_survives_kills) {
  random_seed(2);
  for (int i = 0; i < 12; i++) {
    if (!store_is_migrating(&life.store))
      resize((8 + random_below(24)) * (1u << 20));
    for (uint32_t steps = random_below(40); steps > 0; steps--)
      (void)store_background_step(&life.store);
    ck_assert_uint_eq(check_values(), N);
    if (i % 3 == 2) {
      lives_kill(&life);
      lives_begin(&lives, &life);
      life.store.region_replaced = count_replaced;
      ns = namespace_table_find(&life.table, fc_str_of("ns"));
      ck_assert_uint_eq(check_values(), N);
    }
  }
  lives_migrate(&life);
  ck_assert_uint_eq(check_values(), N);
}
END_TEST

START_TEST(entry_held_delays_what_it_blocks) {
  struct entry *held = peek(9);
  entry_hold(held);
  resize(2 * MAX_BYTES);
  lives_migrate(&life);
  ck_assert(store_is_migrating(&life.store));
  ck_assert(lives_has_value(held, 9, size_of(9)));
  store_remove(&life.store, held);
  ck_assert(lives_has_value(held, 9, size_of(9)));
  entry_release(held);
  lives_migrate(&life);
  ck_assert(!store_is_migrating(&life.store));
  ck_assert_uint_eq(check_values(), N - 1);
}
END_TEST

/* Chunks of entries lie in the arena if values have all its memory. */
static uint32_t number_in_arena(void) {
  const struct slots *slots = &life.store.heap.entries;
  for (uint32_t n = 0; n < 200; n++) {
    struct fc_key key = key_number(n);
    EXPECT_EQUAL(lives_put(&life, ns, &key, n, 60000), FC_STORED);
  }
  for (uint32_t n = 0; n < 20000; n++) {
    struct fc_key key = key_number(n);
    EXPECT_EQUAL(lives_put(&life, ns, &key, n, 20), FC_STORED);
    const struct entry *entry = peek(n);
    if (slots->chunks[entry->number >> ENTRY_BITS]->block != 0)
      return n;
  }
  ck_abort_msg("no chunk is in the arena");
}

/* Until the release there is nothing to do: a step would make a whole region in vain. */
START_TEST(entry_held_in_an_arena_chunk_delays_the_region) {
  struct entry *held = peek(number_in_arena());
  uint64_t entries = life.store.entries;
  entry_hold(held);
  resize(2 * MAX_BYTES);
  ck_assert(store_has_background_work(&life.store));
  ck_assert(!store_background_step(&life.store));
  ck_assert(!store_background_step(&life.store));
  ck_assert_int_eq(n_replaced, 0);
  store_check(&life.store);
  entry_release(held);
  ck_assert(store_has_background_work(&life.store));
  lives_migrate(&life);
  ck_assert_int_eq(n_replaced, 1);
  ck_assert_int_eq(replaced_rc, 0);
  ck_assert(!store_is_migrating(&life.store));
  ck_assert_uint_eq(life.store.entries, entries);
}
END_TEST

START_TEST(resize_during_a_migration_is_refused) {
  struct error_text error;
  resize(2 * MAX_BYTES);
  ck_assert_int_eq(store_resize(&life.store, MAX_BYTES, 77, &error), FC_EREFUSED);
  ck_assert_ptr_nonnull(strstr(error.text, "try again"));
  lives_migrate(&life);
  ck_assert_int_eq(store_resize(&life.store, MAX_BYTES, 77, &error), 0);
  lives_migrate(&life);
  ck_assert_uint_eq(check_values(), N);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("resize");
  TCase *tcase = tcase_create("resize");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, limit_raised_keeps_all_and_has_more_room);
  tcase_add_test(tcase, limit_lowered_evicts_the_oldest_and_gives_memory_back);
  tcase_add_test(tcase, limit_changed_many_times_survives_kills);
  tcase_add_test(tcase, entry_held_delays_what_it_blocks);
  tcase_add_test(tcase, entry_held_in_an_arena_chunk_delays_the_region);
  tcase_add_test(tcase, resize_during_a_migration_is_refused);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
