/* The log of deletes, compared with one that forgets nothing. */
#include <check.h>
#include <stdlib.h>

#include "daemon/store/delete_log.h"
#include "tests/support/expect.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

static struct delete_log log_in_use;
static struct saved_deletes saved; /* as in the catalog */

static void set_up(void) {
  memset(&saved, 0, sizeof saved);
  ck_assert_int_eq(delete_log_init(&log_in_use, &saved), 0);
}

static void tear_down(void) {
  delete_log_deinit(&log_in_use);
}

#define KEYS 30000u

static uint64_t digest_of(uint32_t key) {
  return (key + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 8; /* sets of unequal size */
}

/* A put that must be rejected is. A put that need not be is hardly ever rejected while the log has
 * room, and may be later. */
START_TEST(random_deletes_are_remembered) {
  static uint64_t deleted[KEYS];
  uint32_t n = _i == 0 ? DELETE_LOG_KEYS / 4 : 4 * DELETE_LOG_KEYS, rejected = 0, fresh = 0;
  uint64_t generation = 100;
  memset(deleted, 0, sizeof deleted);
  random_seed(11 + (uint64_t)_i);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t key = random_below(KEYS);
    deleted[key] = ++generation;
    delete_log_add(&log_in_use, generation, digest_of(key));
    key = random_below(KEYS);
    uint64_t begun = generation - random_below(_i == 0 ? 5000 : 80000) % generation;
    bool stale = delete_log_stale(&log_in_use, begun, digest_of(key));
    EXPECT(stale || deleted[key] <= begun);
    fresh += deleted[key] <= begun;
    rejected += stale && deleted[key] <= begun;
  }
  ck_assert_uint_gt(fresh, n / 4);
  if (_i == 0)
    ck_assert_uint_le(rejected, fresh / 1000);
}
END_TEST

START_TEST(raised_floor_makes_earlier_stale) {
  delete_log_raise(&log_in_use, 7);
  delete_log_raise(&log_in_use, 5);
  ck_assert(delete_log_stale(&log_in_use, 6, 1) && !delete_log_stale(&log_in_use, 7, 1));
  delete_log_add(&log_in_use, 8, 1);
  ck_assert(delete_log_stale(&log_in_use, 7, 1) && !delete_log_stale(&log_in_use, 8, 1));
  ck_assert(!delete_log_stale(&log_in_use, 7, 2));
}
END_TEST

/* The next daemon knows the latest deletes exactly, and counts those before as deletes of all. */
START_TEST(adopted_log_knows_latest) {
  const uint64_t n = _i == 0 ? 100 : 10000;
  for (uint64_t i = 1; i <= n; i++)
    delete_log_add(&log_in_use, 10 + i, digest_of((uint32_t)i));
  if (_i == 2)
    saved.ring[7].generation = UINT64_MAX; /* damaged */
  if (_i == 3) {                           /* killed before a record became valid */
    saved.floor = saved.ring[log_in_use.next].generation;
    saved.ring[log_in_use.next].generation = 0;
  }
  delete_log_deinit(&log_in_use);
  ck_assert_int_eq(delete_log_init(&log_in_use, &saved), 0);
  delete_log_adopt(&log_in_use, 20 + n);
  uint64_t exact = _i == 0 ? 1 : _i == 2 ? n + 1 : n - DELETE_LOG_SAVED + 10, other = n + 5;
  for (uint64_t i = 1; i <= n; i++) {
    EXPECT(delete_log_stale(&log_in_use, 10 + i - 1, digest_of((uint32_t)i)));
    EXPECT(i < exact || !delete_log_stale(&log_in_use, 10 + i, digest_of((uint32_t)other)));
  }
  ck_assert_int_eq(delete_log_stale(&log_in_use, 11, digest_of((uint32_t)other)), _i != 0);
  delete_log_add(&log_in_use, 30 + n, digest_of(1));
  ck_assert(delete_log_stale(&log_in_use, 29 + n, digest_of(1)));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("delete_log");
  TCase *tests = tcase_create("delete_log");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, random_deletes_are_remembered, 0, 2);
  tcase_add_test(tests, raised_floor_makes_earlier_stale);
  tcase_add_loop_test(tests, adopted_log_knows_latest, 0, 4);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
