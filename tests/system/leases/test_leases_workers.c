/* Workers that miss together, as real processes with the library: one miss, one forward pass, and
 * whoever fails, dawdles or dies keeps nobody waiting. The steps on the wire are in
 * test_lease_sharing.c.
 *
 * What must have come before what is told over a board in shared memory: a computation can be held
 * at a gate there, until those wait who are to wait. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"

#define SPACE "leases"
#define OP "op"
#define VIEW "view"
#define WORKERS 8u
#define DISTINCT 400u
#define BATCHERS 4u
#define BATCH 64u
#define RING (2 * BATCH) /* keys of one round: each is in two batches */
#define ROUNDS_MOST 50u
#define ROUNDS (SANITIZER_SLOW ? 10u : ROUNDS_MOST)
#define KEYS (ROUNDS_MOST * RING) /* that a board has room for */
#define MAX_VALUE 65536u          /* --max-value */
#define TIMEOUT_MS 30000u
#define DEADLINE_MS 250u
#define SLOW_MS 3000u /* what a busy machine may take */
#define FAILS 77      /* what a computation that fails returns */
#define STUCK 78      /* one that was held for ever: the test has failed */

struct board {
  _Atomic uint32_t computes[KEYS]; /* begun, of each key */
  _Atomic uint32_t begun;          /* all of them together */
  _Atomic uint32_t arrived;        /* workers that are ready for the next step */
  _Atomic bool open;               /* the gate */
  _Atomic uint64_t computed_ns;    /* when the latest began */
  struct fcache_counters counters[WORKERS];
};

static struct daemon served;
static struct fcache *watch; /* for figures */
static struct board *board;

static void start(void) {
  harness_start(&served, "--max-value", "64K", NULL);
  watch = library_open(served.socket, SPACE, "watch", 0);
  board = child_shared(sizeof *board);
}

