/* Where values lie: in one piece, in several, moved, replaced, held; their bytes are the same. */
#include <check.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "daemon/region/arena_internal.h"
#include "daemon/store/namespace_table.h"
#include "daemon/store/store_clear.h"
#include "tests/support/private_store.h"
#include "tests/support/runner.h"

#define MAX_BYTES (4u << 20)
#define VALUE_MAX (1u << 20)
#define KEYS 2048u
#define HELD 4u
#define WALLS 7u /* entries that moving comes upon, and cannot move */

static struct region region;
static struct store store;
static struct namespace_table table;
static struct namespace *ns;
static uint64_t random_state;
static uint8_t *scratch; /* the bytes of one value */

static void set_up(void) {
  private_store_init(&store, &region, MAX_BYTES, VALUE_MAX, 7);
  namespace_table_init(&table, &store, 8);
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("ns"), NULL, &ns), 0);
  random_state = 1;
  scratch = malloc(VALUE_MAX);
  ck_assert_ptr_nonnull(scratch);
}

static void tear_down(void) {
  namespace_table_deinit(&table);
  private_store_deinit(&store, &region);
  free(scratch);
}

static uint64_t next(void) { /* xorshift64* */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 0x2545f4914f6cdd1du;
}

static uint32_t below(uint32_t n) {
  return (uint32_t)((next() >> 32) * n >> 32);
}

/* From 1 byte to 2^bits_max, each power of two as likely as another. */
static uint32_t log_uniform(uint32_t bits_max) {
  uint32_t bits = below(bits_max + 1);
  return (1u << bits) - (bits == 0 ? 0 : below(1u << (bits - 1)));
}

/* Bytes that no other value has, nor another place of this one. */
static const uint8_t *bytes_of(uint64_t seed, uint32_t size) {
  for (uint32_t i = 0; i < size; i += 8) {
    uint64_t word = (seed + i) * 0x9e3779b97f4a7c15u;
    memcpy(scratch + i, &word, size - i < 8 ? size - i : 8);
  }
  return scratch;
}

static struct fc_key key_of(uint32_t n) {
  struct fc_key key = {.op = fc_str_of("next_token_dist"), .view = fc_str_of("base"), .top_k = n};
  memcpy(key.prompt.bytes, &n, sizeof n);
  return key;
}

static int put(uint32_t n, uint64_t seed, uint32_t size) {
  struct fc_key key = key_of(n);
  struct store_put_info info = {.origin = 5, .compute_ns = seed};
  return store_put(&store, ns, &key, bytes_of(seed, size), size, &info);
}

static struct entry *peek(uint32_t n) {
  struct fc_key key = key_of(n);
  return store_peek(&store, ns, &key);
}

/* The entry has the bytes, the key, the cost and the checksum of that put. */
static void check(const struct entry *entry, uint32_t n, uint64_t seed, uint32_t size) {
  struct fc_key key = key_of(n);
  const uint8_t *bytes = bytes_of(seed, size);
  private_store_check_value(entry, bytes, size);
  ck_assert(entry_is(entry_placed(entry), ns->seed, &key));
  ck_assert_uint_eq(entry_compute_ns(entry), seed);
  ck_assert_uint_eq(entry_origin(entry), 5);
  uint64_t digest = fc_key_digest(ns->seed, &key);
  ck_assert_uint_eq(fc_region_checksum_of(entry_placed(entry)->shape),
                    (uint32_t)XXH3_64bits_withSeed(bytes, size, digest));
}

static size_t pieces_of(const struct entry *entry) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  return entry_value(entry, pieces);
}

/* ---- one rule a test ---- */

/* Holes of 40 KiB between entries that stay. */
static void make_holes(void) {
  uint32_t n = 0;
  for (; store.bytes + 2 * 50000 < store.max_bytes; n++)
    ck_assert_int_eq(put(n, n, 40000), FC_STORED);
  for (uint32_t i = 0; i < n; i += 2)
    store_remove(&store, peek(i));
}

