/* Workers that miss together, as processes with the library: each key is computed once, and a
 * worker that fails or dies blocks no other. test_lease_sharing.c has the steps on the wire. */
#include <signal.h>

#include "tests/support/child_process.h"
#include "tests/support/lease_workers.h"
#include "tests/support/library.h"

#define DISTINCT 400u

/* The first computation ends when the other seven wait for it. */
static int share_the_list(void *number) {
  struct fcache *cache = lease_worker_open(LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};

  CHILD_EXPECT(cache && lease_board_meet(1, LEASE_WORKERS));
  for (uint32_t i = 0; i < DISTINCT; i++) {
    struct lease_pass pass = {.key = i, .held = i == 0};
    struct fcache_key key = lease_worker_key(i);
    CHILD_EXPECT(fcache_cached(cache, &key, lease_worker_compute, &pass, &value) == FCACHE_OK);
    CHILD_EXPECT(lease_worker_is_value(&value, i));
  }
  lease_board->counters[*(uint32_t *)number] = library_counters(cache);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static void expect_sums(const struct fcache_counters *sum) {
  struct library_stats stats = {0};

  library_stats_read(lease_watch, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_misses"), sum->cache_misses);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "forward_passes"), sum->forward_passes);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "leases_granted"), sum->leases_granted);
  /* A worker whose key is leased elsewhere may find the value when it requests to wait. The daemon
   * counts no wait then. */
  ck_assert_uint_le(library_stats_count(&stats, NULL, "coalesced_hits"), sum->coalesced_hits);
  ck_assert_uint_ge(library_stats_count(&stats, NULL, "coalesced_hits"), LEASE_WORKERS - 1);
  ck_assert_uint_eq(library_stats_count(&stats, LEASE_SPACE, "coalesced_hits"),
                    library_stats_count(&stats, NULL, "coalesced_hits"));
  ck_assert_uint_eq(library_stats_count(&stats, LEASE_SPACE, "leases_granted"),
                    sum->leases_granted);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "leases_abandoned"), 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "leases_expired"), 0);
  library_stats_free(&stats);
}

START_TEST(workers_start_together_compute_once) {
  uint32_t numbers[LEASE_WORKERS];
  pid_t pids[LEASE_WORKERS];
  struct fcache_counters sum = {0};

  for (uint32_t i = 0; i < LEASE_WORKERS; i++) {
    numbers[i] = i;
    pids[i] = child_start(share_the_list, &numbers[i], NULL);
  }
  library_wait_stat(lease_watch, "lease_waits", LEASE_WORKERS - 1);
  atomic_store(&lease_board->open, true);
  lease_workers_expect_ends(pids, LEASE_WORKERS);
  for (uint32_t i = 0; i < DISTINCT; i++)
    ck_assert_uint_eq(lease_board->computes[i], 1);
  for (uint32_t i = 0; i < LEASE_WORKERS; i++) {
    const struct fcache_counters *counters = &lease_board->counters[i];
    ck_assert_uint_eq(counters->cache_hits + counters->cache_misses, DISTINCT);
    ck_assert_uint_eq(counters->degraded, 0);
    sum.cache_hits += counters->cache_hits;
    sum.cache_misses += counters->cache_misses;
    sum.forward_passes += counters->forward_passes;
    sum.leases_granted += counters->leases_granted;
    sum.coalesced_hits += counters->coalesced_hits;
    sum.lease_wait_ns += counters->lease_wait_ns;
  }
  ck_assert_uint_eq(sum.cache_misses, DISTINCT);
  ck_assert_uint_eq(sum.forward_passes, DISTINCT);
  ck_assert_uint_eq(sum.leases_granted, DISTINCT);
  ck_assert_uint_ge(sum.coalesced_hits, LEASE_WORKERS - 1);
  ck_assert_uint_gt(sum.lease_wait_ns, 0);
  library_wait_stat(lease_watch, "cache_hits",
                    sum.cache_hits); /* including the records in the rings */
  expect_sums(&sum);
  lease_workers_expect_nothing_left();
}
END_TEST

/* A worker that computes, held at the gate, and others that wait for it. */
static void start_held(struct lease_pass *first, pid_t *owner, struct lease_pass *others,
                       pid_t *pids, size_t n) {
  *owner = child_start(lease_worker_look_up, first, NULL);
  ck_assert(lease_board_wait(&lease_board->begun, 1));
  for (size_t i = 0; i < n; i++)
    pids[i] = child_start(lease_worker_look_up, &others[i], NULL);
  library_wait_stat(lease_watch, "lease_waits", n);
}

START_TEST(computation_fails_lease_handed_over) {
  struct lease_pass fails = {.held = true, .rc = LEASE_FAILS}, works[2] = {{0}};
  pid_t owner, pids[2];

  start_held(&fails, &owner, works, pids, 2);
  atomic_store(&lease_board->open, true);
  lease_workers_expect_ends(&owner, 1);
  lease_workers_expect_ends(pids, 2);
  ck_assert_uint_eq(lease_board_computes(), 2);
  ck_assert_uint_eq(library_stat(lease_watch, "leases_abandoned"), 1);
  ck_assert_uint_eq(library_stat(lease_watch, "coalesced_hits"), 1);
  ck_assert_uint_eq(library_stat(lease_watch, "forward_passes"), 1);
  lease_workers_expect_nothing_left();
}
END_TEST

