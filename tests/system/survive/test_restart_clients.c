/* Workers over restarts of the daemon: no key is computed twice while its owner lives, and what was
 * computed during a restart is stored. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/lease_workers.h"
#include "tests/support/library.h"
#include "tests/support/service_manager.h"

enum { WORKERS = LEASE_WORKERS, KEYS = 400, RESTARTS = 20, COMPUTE_MS = 20 };

#define DEADLINE_MS 5000u

static struct service_manager manager;

static void start(void) {
  service_manager_start(&manager, "--max-bytes=64M", NULL);
}

static void set_up(void) {
  service_manager_init(&manager);
  start();
  lease_daemon = manager.daemon; /* for its socket */
  lease_board = child_shared(sizeof *lease_board);
}

static void tear_down(void) {
  service_manager_deinit(&manager);
}

/* Restarts the daemon: by a kill, or as `systemctl restart`. */
static void end_daemon(bool kills) {
  if (kills)
    service_manager_kill9(&manager);
  else
    ck_assert_int_eq(service_manager_end(&manager), 0);
}

static struct fcache *open_here(void) {
  return library_open(manager.daemon.socket, LEASE_SPACE, NULL, 0);
}

/* ---- all at once ---- */

static int compute_slowly(void *arg, struct fcache_value *value) {
  const uint32_t *key = arg;
  lease_board_count(*key);
  (void)usleep(COMPUTE_MS * 1000);
  return fcache_value_set(value, key, sizeof *key);
}

static int work(void *arg) {
  uint32_t number = *(uint32_t *)arg;
  struct fcache *cache = lease_worker_open(DEADLINE_MS);
  struct fcache_value value = {0};
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(lease_board_meet(1, WORKERS));
  for (uint32_t i = 0; i < KEYS; i++) {
    uint32_t key = i ^ (number & 1u); /* neighbours, so that workers wait for each other */
    struct fcache_key wire = lease_worker_key(key);
    CHILD_EXPECT(fcache_cached(cache, &wire, compute_slowly, &key, &value) == FCACHE_OK);
    CHILD_EXPECT(lease_worker_is_value(&value, key));
  }
  fcache_get_counters(cache, &lease_board->counters[number]);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

/* A restart that takes longer than a second is a degraded call of the workers that notice it, and
 * each of these may compute what another one computes. */
START_TEST(daemon_killed_often_each_key_computed_once) {
  pid_t pids[WORKERS];
  uint32_t numbers[WORKERS];
  uint64_t degraded = 0, reconnects = 0;
  for (uint32_t i = 0; i < WORKERS; i++) {
    numbers[i] = i;
    pids[i] = child_start(work, &numbers[i], NULL);
  }
  for (uint32_t i = 1; i <= RESTARTS; i++) {
    ck_assert(lease_board_wait(&lease_board->begun, i * (KEYS / (RESTARTS + 1))));
    service_manager_kill9(&manager);
    start();
  }
  lease_workers_expect_ends(pids, WORKERS);
  for (uint32_t i = 0; i < WORKERS; i++) {
    degraded += lease_board->counters[i].degraded;
    reconnects += lease_board->counters[i].reconnects;
  }
  for (uint32_t key = 0; key < KEYS; key++)
    ck_assert_uint_ge(lease_board->computes[key], 1);
  printf("%u restarts: %u computations of %u keys, %llu degraded calls, %llu reconnections\n",
         RESTARTS, lease_board_computes(), KEYS, (unsigned long long)degraded,
         (unsigned long long)reconnects);
  ck_assert_uint_le(lease_board_computes(), KEYS + degraded);
  ck_assert_uint_ge(reconnects, RESTARTS);
}
END_TEST

/* ---- an owner and a waiter ---- */

/* Forks an owner, which computes until the gate is open, and then a waiter. */
static void start_two(struct lease_pass *pass, pid_t pids[2]) {
  struct fcache *watch = open_here();
  pids[0] = child_start(lease_worker_look_up, pass, NULL);
  ck_assert(lease_board_wait(&lease_board->begun, 1));
  pids[1] = child_start(lease_worker_look_up, pass, NULL);
  library_wait_stat(watch, "lease_waits", 1);
  fcache_close(watch);
}

/* A kill, or a clean restart, while the owner computes. */
START_TEST(daemon_restarts_waiter_waits_on_and_hits) {
  struct lease_pass pass = {.key = 1, .held = true, .together = 1};
  pid_t pids[2];
  start_two(&pass, pids);
  end_daemon(_i == 0);
  start();
  struct fcache *watch = open_here();
  library_wait_stat(watch, "lease_waits", 1); /* it is back, and waits for the same owner */
  ck_assert_uint_eq(library_stat(watch, "leases"), 1);
  ck_assert_uint_eq(lease_board_computes(), 1);
  atomic_store(&lease_board->open, true);
  lease_workers_expect_ends(pids, 2);
  ck_assert_uint_eq(lease_board_computes(), 1);
  ck_assert_uint_eq(library_stat(watch, "leases"), 0);
  ck_assert_uint_ge(library_stat(watch, "coalesced_hits"), 1);
  fcache_close(watch);
}
END_TEST

/* The owner dies while there is no daemon, or under the next one. */
START_TEST(owner_dies_waiter_computes) {
  struct lease_pass pass = {.key = 1, .held = true, .together = 1};
  pid_t pids[2];
  start_two(&pass, pids);
  service_manager_kill9(&manager);
  if (_i == 0)
    ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
  start();
  struct fcache *watch = open_here();
  if (_i == 1) {
    library_wait_stat(watch, "lease_waits", 1);
    ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
  }
  ck_assert_int_eq(harness_wait(pids[0], LEASE_TIMEOUT_MS), 128 + SIGKILL);
  ck_assert(lease_board_wait(&lease_board->begun, 2)); /* long before the term of 5 minutes */
  atomic_store(&lease_board->open, true);
  lease_workers_expect_ends(&pids[1], 1);
  ck_assert_uint_eq(lease_board_computes(), 2);
  fcache_close(watch);
}
END_TEST

/* Fails to compute while there is no daemon, and then goes on with other work. */
static int fail_and_go_on(void *arg) {
  struct lease_pass *pass = arg;
  struct lease_pass failing = {.key = pass->key, .held = true, .together = 1, .rc = LEASE_FAILS};
  struct fcache *cache = lease_worker_open(DEADLINE_MS);
  struct fcache_key key = lease_worker_key(pass->key), other = lease_worker_key(pass->key + 1);
  struct fcache_value value = {0};
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(fcache_cached(cache, &key, lease_worker_compute, &failing, &value) == LEASE_FAILS);
  CHILD_EXPECT(lease_board_meet(1, 2));
  CHILD_EXPECT(lease_board_meet(2, 2)); /* the next daemon is there */
  while (!fcache_connected(cache))
    CHILD_EXPECT(fcache_get(cache, &other, 0, &value) == FCACHE_MISS);
  CHILD_EXPECT(lease_board_wait(&lease_board->begun, 2));
  fcache_close(cache);
  return 0;
}

START_TEST(computation_fails_without_daemon_lease_given_up_to_next) {
  struct lease_pass pass = {.key = 1, .together = 1};
  pid_t pids[2];
  pids[0] = child_start(fail_and_go_on, &pass, NULL);
  ck_assert(lease_board_wait(&lease_board->begun, 1));
  service_manager_kill9(&manager);
  atomic_store(&lease_board->open, true);
  ck_assert(lease_board_meet(1, 2)); /* the owner has waited for a daemon in vain */
  start();
  pids[1] = child_start(lease_worker_look_up, &pass, NULL);
  ck_assert(lease_board_meet(2, 2));
  lease_workers_expect_ends(pids, 2);
  ck_assert_uint_eq(lease_board_computes(), 2);
}
END_TEST

/* ---- epochs ---- */

/* A worker looked up before the restart, and puts after it: with a clear in between its value is
 * stale, and without one it is stored. Over one restart, or over two. */
START_TEST(put_after_restart_stored_unless_cleared) {
  bool clears = _i % 2 == 1;
  struct fcache *worker = open_here(), *other = open_here();
  struct fcache_key key = lease_worker_key(1);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_get(worker, &key, FCACHE_LEASE, &value), FCACHE_LEASED);
  for (int restarts = 0; restarts <= _i / 2; restarts++) {
    service_manager_kill9(&manager);
    start();
    if (clears && restarts == 0)
      ck_assert_int_eq(fcache_clear(other, NULL, NULL, NULL), FCACHE_OK);
  }
  ck_assert_int_eq(fcache_put(worker, &key, "old", 3, 1000, 0),
                   clears ? FCACHE_NOT_STORED : FCACHE_OK);
  ck_assert_int_eq(fcache_get(other, &key, 0, &value), clears ? FCACHE_MISS : FCACHE_OK);
  ck_assert_uint_eq(library_counters(worker).reconnects, 1);
  ck_assert_uint_eq(library_counters(worker).degraded, 0);
  ck_assert_uint_eq(library_stat(other, "leases"), 0);
  fcache_value_free(&value);
  fcache_close(worker);
  fcache_close(other);
}
END_TEST