START_TEST(a_large_value_lies_in_the_holes_that_there_are) {
  make_holes();
  uint64_t entries = store.entries;
  ck_assert_int_eq(put(1000, 99, 500000), FC_STORED);
  ck_assert_uint_gt(pieces_of(peek(1000)), 1);
  check(peek(1000), 1000, 99, 500000);
  ck_assert_uint_eq(store.entries, entries + 1);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES] + store.evictions[EVICT_FORCED], 0);
  ck_assert_uint_ge(heap_charge_of(peek(1000)), 500000 + 64 + 16 * pieces_of(peek(1000)));
  for (uint32_t i = 1; peek(i) != NULL; i += 2)
    check(peek(i), i, i, 40000);
}
END_TEST

static void use_the_oldest(void *arg) {
  unsigned *calls = arg;
  if ((*calls)++ == 0)
    store_use(&store, peek(1), 0);
}

/* Its pieces are charged for what the limit has no room for, and that is seen last. */
START_TEST(hits_are_heard_of_before_pieces_evict) {
  unsigned calls = 0;
  struct fc_key key = key_of(1000);
  make_holes();
  store.max_bytes = store.bytes + heap_charge(&key, 500000);
  store.before_evict = use_the_oldest;
  store.before_evict_arg = &calls;
  ck_assert_int_eq(put(1000, 99, 500000), FC_STORED);
  ck_assert_uint_gt(pieces_of(peek(1000)), 1);
  ck_assert_uint_eq(store.evictions[EVICT_BYTES], 1);
  ck_assert_uint_gt(calls, 0);
  ck_assert(peek(1) != NULL && peek(3) == NULL && peek(5) != NULL);
  ck_assert_ptr_eq(store_newest(&store, NULL), peek(1000)); /* the hits were before it */
}
END_TEST

START_TEST(what_cannot_be_scattered_is_made_room_for_by_moving) {
  uint32_t n = 0;
  for (; store.heap.arena.used_bytes + 5000 < store.heap.arena.size; n++) {
    store.max_bytes = 2 * MAX_BYTES; /* to fill the arena itself */
    ck_assert_int_eq(put(n, n, 3000), FC_STORED);
  }
  for (uint32_t i = 0; i < n; i += 8)
    store_remove(&store, peek(i));
  ck_assert_uint_lt(arena_largest(&store.heap.arena), 20000);
  ck_assert_int_eq(put(1, 77, 20000), FC_STORED); /* replaces one, too */
  ck_assert_uint_gt(store.heap.arena.moved_bytes, 0);
  ck_assert_uint_eq(store.evictions[EVICT_FORCED], 0);
  check(peek(1), 1, 77, 20000);
  for (uint32_t i = 2; i < n; i++)
    if (i % 8 != 0)
      check(peek(i), i, i, 3000);
}
END_TEST

START_TEST(what_is_held_stays_where_it_is) {
  ck_assert_int_eq(put(0, 5, 3000), FC_STORED);
  ck_assert_int_eq(put(1, 6, 300000), FC_STORED);
  struct entry *one = peek(0), *other = peek(1);
  entry_hold(one);
  entry_hold(other);
  const void *where = entry_placed(one);
  ck_assert_int_eq(put(1, 7, 2000), FC_STORED); /* a replacement leaves the old one to its holder */
  for (uint32_t i = 2; i < 2000; i++)
    ck_assert_int_eq(put(i, i, 1 + below(30000)), FC_STORED);
  ck_assert_ptr_null(peek(0));
  ck_assert_ptr_eq(entry_placed(one), where);
  private_store_check_value(one, bytes_of(5, 3000), 3000);
  private_store_check_value(other, bytes_of(6, 300000), 300000);
  entry_release(one);
  entry_release(other);
}
END_TEST

START_TEST(a_value_as_large_as_all_memory_finds_its_place) {
  struct fc_key key = key_of(0);
  uint32_t most = VALUE_MAX;
  store.max_bytes = heap_charge(&key, most);
  for (uint32_t i = 1; i < 300; i++)
    ck_assert_int_eq(put(i, i, 1 + below(5000)), FC_STORED);
  ck_assert_int_eq(put(0, 1, most), FC_STORED);
  check(peek(0), 0, 1, most);
  ck_assert_uint_eq(store.entries, 1);
  ck_assert_int_eq(put(0, 2, most - 100), FC_STORED); /* and so does the next one of its key */
  check(peek(0), 0, 2, most - 100);
  ck_assert_uint_eq(store.evictions[EVICT_FORCED], 0);
}
END_TEST

/* ---- any order ---- */

