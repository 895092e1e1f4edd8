/* Clears: what they select, when they take effect, and their slices. */
#include <check.h>
#include <stdlib.h>

#include "daemon/store/store_clear.h"
#include "tests/support/runner.h"
#include "tests/support/store_world.h"

static void set_up(void) {
  world_open_two(1 << 20, 4096);
}

START_TEST(clear_with_names_removes_matching_entries) {
  world_put_named(world.ns, "dist", "base");
  world_put_named(world.ns, "dist", "ft");
  world_put_named(world.ns, "roll", "base");
  world_put_named(world.ns, "roll", "ft");
  world_put_named(world.other, "dist", "base");
  struct store_select select = {.ns = world.ns, .view = fc_str_of("base"), .op = fc_str_of("dist")};
  ck_assert_uint_eq(store_clear_all(&world.store, &select), 1);
  ck_assert_uint_eq(store_clear_all(&world.store, &select), 0);
  select = (struct store_select){.ns = world.ns, .view = fc_str_of("ft")};
  ck_assert_uint_eq(store_clear_all(&world.store, &select), 2);
  select = (struct store_select){.op = fc_str_of("dist")};
  ck_assert_uint_eq(store_clear_all(&world.store, &select), 1);
  ck_assert_uint_eq(world.other->entries, 0);
  select = (struct store_select){0};
  ck_assert_uint_eq(store_clear_all(&world.store, &select), 1);
  ck_assert_uint_eq(world.store.entries, 0);
  ck_assert_uint_eq(world.store.bytes, 0);
  ck_assert_uint_eq(
      world.store.saved->evictions[EVICT_BYTES] + world.store.saved->evictions[EVICT_ENTRIES], 0);
}
END_TEST

START_TEST(put_stale_generation_rejected) {
  uint64_t began = world.store.saved->generation;
  struct store_put_info info = {.has_generation = true, .generation = began};
  struct store_select select = {.ns = world.ns, .view = fc_str_of("base")};
  store_clear_all(&world.store, &select);
  ck_assert_uint_gt(world.store.saved->generation, began);
  ck_assert_int_eq(world_put_info(world.ns, 1, "old", info), FC_STALE);
  ck_assert(!world_has(world.ns, 1));
  ck_assert_int_eq(world_put_info(world.other, 1, "another namespace", info), FC_STORED);
  struct fc_key ft = key_named("op", "ft", 1);
  ck_assert_int_eq(store_put(&world.store, world.ns, &ft, "v", 1, &info), FC_STORED);
  info.has_generation = false;
  ck_assert_int_eq(world_put_info(world.ns, 1, "says nothing", info), FC_STORED);
  info =
      (struct store_put_info){.has_generation = true, .generation = world.store.saved->generation};
  ck_assert_int_eq(world_put_info(world.ns, 1, "began after", info), FC_STORED);
  /* a clear of all namespaces */
  store_clear_all(&world.store, &(struct store_select){0});
  ck_assert_int_eq(world_put_info(world.other, 1, "old", info), FC_STALE);
  ck_assert_int_eq(world_put_info(world.ns, 1, "old", info), FC_STALE);
}
END_TEST

/* A slice zeroes a bounded number of bytes. */
START_TEST(clear_step_large_values_bounded_by_bytes) {
  enum { VALUES = 64, BYTES = 256 << 10 };
  struct store_clear clear;
  char *value = calloc(1, BYTES);
  ck_assert_ptr_nonnull(value);
  world_close();
  world_open_two(32 << 20, BYTES);
  for (uint32_t i = 0; i < VALUES; i++)
    world_put_bytes(world.ns, i, value, BYTES);
  free(value);
  ck_assert(store_clear_start(&world.store, &clear, &(struct store_select){.ns = world.ns}));
  uint64_t before = 0, steps = 0;
  for (bool done = false; !done; before = clear.removed, steps++) {
    done = store_clear_step(&world.store, &clear, STORE_SLICE);
    ck_assert_uint_gt(clear.removed, before);
    ck_assert_uint_le((clear.removed - before - 1) * BYTES, STORE_SLICE_BYTES);
  }
  ck_assert_uint_ge(steps, VALUES / (STORE_SLICE_BYTES / BYTES));
  ck_assert_uint_eq(clear.removed, VALUES);
}
END_TEST

START_TEST(clear_started_hides_old_and_keeps_new_entries) {
  for (uint32_t i = 0; i < 10; i++)
    world_put(world.ns, i, "old");
  struct store_clear clear;
  store_clear_start(&world.store, &clear, &(struct store_select){.ns = world.ns});
  ck_assert_ptr_null(world_get(world.ns, 3));
  ck_assert(!world_has(world.ns, 4));
  ck_assert_uint_eq(world.ns->entries, 10); /* hidden, but not removed yet */
  struct store_put_info keep = {.keep_first = true};
  ck_assert_int_eq(world_put_info(world.ns, 5, "new", keep), FC_STORED);
  world_put(world.ns, 20, "new");
  ck_assert(!store_clear_step(&world.store, &clear, 3));
  world_check_value(world_get(world.ns, 5), "new");
  while (!store_clear_step(&world.store, &clear, 3))
    ck_assert_uint_le(clear.removed, 10);
  ck_assert_uint_eq(clear.removed, 10);
  ck_assert_uint_eq(world.ns->entries, 2);
  world_check_value(world_get(world.ns, 5), "new");
  world_check_value(world_get(world.ns, 20), "new");
  ck_assert(store_clear_step(&world.store, &clear, 1)); /* it is finished */
}
END_TEST