static void stop(void) {
  fcache_close(watch);
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- waiting for each other: for children too ---- */

struct threshold {
  const _Atomic uint32_t *count;
  uint32_t least;
};

static bool is_reached(void *arg) {
  const struct threshold *threshold = arg;

  return atomic_load(threshold->count) >= threshold->least;
}

static bool wait_count(const _Atomic uint32_t *count, uint32_t least) {
  struct threshold threshold = {count, least};

  return harness_wait_until(is_reached, &threshold, TIMEOUT_MS);
}

/* Until `n` have come to this step, the `step`th of the test, from 1 on. */
static bool meet(uint32_t step, uint32_t n) {
  atomic_fetch_add(&board->arrived, 1);
  return wait_count(&board->arrived, step * n);
}

static bool is_open(void *unused) {
  (void)unused;
  return atomic_load(&board->open);
}

static uint32_t computes(void) {
  return atomic_load(&board->begun);
}

/* ---- one worker ---- */

static struct fcache_hash prompt_of(uint32_t key) {
  return fcache_hash(&key, sizeof key);
}

static struct fcache_key key_of(uint32_t key) {
  return (struct fcache_key){.op = OP, .view = VIEW, .prompt = prompt_of(key)};
}

static void count_compute(uint32_t key) {
  atomic_fetch_add(&board->computes[key], 1);
  atomic_store(&board->computed_ns, harness_now_ns());
  atomic_fetch_add(&board->begun, 1);
}

/* A computation of a key's value, which is its number. */
struct pass {
  uint32_t key;
  bool held;         /* at the gate */
  uint32_t together; /* it ends when so many have begun in all */
  int rc;            /* that it returns */
  size_t size;       /* of its value; 0: of the number alone */
};

static int compute(void *arg, struct fcache_value *value) {
  static uint8_t bytes[2 * MAX_VALUE];
  const struct pass *pass = arg;

  count_compute(pass->key);
  if (pass->held && !harness_wait_until(is_open, NULL, TIMEOUT_MS))
    return STUCK;
  if (!wait_count(&board->begun, pass->together))
    return STUCK;
  if (pass->rc != 0)
    return pass->rc;
  memcpy(bytes, &pass->key, sizeof pass->key);
  return fcache_value_set(value, bytes, pass->size == 0 ? sizeof pass->key : pass->size);
}

static bool is_of_key(const struct fcache_value *value, uint32_t key) {
  return value->size >= sizeof key && memcmp(value->data, &key, sizeof key) == 0;
}

static struct fcache *open_worker(uint32_t deadline_ms) {
  return library_open_in_child(served.socket, SPACE, NULL, deadline_ms);
}

/* In a child: one lookup, by a handle of its own. */
static int cached_once(struct pass *pass, uint32_t deadline_ms, struct fcache_counters *counters) {
  struct fcache *cache = open_worker(deadline_ms);
  struct fcache_key key = key_of(pass->key);
  struct fcache_value value = {0};

  CHILD_EXPECT(cache);
  CHILD_EXPECT(fcache_cached(cache, &key, compute, pass, &value) == pass->rc);
  CHILD_EXPECT(pass->rc != 0 || is_of_key(&value, pass->key));
  if (counters)
    *counters = library_counters(cache);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static int look_up(void *pass) {
  return cached_once(pass, LIBRARY_PATIENT_MS, NULL);
}

/* Once the test has the key's lease. */
static int look_up_in_time(void *pass) {
  CHILD_EXPECT(harness_wait_until(is_open, NULL, TIMEOUT_MS));
  return cached_once(pass, DEADLINE_MS, &board->counters[0]);
}

static void expect_ends(const pid_t *pids, size_t n) {
  for (size_t i = 0; i < n; i++)
    ck_assert_int_eq(harness_wait(pids[i], 2 * TIMEOUT_MS), 0);
}

static void expect_nothing_left(void) {
  library_wait_figure(watch, "leases", 0);
  library_wait_figure(watch, "lease_waits", 0);
}

/* ---- one miss, one forward pass ---- */

/* The first computation ends when the other seven wait for it. */
static int share_the_list(void *number) {
  struct fcache *cache = open_worker(LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};

  CHILD_EXPECT(cache && meet(1, WORKERS));
  for (uint32_t i = 0; i < DISTINCT; i++) {
    struct pass pass = {.key = i, .held = i == 0};
    struct fcache_key key = key_of(i);
    CHILD_EXPECT(fcache_cached(cache, &key, compute, &pass, &value) == FCACHE_OK);
    CHILD_EXPECT(is_of_key(&value, i));
  }
  board->counters[*(uint32_t *)number] = library_counters(cache);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static void expect_sums(const struct fcache_counters *sum) {
  struct figures figures = {0};

  figures_take(watch, &figures);
  ck_assert_uint_eq(figures_count(&figures, NULL, "cache_misses"), sum->cache_misses);
  ck_assert_uint_eq(figures_count(&figures, NULL, "forward_passes"), sum->forward_passes);
  ck_assert_uint_eq(figures_count(&figures, NULL, "leases_granted"), sum->leases_granted);
  /* A worker that was told to wait may find the value there when it asks to: for the daemon it did
   * not wait. */
  ck_assert_uint_le(figures_count(&figures, NULL, "coalesced_hits"), sum->coalesced_hits);
  ck_assert_uint_ge(figures_count(&figures, NULL, "coalesced_hits"), WORKERS - 1);
  ck_assert_uint_eq(figures_count(&figures, SPACE, "coalesced_hits"),
                    figures_count(&figures, NULL, "coalesced_hits"));
  ck_assert_uint_eq(figures_count(&figures, SPACE, "leases_granted"), sum->leases_granted);
  ck_assert_uint_eq(figures_count(&figures, NULL, "leases_abandoned"), 0);
  ck_assert_uint_eq(figures_count(&figures, NULL, "leases_expired"), 0);
  figures_free(&figures);
}

START_TEST(workers_that_start_together_compute_each_key_once) {
  uint32_t numbers[WORKERS];
  pid_t pids[WORKERS];
  struct fcache_counters sum = {0};

  for (uint32_t i = 0; i < WORKERS; i++) {
    numbers[i] = i;
    pids[i] = child_start(share_the_list, &numbers[i], NULL);
  }
  library_wait_figure(watch, "lease_waits", WORKERS - 1);
  atomic_store(&board->open, true);
  expect_ends(pids, WORKERS);
  for (uint32_t i = 0; i < DISTINCT; i++)
    ck_assert_uint_eq(board->computes[i], 1);
  for (uint32_t i = 0; i < WORKERS; i++) {
    const struct fcache_counters *counters = &board->counters[i];
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
  ck_assert_uint_ge(sum.coalesced_hits, WORKERS - 1);
  ck_assert_uint_gt(sum.lease_wait_ns, 0);
  library_wait_figure(watch, "cache_hits", sum.cache_hits); /* those of the rings too */
  expect_sums(&sum);
  expect_nothing_left();
}
END_TEST

/* ---- what ends a computation otherwise ---- */

/* A worker that computes, held at the gate, and others that wait for it. */
static void start_held(struct pass *first, pid_t *owner, struct pass *others, pid_t *pids,
                       size_t n) {
  *owner = child_start(look_up, first, NULL);
  ck_assert(wait_count(&board->begun, 1));
  for (size_t i = 0; i < n; i++)
    pids[i] = child_start(look_up, &others[i], NULL);
  library_wait_figure(watch, "lease_waits", n);
}

START_TEST(a_computation_that_fails_hands_its_lease_on) {
  struct pass fails = {.held = true, .rc = FAILS}, works[2] = {{0}};
  pid_t owner, pids[2];

  start_held(&fails, &owner, works, pids, 2);
  atomic_store(&board->open, true);
  expect_ends(&owner, 1);
  expect_ends(pids, 2);
  ck_assert_uint_eq(computes(), 2);
  ck_assert_uint_eq(library_figure(watch, "leases_abandoned"), 1);
  ck_assert_uint_eq(library_figure(watch, "coalesced_hits"), 1);
  ck_assert_uint_eq(library_figure(watch, "forward_passes"), 1);
  expect_nothing_left();
}
END_TEST

START_TEST(a_worker_that_is_killed_hands_its_lease_on) {
  struct pass dies = {.held = true}, works[2] = {{0}};
  pid_t owner, pids[2];

  start_held(&dies, &owner, works, pids, 2);
  ck_assert_int_eq(kill(owner, SIGKILL), 0);
  ck_assert_int_eq(harness_wait(owner, TIMEOUT_MS), 128 + SIGKILL);
  expect_ends(pids, 2);
  ck_assert_uint_eq(computes(), 2);
  expect_nothing_left();
}
END_TEST

/* The value is larger than the daemon takes: those who wait compute it too, side by side. */
START_TEST(a_value_that_is_too_large_is_computed_by_all_side_by_side) {
  enum { OTHERS = 3 };
  struct pass first = {.held = true, .size = 2 * MAX_VALUE}, others[OTHERS];
  pid_t owner, pids[OTHERS];

  for (size_t i = 0; i < OTHERS; i++)
    others[i] = (struct pass){.together = 1 + OTHERS, .size = 2 * MAX_VALUE};
  start_held(&first, &owner, others, pids, OTHERS);
  atomic_store(&board->open, true);
  expect_ends(&owner, 1);
  expect_ends(pids, OTHERS);
  ck_assert_uint_eq(computes(), 1 + OTHERS);
  expect_nothing_left();
}
END_TEST

/* What the one began before the clear is not stored; the one that waits begins anew. */
START_TEST(a_clear_while_one_computes_and_another_waits) {
  struct pass old = {.held = true, .size = 100}, fresh = {0};
  struct fcache_key key = key_of(0);
  struct fcache_value value = {0};
  pid_t owner, waiter;

  start_held(&old, &owner, &fresh, &waiter, 1);
  ck_assert_int_eq(fcache_clear(watch, NULL, NULL, NULL), FCACHE_OK);
  expect_ends(&waiter, 1); /* while the old computation goes on */
  atomic_store(&board->open, true);
  expect_ends(&owner, 1);
  ck_assert_uint_eq(computes(), 2);
  ck_assert_int_eq(fcache_get(watch, &key, 0, &value), FCACHE_OK);
  ck_assert_uint_eq(value.size, sizeof(uint32_t));
  fcache_value_free(&value);
  expect_nothing_left();
}
END_TEST

/* ---- no order of calls can deadlock ---- */

struct nest {
  struct fcache *cache;
  uint32_t outer, inner;
};

/* Both are in here before either goes on, and both hold what the other asks for. */
static int compute_nested(void *arg, struct fcache_value *value) {
  const struct nest *nest = arg;
  struct pass inner = {.key = nest->inner, .together = 4};
  struct fcache_key key = key_of(nest->inner);

  count_compute(nest->outer);
  if (!wait_count(&board->begun, 2))
    return STUCK;
  int rc = fcache_cached(nest->cache, &key, compute, &inner, value);
  return rc != 0 ? rc : fcache_value_set(value, &nest->outer, sizeof nest->outer);
}

static int look_up_nested(void *arg) {
  struct nest *nest = arg;
  struct fcache_key key = key_of(nest->outer);
  struct fcache_value value = {0};

  nest->cache = open_worker(LIBRARY_PATIENT_MS);
  CHILD_EXPECT(nest->cache);
  CHILD_EXPECT(fcache_cached(nest->cache, &key, compute_nested, nest, &value) == FCACHE_OK);
  CHILD_EXPECT(is_of_key(&value, nest->outer));
  fcache_value_free(&value);
  fcache_close(nest->cache);
  return 0;
}

START_TEST(nested_calls_in_opposite_orders_compute_for_themselves) {
  struct nest nests[2] = {{.outer = 1, .inner = 2}, {.outer = 2, .inner = 1}};
  pid_t pids[2];

  for (size_t i = 0; i < 2; i++)
    pids[i] = child_start(look_up_nested, &nests[i], NULL);
  expect_ends(pids, 2);
  ck_assert_uint_eq(board->computes[1], 2);
  ck_assert_uint_eq(board->computes[2], 2);
  expect_nothing_left();
}
END_TEST

/* ---- batches ---- */

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
    count_compute(*key);
    rc = fcache_batch_add(out, key, sizeof *key);
  }
  if (batch->held && !harness_wait_until(is_open, NULL, TIMEOUT_MS))
    return STUCK;
  return rc != 0 ? rc : batch->rc;
}

/* In a child. */
static int cached_batch(struct fcache *cache, struct batch *batch, uint32_t n) {
  static struct fcache_value values[BATCH];
  struct fcache_hash prompts[BATCH] = {0};

  for (uint32_t i = 0; i < n; i++)
    prompts[i] = prompt_of(batch->keys[i]);
  CHILD_EXPECT(fcache_cached_batch(cache, OP, VIEW, 0, prompts, n, compute_misses, batch, values) ==
               batch->rc);
  for (uint32_t i = 0; i < n && batch->rc == 0; i++)
    CHILD_EXPECT(is_of_key(&values[i], batch->keys[i]));
  for (uint32_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
  return 0;
}

/* In each round every batch shares one half with the one before and one with the one after, in a
 * ring, and every other runs the other way. */
static int share_batches(void *number) {
  struct fcache *cache = open_worker(LIBRARY_PATIENT_MS);
  uint32_t own = *(uint32_t *)number, keys[BATCH];

  CHILD_EXPECT(cache);
  for (uint32_t round = 0; round < ROUNDS; round++) {
    struct batch batch = {.keys = keys};
    for (uint32_t i = 0; i < BATCH; i++)
      keys[i] = round * RING + (own * RING / BATCHERS + (own % 2 == 1 ? BATCH - 1 - i : i)) % RING;
    CHILD_EXPECT(meet(round + 1, BATCHERS));
    CHILD_EXPECT(cached_batch(cache, &batch, BATCH) == 0);
  }
  fcache_close(cache);
  return 0;
}

START_TEST(batches_in_opposite_orders_compute_each_key_once) {
  uint32_t numbers[BATCHERS];
  pid_t pids[BATCHERS];

  for (uint32_t i = 0; i < BATCHERS; i++) {
    numbers[i] = i;
    pids[i] = child_start(share_batches, &numbers[i], NULL);
  }
  expect_ends(pids, BATCHERS);
  for (uint32_t i = 0; i < ROUNDS * RING; i++)
    ck_assert_uint_eq(board->computes[i], 1);
  expect_nothing_left();
}
END_TEST

#define FEW 4u
static const uint32_t rising[FEW] = {0, 1, 2, 3}, falling[FEW] = {4, 3, 2, 1};

static int batch_that_fails(void *unused) {
  struct batch batch = {.keys = rising, .held = true, .rc = FAILS};
  struct fcache *cache = open_worker(LIBRARY_PATIENT_MS);

  (void)unused;
  CHILD_EXPECT(cache && cached_batch(cache, &batch, FEW) == 0);
  fcache_close(cache);
  return 0;
}

static int batch_that_takes_over(void *unused) {
  struct batch batch = {.keys = falling};
  struct fcache *cache = open_worker(LIBRARY_PATIENT_MS);

  (void)unused;
  CHILD_EXPECT(cache && cached_batch(cache, &batch, FEW) == 0);
  board->counters[0] = library_counters(cache);
  fcache_close(cache);
  return 0;
}

/* First what nobody computes, and then, at once, all that the other gave up. */
START_TEST(a_batch_takes_over_what_another_gives_up) {
  pid_t pids[2];

  pids[0] = child_start(batch_that_fails, NULL, NULL);
  ck_assert(wait_count(&board->begun, FEW));
  pids[1] = child_start(batch_that_takes_over, NULL, NULL);
  library_wait_figure(watch, "lease_waits", FEW - 1);
  ck_assert_uint_eq(board->computes[4], 1);
  atomic_store(&board->open, true);
  expect_ends(pids, 2);
  for (uint32_t i = 0; i < FEW; i++)
    ck_assert_uint_eq(board->computes[i], i == 0 ? 1 : 2);
  ck_assert_uint_eq(board->computes[4], 1);
  ck_assert_uint_ge(board->counters[0].batches_sent, 2);
  ck_assert_uint_le(board->counters[0].batches_sent, 3); /* the give_up may be read in two steps */
  expect_nothing_left();
}
END_TEST

/* ---- a daemon that goes away ---- */

/* Takes the key's lease, by a connection of the test's own. */
static void own(struct raw *raw, uint32_t key) {
  struct fc_key wire = {
      .op = fc_str_of(OP), .view = fc_str_of(VIEW), .prompt = fc_hash_prompt(&key, sizeof key)};
  struct fc_get get = raw_lease_get(&wire, 0, 0);
  struct fc_reply reply;

  raw_open(raw, served.socket, SPACE);
  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
}

/* A worker with the default deadline that waits for a computation that never ends. It is older than
 * the lease: else it would be a helper of its owner, and not wait. */
static pid_t start_waiter(struct raw *owner, struct pass *pass) {
  pid_t waiter = child_start(look_up_in_time, pass, NULL);
  harness_outlive_tick();
  own(owner, pass->key);
  atomic_store(&board->open, true);
  library_wait_figure(watch, "lease_waits", 1);
  return waiter;
}

/* It computed, and not later than `most_ms` after `since_ns`. */
static void expect_computed(pid_t waiter, uint64_t since_ns, uint64_t least_ms, uint64_t most_ms) {
  expect_ends(&waiter, 1);
  ck_assert_uint_eq(computes(), 1);
  uint64_t took_ms = (board->computed_ns - since_ns) / 1000000;
  ck_assert_uint_ge(took_ms, least_ms);
  ck_assert_uint_le(took_ms, most_ms);
  ck_assert_uint_eq(board->counters[0].forward_passes, 1);
}

START_TEST(a_waiter_of_a_stopped_daemon_computes_after_a_deadline) {
  struct pass pass = {0};
  struct raw owner;

  pid_t waiter = start_waiter(&owner, &pass);
  uint64_t start_ns = harness_now_ns();
  ck_assert(harness_freeze(&served));
  /* It was heard of, by a ping, up to a quarter of a deadline before. */
  expect_computed(waiter, start_ns, DEADLINE_MS / 2, DEADLINE_MS + SLOW_MS);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  library_wait_figure(watch, "lease_waits", 0);
  raw_close(&owner);
  expect_nothing_left();
}
END_TEST

START_TEST(a_waiter_of_a_killed_daemon_computes_at_once) {
  struct pass pass = {0};
  struct raw owner;

  pid_t waiter = start_waiter(&owner, &pass);
  uint64_t start_ns = harness_now_ns();
  harness_kill9(&served);
  expect_computed(waiter, start_ns, 0, SLOW_MS);
  raw_close(&owner);
}
END_TEST

/* The daemon answers the pings, so that a wait may take many deadlines. */
START_TEST(a_wait_outlasts_the_deadline) {
  struct pass pass = {0};
  struct raw owner;
  struct fc_reply reply;

  pid_t waiter = start_waiter(&owner, &pass);
  uint64_t start_ns = harness_now_ns();
  while (harness_now_ns() - start_ns < 3 * DEADLINE_MS * UINT64_C(1000000))
    if (library_figure(watch, "lease_waits") != 1)
      ck_abort_msg("it waits no longer");
  ck_assert_uint_eq(computes(), 0);
  ck_assert_int_eq(raw_give_up(&owner, NULL, &reply), RAW_REPLY);
  expect_ends(&waiter, 1);
  ck_assert_uint_eq(board->counters[0].leases_granted, 1);
  ck_assert_uint_eq(board->counters[0].degraded, 0);
  raw_close(&owner);
  expect_nothing_left();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_workers");
  TCase *tcase = tcase_create("workers");
  tcase_set_timeout(tcase, 2 * TIMEOUT_MS / 1000.0);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, workers_that_start_together_compute_each_key_once);
  tcase_add_test(tcase, a_computation_that_fails_hands_its_lease_on);
  tcase_add_test(tcase, a_worker_that_is_killed_hands_its_lease_on);
  tcase_add_test(tcase, a_value_that_is_too_large_is_computed_by_all_side_by_side);
  tcase_add_test(tcase, a_clear_while_one_computes_and_another_waits);
  tcase_add_test(tcase, nested_calls_in_opposite_orders_compute_for_themselves);
  tcase_add_test(tcase, batches_in_opposite_orders_compute_each_key_once);
  tcase_add_test(tcase, a_batch_takes_over_what_another_gives_up);
  tcase_add_test(tcase, a_waiter_of_a_stopped_daemon_computes_after_a_deadline);
  tcase_add_test(tcase, a_waiter_of_a_killed_daemon_computes_at_once);
  tcase_add_test(tcase, a_wait_outlasts_the_deadline);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