struct known {
  uint64_t seed; /* 0: never put, or replaced by a failure */
  uint32_t size;
};

START_TEST(no_number_is_given_twice) {
  struct slots *entries = &store.heap.entries;
  struct entry *held[1u << ENTRY_BITS];
  uint32_t n = 0;
  entries->max_chunks = entries->n_chunks;    /* as if all numbers of 32 bits were in use */
  bool seen[1u << ENTRY_BITS] = {[0] = true}; /* none */
  while ((held[n] = heap_entry_new(&store.heap)) != NULL) {
    uint32_t number = held[n++]->number;
    ck_assert(number < 1u << ENTRY_BITS && !seen[number]);
    seen[number] = true;
  }
  ck_assert_uint_eq(n, (1u << ENTRY_BITS) - 1);
  while (n > 0) {
    heap_entry_release(&store.heap, held[--n]);
    entry_release(held[n]);
  }
}
END_TEST

/* ---- the memory of the books ---- */

/* Zero with a sanitizer's allocator. */
static size_t allocated_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* Puts new keys until everything that was there before has gone, with hits that mix the order. */
static void wave(uint32_t size) {
  static uint32_t n;
  uint32_t first = n;
  struct fc_key key = key_of(0);
  for (uint64_t bytes = 0; bytes < 2 * store.max_bytes; bytes += heap_charge(&key, size)) {
    ck_assert_int_eq(put(n, n, size), FC_STORED);
    struct entry *entry = peek(first + below(n - first + 1));
    if (entry != NULL)
      store_use(&store, entry, n);
    n++;
  }
  const struct entry *newest = peek(n - 1);
  check(newest, n - 1, n - 1, size);
}

START_TEST(all_that_entries_take_lies_in_the_region_whatever_their_sizes) {
  static const uint32_t sizes[] = {60000, 0, 60000, 100, 31000, 3000, 0, 1000, 16000, 0, 60000};
  wave(60000);
  size_t allocated = allocated_bytes();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    wave(sizes[i]);
    ck_assert_uint_eq(allocated_bytes(), allocated);
    ck_assert_uint_ge(store.bytes, store.max_bytes / 100 * 97);
  }
}
END_TEST

#define MANY 6000u

/* By the hint that readers send back; and the region leads to the same entry. */
static void check_hint(uint32_t n) {
  struct fc_key key = key_of(n);
  uint32_t hint = (uint32_t)(entry_placed(peek(n))->origin >> 32);
  ck_assert_ptr_eq(store_peek_hint(&store, ns, hint, fc_key_digest(ns->seed, &key)), peek(n));
}

static void check_order(uint64_t last_stamp, uint64_t n) {
  bool ok = true;
  for (const struct entry *at = store_newest(&store, NULL), *own = store_newest(&store, ns);
       at != NULL; at = store_older(&store, NULL, at), own = store_older(&store, ns, own), n--) {
    ok = ok && at == own && at->use_stamp <= last_stamp && entry_namespace(at) == ns;
    last_stamp = at->use_stamp;
  }
  ck_assert(ok);
  ck_assert_uint_eq(n, 0);
}

/* Most of many small entries go, in any order, while others are held, and while a clear of a third
 * of them is under way: the rest moves together, and each is still found in every way. */
