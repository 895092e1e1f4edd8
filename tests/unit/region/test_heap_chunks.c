/* The metadata of entries: its memory, and its compaction. */
#include <check.h>
#include <malloc.h>

#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

#define HELD 4u
#define MANY 6000u

/* Returns 0 with a sanitizer's allocator. */
static size_t allocated_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* Puts new keys until all older entries are evicted, with hits in between. */
static void wave(uint32_t size) {
  static uint32_t n;
  uint32_t first = n;
  struct fc_key key = key_number(0);
  for (uint64_t bytes = 0; bytes < 2 * world.store.max_bytes; bytes += heap_charge(&key, size)) {
    ck_assert_int_eq(seeded_put(n, n, size), FC_STORED);
    struct entry *entry = world_peek(world.ns, first + random_below(n - first + 1));
    if (entry != NULL)
      store_use(&world.store, entry, n);
    n++;
  }
  const struct entry *newest = world_peek(world.ns, n - 1);
  seeded_check(newest, n - 1, n - 1, size);
}

START_TEST(waves_of_sizes_allocate_no_private_memory) {
  static const uint32_t sizes[] = {60000, 0, 60000, 100, 31000, 3000, 0, 1000, 16000, 0, 60000};
  wave(60000);
  size_t allocated = allocated_bytes();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    wave(sizes[i]);
    ck_assert_uint_eq(allocated_bytes(), allocated);
    ck_assert_uint_ge(world.store.bytes, world.store.max_bytes / 100 * 97);
  }
}
END_TEST

/* Finds the entry by the hint that readers record. */
static void check_hint(uint32_t n) {
  struct fc_key key = key_number(n);
  uint32_t hint = (uint32_t)(entry_placed(world_peek(world.ns, n))->origin >> 32);
  ck_assert_ptr_eq(
      store_peek_hint(&world.store, world.ns, hint, fc_key_digest(world.ns->seed, &key)),
      world_peek(world.ns, n));
}

/* Most of many small entries are removed in random order, while others are held and a clear of a
 * third of them is active. The rest moves together and is still found. */
START_TEST(metadata_compacted_leads_to_entries) {
  struct entry *held[HELD];
  struct store_clear clear;
  uint32_t numbers[MANY], renumbered = 0;
  for (uint32_t n = 0; n < MANY; n++) {
    struct fc_key key = key_number(n);
    struct store_put_info info = {.origin = 5, .compute_ns = n};
    key.view = fc_str_of(n % 3 == 0 ? "cleared" : "base");
    ck_assert_int_eq(
        store_put(&world.store, world.ns, &key, seeded_bytes(n, n % 200), n % 200, &info),
        FC_STORED);
  }
  for (uint32_t n = 1; n < MANY; n++)
    numbers[n] = n % 3 == 0 ? 0 : world_peek(world.ns, n)->number;
  for (uint32_t i = 0; i < HELD; i++) {
    held[i] = world_peek(world.ns, 1501 + 600 * i);
    entry_hold(held[i]);
    ck_assert_uint_eq(held[i]->number, numbers[1501 + 600 * i]);
  }
  uint64_t chunks = world.store.heap.entries.n_slots;
  ck_assert(store_clear_start(&world.store, &clear,
                              &(struct store_select){.view = fc_str_of("cleared")}));
  for (uint32_t removed = 0; removed < MANY / 2;) {
    uint32_t n = random_below(MANY);
    struct entry *entry = n % 3 == 0 || n % 20 == 1 ? NULL : world_peek(world.ns, n);
    if (entry == NULL)
      continue;
    store_remove(&world.store, entry);
    removed++;
    if (removed % 4 == 0)
      (void)store_clear_step(&world.store, &clear, 3);
  }
  while (!store_clear_step(&world.store, &clear, 10))
    ;
  ck_assert_uint_eq(clear.removed, MANY / 3);
  ck_assert_uint_lt(world.store.heap.entries.n_slots, chunks / 3);
  for (uint32_t n = 0; n < MANY; n++)
    if (n % 3 != 0 && world_peek(world.ns, n) != NULL) {
      seeded_check(world_peek(world.ns, n), n, n, n % 200);
      check_hint(n);
      renumbered += world_peek(world.ns, n)->number != numbers[n];
    }
  ck_assert_uint_gt(renumbered, 100);
  store_check(&world.store);
  for (uint32_t i = 0; i < HELD; i++) {
    uint32_t n = 1501 + 600 * i;
    ck_assert_uint_eq(held[i]->number, numbers[n]);
    private_store_check_value(held[i], seeded_bytes(n, n % 200), n % 200);
    entry_release(held[i]);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("heap_chunks");
  TCase *tcase = tcase_create("heap_chunks");
  tcase_add_checked_fixture(tcase, seeded_open, seeded_close);
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, waves_of_sizes_allocate_no_private_memory);
  tcase_add_test(tcase, metadata_compacted_leads_to_entries);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
