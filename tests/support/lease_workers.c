#include "tests/support/lease_workers.h"

#include <check.h>
#include <string.h>

#include "tests/support/child_process.h"
#include "tests/support/library.h"

struct daemon lease_daemon;
struct fcache *lease_watch;
struct lease_board *lease_board;

void lease_workers_start(void) {
  harness_start(&lease_daemon, "--max-value", "64K", NULL);
  lease_watch = library_open(lease_daemon.socket, LEASE_SPACE, "watch", 0);
  lease_board = child_shared(sizeof *lease_board);
}

void lease_workers_stop(void) {
  fcache_close(lease_watch);
  ck_assert_int_eq(harness_stop(&lease_daemon), 0);
}

struct threshold {
  const _Atomic uint32_t *count;
  uint32_t least;
};

static bool is_reached(void *arg) {
  const struct threshold *threshold = arg;

  return atomic_load(threshold->count) >= threshold->least;
}

bool lease_board_wait(const _Atomic uint32_t *count, uint32_t least) {
  struct threshold threshold = {count, least};

  return harness_wait_until(is_reached, &threshold, LEASE_TIMEOUT_MS);
}

bool lease_board_meet(uint32_t step, uint32_t n) {
  atomic_fetch_add(&lease_board->arrived, 1);
  return lease_board_wait(&lease_board->arrived, step * n);
}

bool lease_board_is_open(void *unused) {
  (void)unused;
  return atomic_load(&lease_board->open);
}

uint32_t lease_board_computes(void) {
  return atomic_load(&lease_board->begun);
}

struct fcache_hash lease_worker_prompt(uint32_t key) {
  return fcache_hash(&key, sizeof key);
}

struct fcache_key lease_worker_key(uint32_t key) {
  return (struct fcache_key){
      .op = LEASE_OP, .view = LEASE_VIEW, .prompt = lease_worker_prompt(key)};
}

void lease_board_count(uint32_t key) {
  atomic_fetch_add(&lease_board->computes[key], 1);
  atomic_store(&lease_board->computed_ns, harness_now_ns());
  atomic_fetch_add(&lease_board->begun, 1);
}

int lease_worker_compute(void *arg, struct fcache_value *value) {
  static uint8_t bytes[2 * LEASE_MAX_VALUE];
  const struct lease_pass *pass = arg;

  lease_board_count(pass->key);
  if (pass->held && !harness_wait_until(lease_board_is_open, NULL, LEASE_TIMEOUT_MS))
    return LEASE_STUCK;
  if (!lease_board_wait(&lease_board->begun, pass->together))
    return LEASE_STUCK;
  if (pass->rc != 0)
    return pass->rc;
  memcpy(bytes, &pass->key, sizeof pass->key);
  return fcache_value_set(value, bytes, pass->size == 0 ? sizeof pass->key : pass->size);
}

bool lease_worker_is_value(const struct fcache_value *value, uint32_t key) {
  return value->size >= sizeof key && memcmp(value->data, &key, sizeof key) == 0;
}

struct fcache *lease_worker_open(uint32_t deadline_ms) {
  return library_open_in_child(lease_daemon.socket, LEASE_SPACE, NULL, deadline_ms);
}

int lease_worker_cached(struct lease_pass *pass, uint32_t deadline_ms,
                        struct fcache_counters *counters) {
  struct fcache *cache = lease_worker_open(deadline_ms);
  struct fcache_key key = lease_worker_key(pass->key);
  struct fcache_value value = {0};

  CHILD_EXPECT(cache);
  CHILD_EXPECT(fcache_cached(cache, &key, lease_worker_compute, pass, &value) == pass->rc);
  CHILD_EXPECT(pass->rc != 0 || lease_worker_is_value(&value, pass->key));
  if (counters)
    *counters = library_counters(cache);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

int lease_worker_look_up(void *pass) {
  return lease_worker_cached(pass, LIBRARY_PATIENT_MS, NULL);
}

void lease_workers_expect_ends(const pid_t *pids, size_t n) {
  for (size_t i = 0; i < n; i++)
    ck_assert_int_eq(harness_wait(pids[i], 2 * LEASE_TIMEOUT_MS), 0);
}

void lease_workers_expect_nothing_left(void) {
  library_wait_stat(lease_watch, "leases", 0);
  library_wait_stat(lease_watch, "lease_waits", 0);
}
