/* Numbered slots in chunks: unique numbers, stable contents, and memory that is given back. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/slots.h"
#include "tests/support/runner.h"

#define BITS 7u
#define PER_CHUNK (1u << BITS)
#define CAPACITY (PER_CHUNK - 1) /* the header takes one */
#define CHUNKS 64u
#define MOST ((CHUNKS - 4) * PER_CHUNK)

static struct slots slots;
static _Alignas(SLOTS_ALIGN) uint8_t memory[CHUNKS][SLOTS_CHUNK_BYTES];
static bool in_use[CHUNKS];
static uint32_t held[MOST], n_held; /* each slot contains its index here and its number */

struct content {
  uint64_t index, number;
  uint64_t rest[6];
};

static void set_up(void) {
  ck_assert_int_eq(slots_init(&slots, BITS, CHUNKS), 0);
  memset(in_use, 0, sizeof in_use);
  memset(memory, 0xa5, sizeof memory);
  n_held = 0;
}

static void tear_down(void) {
  slots_deinit(&slots);
  slots_deinit(&slots);
}

static struct content *at(uint32_t slot) {
  return slots_at(&slots, BITS, slot);
}

static void add_chunk(void) {
  uint32_t i = 0;
  while (in_use[i])
    i++;
  in_use[i] = true;
  ck_assert_ptr_nonnull(slots_add(&slots, memory[i]));
}

static void alloc_one(void) {
  uint32_t slot = slots_alloc(&slots);
  if (slot == 0) {
    ck_assert_uint_eq(slots_unused(&slots), 0);
    add_chunk();
    slot = slots_alloc(&slots);
  }
  ck_assert_uint_ne(slot, 0);
  *at(slot) = (struct content){n_held, slot, {0}};
  held[n_held++] = slot;
}

static void free_one(uint32_t index) {
  slots_free(&slots, held[index]);
  held[index] = held[--n_held];
  if (index < n_held)
    at(held[index])->index = index;
}

static void move_once(uint32_t from, uint32_t to) {
  ck_assert(from != to && from != 0 && to != 0);
  *at(to) = *at(from);
  at(to)->number = to;
  held[at(to)->index] = to;
  slots_free(&slots, from);
}

static void remove_empty(void) {
  const struct slots_chunk *chunk;
  while ((chunk = slots_remove_empty(&slots)) != NULL)
    in_use[((const uint8_t *)chunk - memory[0]) / SLOTS_CHUNK_BYTES] = false;
}

/* A slot that was allocated twice would have lost its content. */
static void check_all(void) {
  slots_check(&slots);
  bool ok = true;
  for (uint32_t i = 0; i < n_held; i++)
    ok = ok && at(held[i])->index == i && at(held[i])->number == held[i];
  ck_assert(ok);
  ck_assert_uint_eq(slots.n_used, n_held + 1); /* and number 0 */
}

START_TEST(chunk_added_has_zeroed_slots) {
  add_chunk();
  for (uint32_t i = 1; i < CAPACITY; i++) {
    uint32_t slot = slots_alloc(&slots);
    static const struct content zeros;
    ck_assert_uint_eq(slot, i);
    ck_assert_mem_eq(at(slot), &zeros, sizeof zeros);
    ck_assert_uint_eq((uintptr_t)at(slot) % SLOTS_ALIGN, 0);
  }
  ck_assert_uint_eq(slots_alloc(&slots), 0);
}
END_TEST

START_TEST(find_any_number_is_safe) {
  add_chunk();
  ck_assert_ptr_eq(slots_find(&slots, BITS, 5), at(5));
  ck_assert_ptr_null(slots_find(&slots, BITS, PER_CHUNK));
  ck_assert_ptr_null(slots_find(&slots, BITS, UINT32_MAX));
  for (uint32_t i = 0; i < 4 * PER_CHUNK; i++)
    alloc_one();
  uint32_t last = held[n_held - 1];
  while (n_held > 0)
    free_one(n_held - 1);
  remove_empty();
  ck_assert_ptr_null(slots_find(&slots, BITS, last));
}
END_TEST

START_TEST(add_past_max_chunks_refused) {
  for (uint32_t i = 0; i < CHUNKS; i++)
    add_chunk();
  ck_assert_ptr_null(slots_add(&slots, memory[0]));
  slots_deinit(&slots);
  /* the numbers have 32 bits */
  ck_assert_int_eq(slots_init(&slots, BITS, UINT64_MAX / 16), 0);
  ck_assert_uint_lt((uint64_t)slots.max_chunks << BITS, UINT64_C(1) << 32);
}
END_TEST

START_TEST(slots_sparse_are_compacted) {
  uint32_t from, to;
  while (n_held < 40 * PER_CHUNK)
    alloc_one();
  srand(1);
  while (n_held > 5 * PER_CHUNK) { /* with a bounded number of moves for each */
    free_one((uint32_t)rand() % n_held);
    for (int i = 0; i < 2 && slots_next_move(&slots, &from, &to); i++)
      move_once(from, to);
    remove_empty();
    ck_assert_uint_le(slots.n_slots, slots.n_used + slots.n_used / 8 + 3 * PER_CHUNK);
  }
  check_all();
  while (n_held > 0)
    free_one(n_held - 1);
  remove_empty();
  ck_assert_uint_le(slots.n_slots, 2 * PER_CHUNK);
}
END_TEST

START_TEST(chunk_pinned_is_not_emptied) {
  uint32_t from, to;
  while (n_held < 20 * PER_CHUNK)
    alloc_one();
  for (uint32_t i = 0; i < slots.n_chunks; i++)
    slots.chunks[i]->n_pins++;
  for (uint32_t i = n_held; i-- > 0;)
    if (i % 4 != 0)
      free_one(i);
  ck_assert(!slots_next_move(&slots, &from, &to));
  uint32_t free_one = 7; /* unpinned, and pinned again while it is emptied */
  slots.chunks[free_one]->n_pins = 0;
  while (!slots_next_move(&slots, &from, &to)) /* each call examines a few chunks */
    for (uint32_t i = 0; i < slots.n_chunks; i++)
      slots.chunks[i]->n_pins = 0;
  move_once(from, to);
  uint32_t source = from >> BITS;
  slots.chunks[source]->n_pins = 1;
  for (int i = 0; i < 1000; i++)
    if (slots_next_move(&slots, &from, &to)) {
      ck_assert_uint_ne(from >> BITS, source);
      move_once(from, to);
    }
  check_all();
}
END_TEST

START_TEST(random_operations_keep_contents) {
  uint32_t from, to;
  srand((unsigned)_i);
  for (int i = 0; i < 50000; i++) {
    bool fills = i % 10000 < 6000;
    if (n_held == 0 || (n_held < MOST && rand() % 4 < (fills ? 3 : 1)))
      alloc_one();
    else
      free_one((uint32_t)rand() % n_held);
    if (rand() % 2 == 0 && slots_next_move(&slots, &from, &to))
      move_once(from, to);
    if (rand() % 8 == 0)
      remove_empty();
    if (i % 1000 == 0)
      check_all();
  }
  check_all();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("slots");
  TCase *tcase = tcase_create("all");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, chunk_added_has_zeroed_slots);
  tcase_add_test(tcase, find_any_number_is_safe);
  tcase_add_test(tcase, add_past_max_chunks_refused);
  tcase_add_test(tcase, slots_sparse_are_compacted);
  tcase_add_test(tcase, chunk_pinned_is_not_emptied);
  tcase_add_loop_test(tcase, random_operations_keep_contents, 0, 4);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