START_TEST(clears_overlapping_remove_each_entry_once) {
  for (uint32_t i = 0; i < 50; i++) {
    world_put(world.ns, i, "old");
    world_put(world.other, i, "old");
  }
  world_put_named(world.ns, "op", "ft");
  struct store_clear base, all;
  store_clear_start(&world.store, &base,
                    &(struct store_select){.ns = world.ns, .view = fc_str_of("base")});
  ck_assert(!store_clear_step(&world.store, &base, 7));
  store_clear_start(&world.store, &all, &(struct store_select){.op = fc_str_of("op")});
  world_put(world.ns, 7, "new");
  bool done = false;
  for (uint32_t i = 0; !done; i++) {
    ck_assert_uint_lt(i, 1000);
    if (i % 3 == 0)
      world_check_value(world_get(world.ns, 7), "new");
    bool one = store_clear_step(&world.store, &base, 2),
         two = store_clear_step(&world.store, &all, 3);
    done = one && two;
  }
  ck_assert_uint_eq(base.removed + all.removed, 101);
  ck_assert_uint_eq(world.store.entries, 1);
  ck_assert_ptr_null(world.store.active_clears);
}
END_TEST

START_TEST(eviction_of_selected_entry_counts_as_cleared) {
  struct fc_key key = key_number(0);
  for (uint32_t i = 0; i < 4; i++)
    world_put(world.ns, i, "v");
  world.store.max_bytes = 4 * heap_charge(&key, 1);
  struct store_clear clear;
  store_clear_start(&world.store, &clear, &(struct store_select){0});
  world_put(world.other, 1, "v");
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_BYTES], 0);
  ck_assert_uint_eq(clear.removed, 1);
  ck_assert(store_clear_step(&world.store, &clear, 100));
  ck_assert_uint_eq(clear.removed, 4);
  ck_assert(world_has(world.other, 1));
}
END_TEST

/* Also if there were such entries before. */
START_TEST(clear_without_matches_finished_at_start) {
  struct store_clear clear;
  world_put_named(world.ns, "op", "base");
  world_put_named(world.other, "op", "gone");
  world_put_named(world.other, "gone", "base");
  world_put_named(world.other, "other", "gone");
  ck_assert_uint_eq(store_clear_all(&world.store, &(struct store_select){.ns = world.other}), 3);
  const struct store_select nothing[] = {
      {.view = fc_str_of("gone")},
      {.op = fc_str_of("gone")},
      {.view = fc_str_of("base"), .op = fc_str_of("other")},
      {.ns = world.other},
      {.ns = world.other, .op = fc_str_of("op")},
  };
  uint64_t generation = world.store.saved->generation;
  for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
    ck_assert(store_clear_start(&world.store, &clear, &nothing[i]));
    ck_assert(clear.finished);
    ck_assert_uint_eq(clear.removed, 0);
    ck_assert_uint_eq(world.store.saved->generation,
                      generation + i + 1); /* earlier puts are stale */
  }
  ck_assert_uint_eq(world.store.n_active_clears, 0);
}
END_TEST

/* The clear examines no entry that was used later. */
START_TEST(clear_last_entry_removed_is_finished) {
  struct store_clear clear;
  world_put_named(world.ns, "op", "first");
  for (uint32_t i = 0; i < 50; i++)
    world_put(world.ns, i, "v");
  struct store_select first = {.view = fc_str_of("first")};
  ck_assert(store_clear_start(&world.store, &clear, &first));
  ck_assert(store_clear_step(&world.store, &clear, 2));
  ck_assert_uint_eq(clear.removed, 1);
}
END_TEST

START_TEST(clear_past_active_maximum_refused) {
  struct store_clear clears[STORE_CLEARS_MAX], more;
  struct store_select all = {0};
  world_put(world.ns, 1, "v");
  for (size_t i = 0; i < STORE_CLEARS_MAX; i++)
    ck_assert(store_clear_start(&world.store, &clears[i], &all));
  uint64_t generation = world.store.saved->generation;
  ck_assert(!store_clear_start(&world.store, &more, &all));
  ck_assert_uint_eq(world.store.saved->generation, generation);
  ck_assert(store_clear_step(&world.store, &clears[0], 10));
  ck_assert(store_clear_start(&world.store, &more, &all));
  ck_assert(more.finished); /* no entry is left */
  for (size_t i = 1; i < STORE_CLEARS_MAX; i++)
    ck_assert(store_clear_step(&world.store, &clears[i], 10));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_clear");
  TCase *tcase = tcase_create("store_clear");
  tcase_add_checked_fixture(tcase, set_up, world_close);
  tcase_add_test(tcase, clear_with_names_removes_matching_entries);
  tcase_add_test(tcase, put_stale_generation_rejected);
  tcase_add_test(tcase, clear_step_large_values_bounded_by_bytes);
  tcase_add_test(tcase, clear_started_hides_old_and_keeps_new_entries);
  tcase_add_test(tcase, clears_overlapping_remove_each_entry_once);
  tcase_add_test(tcase, eviction_of_selected_entry_counts_as_cleared);
  tcase_add_test(tcase, clear_without_matches_finished_at_start);
  tcase_add_test(tcase, clear_last_entry_removed_is_finished);
  tcase_add_test(tcase, clear_past_active_maximum_refused);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