START_TEST(books_move_together_and_lead_to_their_entries) {
  struct entry *held[HELD];
  struct store_clear clear;
  uint32_t numbers[MANY], renumbered = 0;
  for (uint32_t n = 0; n < MANY; n++) {
    struct fc_key key = key_of(n);
    struct store_put_info info = {.origin = 5, .compute_ns = n};
    key.view = fc_str_of(n % 3 == 0 ? "cleared" : "base");
    ck_assert_int_eq(store_put(&store, ns, &key, bytes_of(n, n % 200), n % 200, &info), FC_STORED);
  }
  for (uint32_t n = 1; n < MANY; n++)
    numbers[n] = n % 3 == 0 ? 0 : peek(n)->number;
  for (uint32_t i = 0; i < HELD; i++) {
    held[i] = peek(1501 + 600 * i);
    entry_hold(held[i]);
    ck_assert_uint_eq(held[i]->number, numbers[1501 + 600 * i]);
  }
  uint64_t chunks = store.heap.entries.n_slots;
  ck_assert(
      store_clear_start(&store, &clear, &(struct store_select){.view = fc_str_of("cleared")}));
  for (uint32_t removed = 0; removed < MANY / 2;) {
    uint32_t n = below(MANY);
    struct entry *entry = n % 3 == 0 || n % 20 == 1 ? NULL : peek(n);
    if (entry == NULL)
      continue;
    store_remove(&store, entry);
    removed++;
    if (removed % 4 == 0)
      (void)store_clear_step(&store, &clear, 3);
  }
  while (!store_clear_step(&store, &clear, 10))
    ;
  ck_assert_uint_eq(clear.removed, MANY / 3);
  ck_assert_uint_lt(store.heap.entries.n_slots, chunks / 3);
  for (uint32_t n = 0; n < MANY; n++)
    if (n % 3 != 0 && peek(n) != NULL) {
      check(peek(n), n, n, n % 200);
      check_hint(n);
      renumbered += peek(n)->number != numbers[n];
    }
  ck_assert_uint_gt(renumbered, 100);
  check_order(UINT64_MAX, store.entries);
  for (uint32_t i = 0; i < HELD; i++) {
    uint32_t n = 1501 + 600 * i;
    ck_assert_uint_eq(held[i]->number, numbers[n]);
    private_store_check_value(held[i], bytes_of(n, n % 200), n % 200);
    entry_release(held[i]);
  }
}
END_TEST

static void check_some(const struct known *known) {
  uint32_t n = below(KEYS);
  const struct entry *entry = peek(n);
  if (entry != NULL)
    check(entry, n, known[n].seed, known[n].size);
}

START_TEST(random_operations_keep_every_byte) {
  bool scatters = _i % 2 == 0; /* or all values are too small for it, and have to be moved */
  static struct known known[KEYS];
  static struct {
    struct entry *entry;
    struct known known;
  } held[HELD];
  uint64_t pieces = 0;
  memset(known, 0, sizeof known);
  random_state = (uint64_t)_i + 1;
  for (uint64_t i = 1; i <= 20000; i++) {
    uint32_t n = below(KEYS), dice = below(100), slot = below(HELD);
    struct entry *entry = peek(n);
    if (dice < 30) {
      known[n] = (struct known){i, log_uniform(scatters ? 20 : 15)};
      ck_assert_int_eq(put(n, i, known[n].size), FC_STORED);
      pieces += pieces_of(peek(n)) - 1;
    } else if (dice < 90 && entry != NULL) {
      store_use(&store, entry, i);
    } else if (dice < 92 && entry != NULL) {
      store_remove(&store, entry);
    } else if (dice < 93 && entry != NULL && held[slot].entry == NULL &&
               entry_value_size(entry) < 10000) {
      entry_hold(entry);
      held[slot].entry = entry;
      held[slot].known = known[n];
    } else if (held[slot].entry != NULL) {
      private_store_check_value(held[slot].entry,
                                bytes_of(held[slot].known.seed, held[slot].known.size),
                                held[slot].known.size);
      entry_release(held[slot].entry);
      held[slot].entry = NULL;
    }
    check_some(known);
    ck_assert_uint_le(store.bytes, store.max_bytes);
  }
  for (uint32_t i = 0; i < HELD; i++)
    if (held[i].entry != NULL)
      entry_release(held[i].entry);
  memset(held, 0, sizeof held);
  for (uint32_t n = 0; n < KEYS; n++)
    if (peek(n) != NULL)
      check(peek(n), n, known[n].seed, known[n].size);
  if (scatters)
    ck_assert_uint_gt(pieces, 100);
  else
    ck_assert_uint_gt(store.heap.arena.moves, 100);
  ck_assert_uint_eq(store.evictions[EVICT_FORCED], 0);
}
END_TEST

/* ---- what is left of an entry ---- */

static bool is_zero(const uint8_t *bytes, uint64_t size) {
  while (size > 0 && bytes[size - 1] == 0)
    size--;
  return size == 0;
}

/* Blocks that are taken are books, or entries that are held. */
static bool holes_are_zero(void) {
  const struct arena *arena = &store.heap.arena;
  const uint8_t *base = region.base + region.arena_offset;
  for (uint32_t hole = arena_first_hole(arena); hole != 0; hole = arena_next_hole(arena, hole))
    if (!is_zero(base + arena_offset(arena, hole), arena_block_size(arena, hole)))
      return false;
  return true;
}