START_TEST(owner_killed_lease_handed_over) {
  struct lease_pass dies = {.held = true}, works[2] = {{0}};
  pid_t owner, pids[2];

  start_held(&dies, &owner, works, pids, 2);
  ck_assert_int_eq(kill(owner, SIGKILL), 0);
  ck_assert_int_eq(harness_wait(owner, LEASE_TIMEOUT_MS), 128 + SIGKILL);
  lease_workers_expect_ends(pids, 2);
  ck_assert_uint_eq(lease_board_computes(), 2);
  lease_workers_expect_nothing_left();
}
END_TEST

/* The value is larger than --max-value, so the waiters compute it too. */
START_TEST(value_too_large_computed_side_by_side) {
  enum { OTHERS = 3 };
  struct lease_pass first = {.held = true, .size = 2 * LEASE_MAX_VALUE}, others[OTHERS];
  pid_t owner, pids[OTHERS];

  for (size_t i = 0; i < OTHERS; i++)
    others[i] = (struct lease_pass){.together = 1 + OTHERS, .size = 2 * LEASE_MAX_VALUE};
  start_held(&first, &owner, others, pids, OTHERS);
  atomic_store(&lease_board->open, true);
  lease_workers_expect_ends(&owner, 1);
  lease_workers_expect_ends(pids, OTHERS);
  ck_assert_uint_eq(lease_board_computes(), 1 + OTHERS);
  lease_workers_expect_nothing_left();
}
END_TEST

/* The computation from before the clear is not stored. The waiter computes again. */
START_TEST(clear_during_computation_waiter_computes) {
  struct lease_pass old = {.held = true, .size = 100}, fresh = {0};
  struct fcache_key key = lease_worker_key(0);
  struct fcache_value value = {0};
  pid_t owner, waiter;

  start_held(&old, &owner, &fresh, &waiter, 1);
  ck_assert_int_eq(fcache_clear(lease_watch, NULL, NULL, NULL), FCACHE_OK);
  lease_workers_expect_ends(&waiter, 1); /* while the old computation goes on */
  atomic_store(&lease_board->open, true);
  lease_workers_expect_ends(&owner, 1);
  ck_assert_uint_eq(lease_board_computes(), 2);
  ck_assert_int_eq(fcache_get(lease_watch, &key, 0, &value), FCACHE_OK);
  ck_assert_uint_eq(value.size, sizeof(uint32_t));
  fcache_value_free(&value);
  lease_workers_expect_nothing_left();
}
END_TEST

struct nest {
  struct fcache *cache;
  uint32_t outer, inner;
};

/* Both reach this before either goes on, and each holds the key that the other wants. */
static int compute_nested(void *arg, struct fcache_value *value) {
  const struct nest *nest = arg;
  struct lease_pass inner = {.key = nest->inner, .together = 4};
  struct fcache_key key = lease_worker_key(nest->inner);

  lease_board_count(nest->outer);
  if (!lease_board_wait(&lease_board->begun, 2))
    return LEASE_STUCK;
  int rc = fcache_cached(nest->cache, &key, lease_worker_compute, &inner, value);
  return rc != 0 ? rc : fcache_value_set(value, &nest->outer, sizeof nest->outer);
}

static int look_up_nested(void *arg) {
  struct nest *nest = arg;
  struct fcache_key key = lease_worker_key(nest->outer);
  struct fcache_value value = {0};

  nest->cache = lease_worker_open(LIBRARY_PATIENT_MS);
  CHILD_EXPECT(nest->cache);
  CHILD_EXPECT(fcache_cached(nest->cache, &key, compute_nested, nest, &value) == FCACHE_OK);
  CHILD_EXPECT(lease_worker_is_value(&value, nest->outer));
  fcache_value_free(&value);
  fcache_close(nest->cache);
  return 0;
}

START_TEST(nested_calls_opposite_order_no_deadlock) {
  struct nest nests[2] = {{.outer = 1, .inner = 2}, {.outer = 2, .inner = 1}};
  pid_t pids[2];

  for (size_t i = 0; i < 2; i++)
    pids[i] = child_start(look_up_nested, &nests[i], NULL);
  lease_workers_expect_ends(pids, 2);
  ck_assert_uint_eq(lease_board->computes[1], 2);
  ck_assert_uint_eq(lease_board->computes[2], 2);
  lease_workers_expect_nothing_left();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_workers");
  TCase *tcase = tcase_create("leases_workers");
  tcase_add_checked_fixture(tcase, lease_workers_start, lease_workers_stop);
  tcase_set_timeout(tcase, 2 * LEASE_TIMEOUT_MS / 1000.0);
  tcase_add_test(tcase, workers_start_together_compute_once);
  tcase_add_test(tcase, computation_fails_lease_handed_over);
  tcase_add_test(tcase, owner_killed_lease_handed_over);
  tcase_add_test(tcase, value_too_large_computed_side_by_side);
  tcase_add_test(tcase, clear_during_computation_waiter_computes);
  tcase_add_test(tcase, nested_calls_opposite_order_no_deadlock);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
