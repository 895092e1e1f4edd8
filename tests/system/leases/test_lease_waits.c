/* Batches that wait for each other, and waits whose daemon stops, dies or is slow. */
#include <signal.h>

#include "tests/support/child_process.h"
#include "tests/support/lease_workers.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"

#define BATCHERS 4u
#define BATCH 64u
#define RING (2 * BATCH) /* keys of one round: each is in two batches */
#define ROUNDS (SANITIZER_SLOW ? 10u : LEASE_KEYS / RING)
#define DEADLINE_MS 250u
#define SLOW_MS 3000u /* on a busy machine */

/* Returns after the test has acquired the key's lease. */
static int look_up_in_time(void *pass) {
  CHILD_EXPECT(harness_wait_until(lease_board_is_open, NULL, LEASE_TIMEOUT_MS));
  return lease_worker_cached(pass, DEADLINE_MS, &lease_board->counters[0]);
}

struct batch {
  const uint32_t *keys;
  bool held;
  int rc;
};

static int compute_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *out) {
  const struct batch *batch = arg;
  int rc = 0;

  for (size_t i = 0; i < n && rc == 0; i++) {
    const uint32_t *key = &batch->keys[misses[i]];
    lease_board_count(*key);
    rc = fcache_batch_add(out, key, sizeof *key);
  }
  if (batch->held && !harness_wait_until(lease_board_is_open, NULL, LEASE_TIMEOUT_MS))
    return LEASE_STUCK;
  return rc != 0 ? rc : batch->rc;
}

