/* Random operations keep the bytes of every value. */
#include <check.h>
#include <string.h>

#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

#define KEYS 2048u
#define HELD 4u

struct known {
  uint64_t seed; /* 0: no value */
  uint32_t size;
};

static void check_some(const struct known *known) {
  uint32_t n = random_below(KEYS);
  const struct entry *entry = world_peek(world.ns, n);
  if (entry != NULL)
    seeded_check(entry, n, known[n].seed, known[n].size);
}

START_TEST(random_operations_keep_bytes) {
  bool scatters =
      _i % 2 == 0; /* else all values are too small for pieces, and others have to be moved */
  static struct known known[KEYS];
  static struct {
    struct entry *entry;
    struct known known;
  } held[HELD];
  uint64_t pieces = 0;
  memset(known, 0, sizeof known);
  random_seed((uint64_t)_i + 1);
  for (uint64_t i = 1; i <= 20000; i++) {
    uint32_t n = random_below(KEYS), dice = random_below(100), slot = random_below(HELD);
    struct entry *entry = world_peek(world.ns, n);
    if (dice < 30) {
      known[n] = (struct known){i, random_log_uniform(scatters ? 20 : 15)};
      ck_assert_int_eq(seeded_put(n, i, known[n].size), FC_STORED);
      pieces += seeded_pieces(world_peek(world.ns, n)) - 1;
    } else if (dice < 90 && entry != NULL) {
      store_use(&world.store, entry, i);
    } else if (dice < 92 && entry != NULL) {
      store_remove(&world.store, entry);
    } else if (dice < 93 && entry != NULL && held[slot].entry == NULL &&
               entry_value_size(entry) < 10000) {
      entry_hold(entry);
      held[slot].entry = entry;
      held[slot].known = known[n];
    } else if (held[slot].entry != NULL) {
      private_store_check_value(held[slot].entry,
                                seeded_bytes(held[slot].known.seed, held[slot].known.size),
                                held[slot].known.size);
      entry_release(held[slot].entry);
      held[slot].entry = NULL;
    }
    check_some(known);
    ck_assert_uint_le(world.store.bytes, world.store.max_bytes);
  }
  for (uint32_t i = 0; i < HELD; i++)
    if (held[i].entry != NULL)
      entry_release(held[i].entry);
  memset(held, 0, sizeof held);
  for (uint32_t n = 0; n < KEYS; n++)
    if (world_peek(world.ns, n) != NULL)
      seeded_check(world_peek(world.ns, n), n, known[n].seed, known[n].size);
  if (scatters)
    ck_assert_uint_gt(pieces, 100);
  else
    ck_assert_uint_gt(world.store.heap.arena.moves, 100);
  ck_assert_uint_eq(world.store.saved->evictions[EVICT_FORCED], 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("heap_model");
  TCase *tcase = tcase_create("heap_model");
  tcase_add_checked_fixture(tcase, seeded_open, seeded_close);
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, random_operations_keep_bytes, 0, 4);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
