/* Listings in pages, while entries are used, removed and cleared. */
#include <check.h>
#include <string.h>

#include "daemon/store/store_list.h"
#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/store_world.h"

static void set_up(void) {
  world_open_two(1 << 20, 4096);
}

struct page {
  uint32_t keys[64];
  uint32_t n, room;
};

static bool emit(void *arg, const struct entry *entry) {
  struct page *page = arg;
  if (page->n == page->room)
    return false;
  struct fc_key key = entry_key(entry);
  page->keys[page->n++] = key_number_of(&key, 64);
  return true;
}

/* Lists a page, with the cursor encoded and decoded as for a client. */
static bool list_page(const struct store_select *select, uint32_t limit, uint64_t max_examined,
                      uint8_t *bytes, size_t *size, struct page *page) {
  struct store_cursor cursor;
  ck_assert_int_eq(store_cursor_decode(&cursor, bytes, *size), 0);
  bool more = store_list(&world.store, select, limit, max_examined, &cursor, emit, page);
  *size = more ? STORE_CURSOR_SIZE : 0;
  store_cursor_encode(&cursor, bytes);
  return more;
}

START_TEST(list_in_pages_is_newest_first) {
  for (uint32_t i = 0; i < 10; i++)
    world_put(i % 2 == 0 ? world.ns : world.other, i, "v");
  world_get(world.ns, 4);
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
    while (list_page(&(struct store_select){.ns = world.ns}, 64, limit, cursor, &size, &page))
      ck_assert_uint_le(page.n, 5);
    ck_assert_uint_eq(page.n, 5);
    ck_assert_mem_eq(page.keys, own, sizeof own);
  }
}
END_TEST

START_TEST(list_with_names_shows_matching_entries) {
  world_put_named(world.ns, "dist", "base");
  world_put_named(world.ns, "dist", "ft");
  world_put_named(world.ns, "roll", "ft");
  struct page page = {.room = 64};
  uint8_t cursor[STORE_CURSOR_SIZE];
  size_t size = 0;
  struct store_select select = {.ns = world.ns, .view = fc_str_of("ft"), .op = fc_str_of("dist")};
  ck_assert(!list_page(&select, 64, 100, cursor, &size, &page));
  ck_assert_uint_eq(page.n, 1);
}
END_TEST

START_TEST(list_last_entry_gone_or_used_continues) {
  for (uint32_t i = 0; i < 10; i++)
    world_put(world.ns, i, "v");
  for (int gone = 0; gone < 2; gone++) {
    struct page page = {.room = 64};
    uint8_t cursor[STORE_CURSOR_SIZE];
    size_t size = 0;
    ck_assert(list_page(&(struct store_select){0}, 4, 100, cursor, &size, &page));
    uint32_t last = page.keys[3];
    if (gone == 0) {
      world_get(world.ns, last);
    } else {
      store_remove(&world.store, world_get(world.ns, last));
    }
    /* two entries examined at a time, so the walk to the old position takes several pages */
    for (int turns = 0; list_page(&(struct store_select){0}, 4, 2, cursor, &size, &page); turns++)
      ck_assert_int_lt(turns, 10);
    ck_assert_uint_eq(page.n, 10);
    for (uint32_t i = 0; i < 10; i++)
      for (uint32_t j = 0; j < i; j++)
        ck_assert_uint_ne(page.keys[i], page.keys[j]);
  }
}
END_TEST

START_TEST(list_receiver_full_ends_page) {
  for (uint32_t i = 0; i < 5; i++)
    world_put(world.ns, i, "v");
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

/* Uses between the pages change nothing; entries of another namespace are not shown. */
START_TEST(list_by_slots_shows_each_entry_once) {
  for (uint32_t i = 0; i < 60; i++)
    world_put(i % 3 == 0 ? world.other : world.ns, i, "v");
  for (uint32_t limit = 1; limit < 50; limit += 6) {
    struct page page = {.room = 64};
    struct store_select select = {.ns = world.ns};
    bool seen[60] = {false};
    uint32_t slot = 0, used = 0;
    while (store_list_slots(&world.store, &select, limit, 1 + limit, &slot, emit, &page)) {
      used = (used + 7) % 60;
      world_get(used % 3 == 0 ? world.other : world.ns, used);
    }
    ck_assert_uint_eq(slot, 0);
    ck_assert_uint_eq(page.n, 40);
    for (uint32_t i = 0; i < page.n; i++) {
      ck_assert(page.keys[i] % 3 != 0 && !seen[page.keys[i]]);
      seen[page.keys[i]] = true;
    }
  }
}
END_TEST

START_TEST(list_during_clear_hides_selected_entries) {
  world_put(world.ns, 1, "v");
  struct store_clear clear;
  store_clear_start(&world.store, &clear, &(struct store_select){0});
  world_put(world.ns, 2, "v");
  struct page page = {.room = 64};
  uint8_t cursor[STORE_CURSOR_SIZE];
  size_t size = 0;
  ck_assert(!list_page(&(struct store_select){0}, 64, 100, cursor, &size, &page));
  ck_assert_uint_eq(page.n, 1);
  ck_assert_uint_eq(page.keys[0], 2);
  ck_assert(store_clear_step(&world.store, &clear, 100));
}
END_TEST

START_TEST(cursor_of_any_bytes_is_safe) {
  world_put(world.ns, 1, "v");
  uint8_t bytes[STORE_CURSOR_SIZE + 1];
  struct store_cursor cursor;
  ck_assert_int_eq(store_cursor_decode(&cursor, bytes, 1), FC_EINVAL);
  ck_assert_int_eq(store_cursor_decode(&cursor, bytes, sizeof bytes), FC_EINVAL);
  for (int fill = 0; fill < 256; fill++) {
    memset(bytes, fill, sizeof bytes);
    struct page page = {.room = 64};
    size_t size = STORE_CURSOR_SIZE;
    for (int turns = 0;
         list_page(&(struct store_select){.ns = world.ns}, 64, 1, bytes, &size, &page); turns++)
      ck_assert_int_lt(turns, 5);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_list");
  TCase *tcase = tcase_create("store_list");
  tcase_add_checked_fixture(tcase, set_up, world_close);
  tcase_add_test(tcase, list_in_pages_is_newest_first);
  tcase_add_test(tcase, list_with_names_shows_matching_entries);
  tcase_add_test(tcase, list_last_entry_gone_or_used_continues);
  tcase_add_test(tcase, list_receiver_full_ends_page);
  tcase_add_test(tcase, list_by_slots_shows_each_entry_once);
  tcase_add_test(tcase, list_during_clear_hides_selected_entries);
  tcase_add_test(tcase, cursor_of_any_bytes_is_safe);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
