/* Rings among many clients and over time, with the real daemon and the real library: everyone gets
 * one, it grows where it is used, falls asleep and shrinks where it is not, and no hit is lost over
 * any of that: not by a client that is stopped at any moment, either. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/rings/rings.h"
#include "tests/support/child_process.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"
#include "tests/support/sequence.h"
#include "tests/support/stamped.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 60000u
#define SLOWER (SANITIZER_SLOW ? 20u : 1u)
#define BASE_BYTES rings_charge(FC_RING_SLOTS_MIN) /* of the default daemon's rings */

static struct daemon served;
static char trace[TRACE_PATH_SIZE];
static struct fcache *look; /* a tool's handle: it never looks up anything, so its ring is idle */

static void start(void) {
  harness_start(&served, NULL);
  look = library_open(served.socket, "look", "look", 0);
}

static void stop(void) {
  fcache_close(look);
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- a ring for each ---- */

/* As many descriptors as may be had, ours and those of the daemons that start after. */
static rlim_t raise_descriptors(void) {
  struct rlimit limit;
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return limit.rlim_cur;
}

START_TEST(thousand_clients_each_has_ring) {
  enum { MOST = 1000 - 1 }; /* beside `look` */
  static struct raw clients[MOST];
  rlim_t descriptors = raise_descriptors();
  unsigned n = descriptors < MOST + 64 ? (unsigned)descriptors - 64 : MOST;
  start();
  for (unsigned i = 0; i < n; i++) {
    raw_open_region(&clients[i], served.socket, "client", "many");
    raw_close_shared(&clients[i]);
  }
  ck_assert_uint_eq(library_stat(look, "rings"), n + 1);
  ck_assert_uint_eq(library_stat(look, "clients_without_ring"), 0);
  ck_assert_uint_le(library_stat(look, "rings_bytes"), library_stat(look, "rings_bytes_max"));
  for (unsigned i = 0; i < n; i++)
    raw_close(&clients[i]);
  library_wait_stat(look, "rings", 1);
  ck_assert_uint_eq(library_stat(look, "rings_bytes"), BASE_BYTES);
  stop();
}
END_TEST

/* ---- rings that grow, and that are taken back ---- */

enum { WORKERS = 4 };

struct worker {
  unsigned number;
  uint64_t lookups; /* until it pauses; as many again after it */
};

static struct {
  atomic_uint paused; /* workers */
  atomic_bool go_on;
  _Atomic uint64_t done[WORKERS];
} * shared;

static int work(void *arg) {
  const struct worker *worker = arg;
  struct fcache *cache = sequence_open(served.socket, worker->number);
  struct fcache_value value = {0};
  CHILD_EXPECT(cache != NULL);
  for (uint64_t i = 0; i < 2 * worker->lookups; i++) {
    if (i == worker->lookups) {
      atomic_fetch_add(&shared->paused, 1);
      while (!atomic_load(&shared->go_on))
        (void)usleep(1000);
    }
    struct fcache_key key = stamped_key(i % SEQUENCE_KEYS * 8);
    CHILD_EXPECT(fcache_get(cache, &key, 0, &value) == FCACHE_OK);
    atomic_store(&shared->done[worker->number], i + 1);
  }
  CHILD_EXPECT(library_counters(cache).unrecorded == 0);
  CHILD_EXPECT(library_counters(cache).degraded == 0);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static void start_workers(pid_t pids[WORKERS], uint64_t lookups) {
  struct fcache *cache = library_open(served.socket, "sequence", "prepare", 0);
  sequence_prepare(cache);
  fcache_close(cache);
  shared = child_shared(sizeof *shared);
  for (unsigned i = 0; i < WORKERS; i++) {
    struct worker worker = {i, lookups};
    pids[i] = child_start(work, &worker, NULL);
  }
}

static bool all_paused(void *arg) {
  (void)arg;
  return atomic_load(&shared->paused) == WORKERS;
}

static bool memory_is_back(void *arg) {
  (void)arg;
  return library_stat(look, "rings_bytes") == (WORKERS + 1) * BASE_BYTES;
}

/* A trace file that is read while it grows. */
struct growing {
  FILE *file;
  uint64_t lines, expected;
};

static bool has_expected_lines(void *arg) {
  static char bytes[1u << 20];
  struct growing *growing = arg;
  size_t n;
  clearerr(growing->file);
  while ((n = fread(bytes, 1, sizeof bytes, growing->file)) > 0)
    for (size_t i = 0; i < n; i++)
      growing->lines += bytes[i] == '\n';
  return growing->lines >= growing->expected;
}

/* Waits until that many lines are in the trace. Statistics would read the rings at once, and cost
 * the lines for which the trace has no room. */
static void wait_for_lines(struct growing *growing, uint64_t lines) {
  growing->expected = lines;
  ck_assert(harness_wait_until(has_expected_lines, growing, TIMEOUT_MS));
  ck_assert_uint_eq(growing->lines, lines);
}

/* Each hit is counted and traced once, whichever ring it was in. */
static void assert_counts(uint64_t hits, struct growing *growing) {
  if (growing != NULL)
    wait_for_lines(growing, hits);
  library_wait_stat(look, "clients", 1);
  ck_assert_uint_eq(library_stat(look, "cache_hits"), hits);
  ck_assert_uint_gt(library_stat(look, "hits_region"), hits / 100 * 99);
  ck_assert_uint_eq(library_stat(look, "hits_unrecorded"), 0);
  ck_assert_uint_eq(library_stat(look, "dropped"), 0);
  ck_assert_uint_eq(library_stat(look, "rings_bytes"), BASE_BYTES);
  ck_assert_uint_eq(library_stat(look, "trace_lost"), 0);
  stop();
  if (growing == NULL)
    return;
  (void)has_expected_lines(growing); /* none came later */
  ck_assert_uint_eq(growing->lines, hits);
  ck_assert_int_eq(fclose(growing->file), 0);
}

/* Their rings grow under load, and are taken back while they pause; then they go on at once, with
 * the trace on too. */
START_TEST(rings_resized_no_hit_lost) {
  pid_t pids[WORKERS];
  uint64_t lookups = 60000u / SLOWER;
  bool traced = _i == 1;
  struct growing growing = {0};
  trace_in_memory(trace);
  harness_start(&served, traced ? "--trace" : NULL, trace, NULL);
  if (traced)
    growing.file = fopen(trace, "r");
  ck_assert(!traced || growing.file != NULL);
  look = library_open(served.socket, "look", "look", 0);
  start_workers(pids, lookups);
  ck_assert(harness_wait_until(all_paused, NULL, TIMEOUT_MS));
  if (traced)
    wait_for_lines(&growing, WORKERS * lookups);
  ck_assert_uint_gt(library_stat(look, "rings_bytes"), (WORKERS + 1) * BASE_BYTES);
  ck_assert(harness_wait_until(memory_is_back, NULL, TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(look, "clients_without_ring"), 0);
  atomic_store(&shared->go_on, true);
  for (unsigned i = 0; i < WORKERS; i++)
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 0);
  assert_counts(2 * WORKERS * lookups, traced ? &growing : NULL);
}
END_TEST

static bool has_begun(void *arg) {
  return atomic_load((_Atomic uint64_t *)arg) > 20000u / SLOWER;
}

/* At whatever instruction they are; until all of their memory is taken back. */
START_TEST(clients_stopped_no_hit_lost) {
  pid_t pids[WORKERS];
  uint64_t lookups = 400000u / SLOWER;
  start();
  start_workers(pids, lookups);
  for (unsigned i = 0; i < WORKERS; i++) {
    struct daemon stopped = {.pid = pids[i]};
    ck_assert(harness_wait_until(has_begun, &shared->done[i], TIMEOUT_MS));
    ck_assert(harness_freeze(&stopped));
  }
  ck_assert_uint_lt(atomic_load(&shared->done[0]), lookups);
  ck_assert(harness_wait_until(memory_is_back, NULL, TIMEOUT_MS));
  atomic_store(&shared->go_on, true);
  for (unsigned i = 0; i < WORKERS; i++)
    ck_assert_int_eq(kill(pids[i], SIGCONT), 0);
  for (unsigned i = 0; i < WORKERS; i++)
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 0);
  assert_counts(2 * WORKERS * lookups, NULL);
}
END_TEST

/* ---- the order ---- */

/* The first hit in a ring that is asleep counts before the next client's put evicts. */
START_TEST(ring_asleep_hit_promotes_entry) {
  struct fcache *others[RINGS_AWAKE];
  start();
  for (unsigned i = 0; i < RINGS_AWAKE; i++)
    others[i] = library_open(served.socket, "others", "other", 0);
  struct fcache *writer = library_open(served.socket, "order", "writer", 2);
  struct fcache_key used = library_key("op", "base", "used", 0);
  for (unsigned i = 0; i < 300u / SLOWER; i++) {
    char name[16];
    (void)snprintf(name, sizeof name, "%u", i);
    struct fcache_key idle = library_key("op", "base", name, 0);
    library_put_text(writer, &used, "text");
    library_put_text(writer, &idle, "text");
    struct fcache *reader = library_open(served.socket, "order", "reader", 0);
    struct fcache_value value = {0};
    EXPECT(library_stat(look, "rings_asleep") > 0); /* among them that new one */
    EXPECT_EQUAL(fcache_get(reader, &used, 0, &value), FCACHE_OK);
    EXPECT_EQUAL(library_counters(reader).region_hits, 1);
    struct fcache_key next = library_key("op", "view", name, 0);
    library_put_text(writer, &next, "text"); /* one of the two goes */
    EXPECT_EQUAL(fcache_get(reader, &used, FCACHE_UNRECORDED, &value), FCACHE_OK);
    EXPECT_EQUAL(fcache_get(reader, &idle, FCACHE_UNRECORDED, &value), FCACHE_MISS);
    fcache_value_free(&value);
    fcache_close(reader);
  }
  fcache_close(writer);
  for (unsigned i = 0; i < RINGS_AWAKE; i++)
    fcache_close(others[i]);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_rings");
  TCase *tcase = tcase_create("region_rings");
  tcase_set_timeout(tcase, 140);
  tcase_add_test(tcase, thousand_clients_each_has_ring);
  tcase_add_loop_test(tcase, rings_resized_no_hit_lost, 0, 2);
  tcase_add_test(tcase, clients_stopped_no_hit_lost);
  tcase_add_test(tcase, ring_asleep_hit_promotes_entry);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