/* Entries come and go by clears alone, and are moved: nothing may be left of any, neither where it
 * was nor where it was moved from, but of one that is still held. */
START_TEST(nothing_is_left_of_what_was_cleared) {
  bool scatters = _i % 2 == 1;
  uint64_t most = scatters ? MAX_BYTES / 4 * 3 : MAX_BYTES / 64 * 63, pieces = 0;
  struct entry *held = NULL;
  struct store_clear clear;
  random_state = (uint64_t)_i + 1;
  for (uint64_t i = 1; i <= 20000; i++) {
    uint32_t n = below(KEYS), size = log_uniform(scatters ? 20 : 15);
    struct fc_key key = key_of(n);
    while (peek(n) != NULL || store.bytes + heap_charge(&key, size) > most)
      store_erase(&store, peek(n) != NULL ? peek(n) : store_oldest(&store, NULL));
    ck_assert_int_eq(put(n, i, size), FC_STORED);
    pieces += pieces_of(peek(n)) - 1;
    if (held == NULL && i > 10000) {
      held = peek(n);
      entry_hold(held);
    }
  }
  ck_assert_uint_gt(scatters ? pieces : store.heap.arena.moves, 10);
  (void)store_clear_start(&store, &clear, &(struct store_select){.ns = ns});
  for (uint32_t n = 0; n < KEYS; n += 3) /* some are met by a put before the clear comes to them */
    ck_assert_int_eq(put(n, n, 8), FC_STORED);
  while (!store_clear_step(&store, &clear, 10))
    ;
  ck_assert_uint_eq(store.evictions[EVICT_FORCED] + store.evictions[EVICT_BYTES], 0);
  (void)store_clear_all(&store, &(struct store_select){.ns = ns});
  uint64_t used = store.heap.arena.used_bytes;
  ck_assert(holes_are_zero());
  entry_release(held);
  ck_assert_uint_lt(store.heap.arena.used_bytes, used);
  ck_assert(holes_are_zero());
}
END_TEST

/* Where moving comes upon an entry that is held it goes on elsewhere, and nothing is put over what
 * it has moved from so far. */
START_TEST(nothing_is_left_where_an_entry_was_moved_from) {
  struct entry *held[WALLS];
  uint32_t n = 0;
  for (; store.heap.arena.used_bytes + 5000 < store.heap.arena.size; n++) {
    store.max_bytes = 2 * MAX_BYTES; /* to fill the arena itself */
    ck_assert_int_eq(put(n, n, 3000), FC_STORED);
  }
  for (uint32_t i = 0; i < n; i += 8)
    store_erase(&store, peek(i));
  for (uint32_t i = 0; i < WALLS; i++) {
    held[i] = peek((n - 20 - 40 * i) / 8 * 8 + 4);
    entry_hold(held[i]);
  }
  ck_assert_int_eq(put(n, 77, 20000), FC_STORED);
  ck_assert_uint_gt(store.heap.arena.moves, 7 * 7); /* more than one hole takes */
  ck_assert_uint_eq(store.evictions[EVICT_FORCED], 0);
  (void)store_clear_all(&store, &(struct store_select){.ns = ns});
  for (uint32_t i = 0; i < WALLS; i++)
    entry_release(held[i]);
  ck_assert(holes_are_zero());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("heap");
  TCase *tcase = tcase_create("all");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, a_large_value_lies_in_the_holes_that_there_are);
  tcase_add_test(tcase, hits_are_heard_of_before_pieces_evict);
  tcase_add_test(tcase, what_cannot_be_scattered_is_made_room_for_by_moving);
  tcase_add_test(tcase, no_number_is_given_twice);
  tcase_add_test(tcase, all_that_entries_take_lies_in_the_region_whatever_their_sizes);
  tcase_add_test(tcase, books_move_together_and_lead_to_their_entries);
  tcase_add_test(tcase, what_is_held_stays_where_it_is);
  tcase_add_test(tcase, a_value_as_large_as_all_memory_finds_its_place);
  tcase_add_loop_test(tcase, random_operations_keep_every_byte, 0, 4);
  tcase_add_test(tcase, nothing_is_left_where_an_entry_was_moved_from);
  tcase_add_loop_test(tcase, nothing_is_left_of_what_was_cleared, 0, 4);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
