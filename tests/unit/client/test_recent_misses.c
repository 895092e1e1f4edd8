/* The misses that a handle remembers, against a model, and which hits have to look closer. */
#include "client/lib/util/recent_misses.h"

#include <check.h>

#include "tests/support/runner.h"

#define KEYS 600u

static struct recent_misses misses;
static struct recent_miss found;

static void set_up(void) {
  misses = (struct recent_misses){0};
}

static void tear_down(void) {
  recent_misses_clear(&misses);
}

/* Keys 3 n, 3 n + 1 and 3 n + 2 have one prompt, and differ in a name or in top_k. */
static struct fc_key key_of(uint32_t i) {
  uint32_t n = i / 3;
  return (struct fc_key){.op = fc_str_of(i % 3 == 1 ? "op" : "po"),
                         .view = fc_str_of("base"),
                         .top_k = i % 3 == 2,
                         .prompt = fc_hash_prompt(&n, sizeof n)};
}

static void add(uint32_t i, uint64_t generation, bool leased) {
  struct fc_key key = key_of(i);
  const struct recent_miss miss = {.epoch = {.boot_id = 1, .clear_generation = generation},
                                   .leased = leased};
  recent_misses_add(&misses, &key, &miss);
}

static bool find(uint32_t i) {
  struct fc_key key = key_of(i);
  return recent_misses_find(&misses, &key, &found);
}

static bool may_have(uint32_t i) {
  struct fc_key key = key_of(i);
  return recent_misses_may_have(&misses, &key.prompt);
}

START_TEST(add_find_remove_as_model) {
  uint64_t generations[KEYS] = {0}; /* 0: not in the table */
  bool leased[KEYS] = {false};
  uint64_t random = 1;
  for (uint64_t step = 1; step < 50000; step++) {
    random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    uint32_t i = (uint32_t)(random >> 33) % KEYS;
    struct fc_key key = key_of(i);
    if (random >> 62 == 0) {
      recent_misses_remove(&misses, &key);
      generations[i] = 0;
      leased[i] = false;
    } else {
      leased[i] = leased[i] || random >> 61 == 7;
      generations[i] = step;
      add(i, step, random >> 61 == 7);
    }
    uint32_t asked = (uint32_t)(random >> 20) % KEYS;
    ck_assert_int_eq(find(asked), generations[asked] != 0);
    if (generations[asked] == 0)
      continue;
    ck_assert(may_have(asked));
    ck_assert_uint_eq(found.epoch.clear_generation, generations[asked]);
    ck_assert_int_eq(found.leased, leased[asked]);
  }
}
END_TEST

/* A hit pays for the misses of other keys only if their prompts share a place: one in 64 here. */
START_TEST(few_misses_other_prompts_mostly_excluded) {
  unsigned looks = 0;
  ck_assert(!may_have(0));
  add(0, 1, false);
  ck_assert(may_have(0));
  for (uint32_t i = 3; i < 3 * 2000; i += 3)
    looks += may_have(i);
  ck_assert_uint_lt(looks, 200);
  struct fc_key key = key_of(0);
  recent_misses_remove(&misses, &key);
  ck_assert(!may_have(0));
}
END_TEST

START_TEST(full_table_newest_found) {
  for (uint32_t i = 0; i < 3 * RECENT_MISSES_MIN; i++)
    add(i, i + 1, false);
  for (uint32_t i = 2 * RECENT_MISSES_MIN; i < 3 * RECENT_MISSES_MIN; i++) {
    ck_assert(find(i));
    ck_assert_uint_eq(found.epoch.clear_generation, i + 1);
  }
  ck_assert(!find(0));
  recent_misses_clear(&misses);
  ck_assert(!find(3 * RECENT_MISSES_MIN - 1));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("recent_misses");
  TCase *tcase = tcase_create("recent_misses");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, add_find_remove_as_model);
  tcase_add_test(tcase, few_misses_other_prompts_mostly_excluded);
  tcase_add_test(tcase, full_table_newest_found);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