/* Puts of keys that were looked up under three daemons have the epoch of the first. */
START_TEST(put_many_over_restarts_has_earliest_epoch) {
  struct fcache *worker = open_here(), *other = open_here();
  struct fcache_hash prompts[3];
  struct fcache_bytes values[3];
  struct fcache_value value = {0};
  for (uint32_t i = 0; i < 3; i++) {
    struct fcache_key key = lease_worker_key(i);
    prompts[2 - i] = key.prompt; /* the earliest is not the first */
    values[i] = (struct fcache_bytes){"v", 1};
    ck_assert_int_eq(fcache_get(worker, &key, 0, &value), FCACHE_MISS);
    if (i == 0 && _i == 1)
      ck_assert_int_eq(fcache_clear(other, NULL, NULL, NULL), FCACHE_OK);
    service_manager_kill9(&manager);
    start();
  }
  ck_assert_int_eq(fcache_put_many(worker, LEASE_OP, LEASE_VIEW, 0, prompts, values, 3, 1000, 0),
                   _i == 1 ? FCACHE_NOT_STORED : FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(worker);
  fcache_close(other);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("restart_clients");
  TCase *tcase = tcase_create("restart_clients");
  tcase_set_timeout(tcase, 100);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, daemon_killed_often_each_key_computed_once);
  tcase_add_loop_test(tcase, daemon_restarts_waiter_waits_on_and_hits, 0, 2);
  tcase_add_loop_test(tcase, owner_dies_waiter_computes, 0, 2);
  tcase_add_test(tcase, computation_fails_without_daemon_lease_given_up_to_next);
  tcase_add_loop_test(tcase, put_after_restart_stored_unless_cleared, 0, 4);
  tcase_add_loop_test(tcase, put_many_over_restarts_has_earliest_epoch, 0, 2);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