/* In a child. */
static int cached_batch(struct fcache *cache, struct batch *batch, uint32_t n) {
  static struct fcache_value values[BATCH];
  struct fcache_hash prompts[BATCH] = {0};

  for (uint32_t i = 0; i < n; i++)
    prompts[i] = lease_worker_prompt(batch->keys[i]);
  CHILD_EXPECT(fcache_cached_batch(cache, LEASE_OP, LEASE_VIEW, 0, prompts, n, compute_misses,
                                   batch, values) == batch->rc);
  for (uint32_t i = 0; i < n && batch->rc == 0; i++)
    CHILD_EXPECT(lease_worker_is_value(&values[i], batch->keys[i]));
  for (uint32_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
  return 0;
}

/* In each round the batches form a ring: each shares one half of its keys with the batch before it,
 * the other half with the batch after it. Every other batch has its keys in reverse order. */
static int share_batches(void *number) {
  struct fcache *cache = lease_worker_open(LIBRARY_PATIENT_MS);
  uint32_t own = *(uint32_t *)number, keys[BATCH];

  CHILD_EXPECT(cache);
  for (uint32_t round = 0; round < ROUNDS; round++) {
    struct batch batch = {.keys = keys};
    for (uint32_t i = 0; i < BATCH; i++)
      keys[i] = round * RING + (own * RING / BATCHERS + (own % 2 == 1 ? BATCH - 1 - i : i)) % RING;
    CHILD_EXPECT(lease_board_meet(round + 1, BATCHERS));
    CHILD_EXPECT(cached_batch(cache, &batch, BATCH) == 0);
  }
  fcache_close(cache);
  return 0;
}

START_TEST(batches_opposite_order_compute_once) {
  uint32_t numbers[BATCHERS];
  pid_t pids[BATCHERS];

  for (uint32_t i = 0; i < BATCHERS; i++) {
    numbers[i] = i;
    pids[i] = child_start(share_batches, &numbers[i], NULL);
  }
  lease_workers_expect_ends(pids, BATCHERS);
  for (uint32_t i = 0; i < ROUNDS * RING; i++)
    ck_assert_uint_eq(lease_board->computes[i], 1);
  lease_workers_expect_nothing_left();
}
END_TEST

#define FEW 4u
static const uint32_t rising[FEW] = {0, 1, 2, 3}, falling[FEW] = {4, 3, 2, 1};

static int batch_that_fails(void *unused) {
  struct batch batch = {.keys = rising, .held = true, .rc = LEASE_FAILS};
  struct fcache *cache = lease_worker_open(LIBRARY_PATIENT_MS);

  (void)unused;
  CHILD_EXPECT(cache && cached_batch(cache, &batch, FEW) == 0);
  fcache_close(cache);
  return 0;
}

static int batch_that_takes_over(void *unused) {
  struct batch batch = {.keys = falling};
  struct fcache *cache = lease_worker_open(LIBRARY_PATIENT_MS);

  (void)unused;
  CHILD_EXPECT(cache && cached_batch(cache, &batch, FEW) == 0);
  lease_board->counters[0] = library_counters(cache);
  fcache_close(cache);
  return 0;
}

/* The batch computes the free key first, and then, in one call, all keys that the other client gave
 * up. */
START_TEST(batch_takes_over_leases_given_up) {
  pid_t pids[2];

  pids[0] = child_start(batch_that_fails, NULL, NULL);
  ck_assert(lease_board_wait(&lease_board->begun, FEW));
  pids[1] = child_start(batch_that_takes_over, NULL, NULL);
  library_wait_stat(lease_watch, "lease_waits", FEW - 1);
  ck_assert_uint_eq(lease_board->computes[4], 1);
  atomic_store(&lease_board->open, true);
  lease_workers_expect_ends(pids, 2);
  for (uint32_t i = 0; i < FEW; i++)
    ck_assert_uint_eq(lease_board->computes[i], i == 0 ? 1 : 2);
  ck_assert_uint_eq(lease_board->computes[4], 1);
  ck_assert_uint_ge(lease_board->counters[0].batches_sent, 2);
  ck_assert_uint_le(lease_board->counters[0].batches_sent,
                    3); /* the give_up may be read in two steps */
  lease_workers_expect_nothing_left();
}
END_TEST

/* Acquires the key's lease, on a connection of the test. */
static void own(struct raw *raw, uint32_t key) {
  struct fc_key wire = {.op = fc_str_of(LEASE_OP),
                        .view = fc_str_of(LEASE_VIEW),
                        .prompt = fc_hash_prompt(&key, sizeof key)};
  struct fc_get get = raw_lease_get(&wire, 0, 0);
  struct fc_reply reply;

  raw_open(raw, lease_daemon.socket, LEASE_SPACE);
  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
}

/* A worker with the default deadline that waits for a computation without an end. It is older than
 * the lease, or it would count as a child of the owner's computation, and not wait. */
static pid_t start_waiter(struct raw *owner, struct lease_pass *pass) {
  pid_t waiter = child_start(look_up_in_time, pass, NULL);
  harness_outlive_tick();
  own(owner, pass->key);
  atomic_store(&lease_board->open, true);
  library_wait_stat(lease_watch, "lease_waits", 1);
  return waiter;
}

/* The worker must have computed within `most_ms` after `since_ns`. */
static void expect_computed(pid_t waiter, uint64_t since_ns, uint64_t least_ms, uint64_t most_ms) {
  lease_workers_expect_ends(&waiter, 1);
  ck_assert_uint_eq(lease_board_computes(), 1);
  uint64_t took_ms = (lease_board->computed_ns - since_ns) / 1000000;
  ck_assert_uint_ge(took_ms, least_ms);
  ck_assert_uint_le(took_ms, most_ms);
  ck_assert_uint_eq(lease_board->counters[0].forward_passes, 1);
}

START_TEST(daemon_stopped_waiter_computes_after_deadline) {
  struct lease_pass pass = {0};
  struct raw owner;

  pid_t waiter = start_waiter(&owner, &pass);
  uint64_t start_ns = harness_now_ns();
  ck_assert(harness_freeze(&lease_daemon));
  /* The last pong may be a quarter of a deadline old. */
  expect_computed(waiter, start_ns, DEADLINE_MS / 2, DEADLINE_MS + SLOW_MS);
  ck_assert_int_eq(kill(lease_daemon.pid, SIGCONT), 0);
  library_wait_stat(lease_watch, "lease_waits", 0);
  raw_close(&owner);
  lease_workers_expect_nothing_left();
}
END_TEST

START_TEST(daemon_killed_waiter_computes_at_once) {
  struct lease_pass pass = {0};
  struct raw owner;

  pid_t waiter = start_waiter(&owner, &pass);
  uint64_t start_ns = harness_now_ns();
  harness_kill9(&lease_daemon);
  expect_computed(waiter, start_ns, 0, SLOW_MS);
  raw_close(&owner);
}
END_TEST

/* The daemon replies to the pings, so a wait may take many deadlines. */
START_TEST(wait_longer_than_deadline_goes_on) {
  struct lease_pass pass = {0};
  struct raw owner;
  struct fc_reply reply;

  pid_t waiter = start_waiter(&owner, &pass);
  uint64_t start_ns = harness_now_ns();
  while (harness_now_ns() - start_ns < 3 * DEADLINE_MS * UINT64_C(1000000))
    if (library_stat(lease_watch, "lease_waits") != 1)
      ck_abort_msg("it waits no longer");
  ck_assert_uint_eq(lease_board_computes(), 0);
  ck_assert_int_eq(raw_give_up(&owner, NULL, &reply), RAW_REPLY);
  lease_workers_expect_ends(&waiter, 1);
  ck_assert_uint_eq(lease_board->counters[0].leases_granted, 1);
  ck_assert_uint_eq(lease_board->counters[0].degraded, 0);
  raw_close(&owner);
  lease_workers_expect_nothing_left();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("lease_waits");
  TCase *tcase = tcase_create("lease_waits");
  tcase_add_checked_fixture(tcase, lease_workers_start, lease_workers_stop);
  tcase_set_timeout(tcase, 2 * LEASE_TIMEOUT_MS / 1000.0);
  tcase_add_test(tcase, batches_opposite_order_compute_once);
  tcase_add_test(tcase, batch_takes_over_leases_given_up);
  tcase_add_test(tcase, daemon_stopped_waiter_computes_after_deadline);
  tcase_add_test(tcase, daemon_killed_waiter_computes_at_once);
  tcase_add_test(tcase, wait_longer_than_deadline_goes_on);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
