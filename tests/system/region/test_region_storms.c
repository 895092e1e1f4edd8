/* Storms of puts, clears and evictions on few keys, and processes that read them at the same time:
 * fault 13 (never a wrong value) and 14 (after an acknowledged clear, never an older one). */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"
#include "tests/support/stamped.h"

#define TIMEOUT_MS 100000u
#define READS (3000000u / (SANITIZER_SLOW ? 20u : 1u)) /* of all readers together */
#define PUTS (30000u / (SANITIZER_SLOW ? 10u : 1u))    /* minimum for the writers that replace */
#define CLEARS (2000u / (SANITIZER_SLOW ? 10u : 1u))

enum { CLEAR_EVERY = 512, READERS = 3, FEW = 6, LARGE = 7, FIRST_FILLER = 1000 };

static struct daemon served;

static void start(void) {
  harness_start(&served, "--max-bytes", "512K", NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* Memory that all processes of a test share. */
static struct {
  _Atomic bool end;
  _Atomic unsigned left;    /* readers that have not finished */
  _Atomic uint64_t cleared; /* versions up to this were put before a clear that is acknowledged */
  _Atomic uint64_t hits, region_hits, puts;
} * common;

struct role {
  int (*play)(void *arg); /* gets the role */
  unsigned number;
};

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state >> 11;
}

static uint64_t seed(void) {
  return (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
}

/* Mostly the small values; now and then the one in several pieces. */
static uint64_t choose(uint64_t *random) {
  uint64_t number = next_random(random) % 64;

  return number == 0 ? LARGE : number % FEW;
}

static int report(const struct fcache *cache) {
  struct fcache_counters counters = library_counters(cache);

  atomic_fetch_add(&common->hits, counters.cache_hits);
  atomic_fetch_add(&common->region_hits, counters.region_hits);
  CHILD_EXPECT(counters.degraded == 0 && counters.reconnects == 0 && counters.unrecorded == 0);
  return 0;
}

/* If one fails, the others can stop. */
static int play(void *arg) {
  struct role *role = arg;
  int rc = role->play(role);

  if (rc != 0)
    atomic_store(&common->end, true);
  return rc;
}

/* Starts a process for each of the functions, and waits for their ends. */
static void run(int (*const roles[])(void *arg), unsigned n) {
  pid_t pids[8];
  struct role role;

  for (unsigned i = 0; i < n; i++) {
    role = (struct role){roles[i], i};
    pids[i] = child_start(play, &role, NULL);
  }
  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 0);
}

/* ---- fault 13: only right values ---- */

/* Replaces the values, and clears in each way. */
static int replace(void *arg) {
  static const char *const ways[][2] = {{NULL, NULL}, {"view", NULL}, {NULL, "op"}, {"view", "op"}};
  struct fcache *cache = library_open_in_child(served.socket, "storm", NULL, LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};
  uint64_t random = seed(), version = (uint64_t)((struct role *)arg)->number << 40;

  CHILD_EXPECT(cache != NULL);
  for (unsigned i = 0; !atomic_load(&common->end); i++) {
    CHILD_EXPECT(stamped_put(cache, &value, choose(&random), version++) == FCACHE_OK);
    (void)atomic_fetch_add(&common->puts, 1);
    const char *const *way = ways[i / CLEAR_EVERY % 4];
    if (i % CLEAR_EVERY == CLEAR_EVERY - 1)
      CHILD_EXPECT(fcache_clear(cache, way[0], way[1], NULL) == FCACHE_OK);
  }
  fcache_value_free(&value);
  CHILD_EXPECT(report(cache) == 0);
  fcache_close(cache);
  return 0;
}

/* Fills the cache over and over, so that blocks of other values are reused. */
static int evict(void *arg) {
  struct fcache *cache = library_open_in_child(served.socket, "storm", NULL, LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};

  (void)arg;
  CHILD_EXPECT(cache != NULL);
  for (uint64_t i = 0; !atomic_load(&common->end); i++)
    CHILD_EXPECT(stamped_put(cache, &value, FIRST_FILLER + i % 10000, i) == FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static int read_all(void *arg) {
  struct fcache *cache = library_open_in_child(served.socket, "storm", NULL, LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};
  uint64_t random = seed(), version;

  (void)arg;
  CHILD_EXPECT(cache != NULL);
  while (!atomic_load(&common->end) &&
         (library_counters(cache).cache_hits < READS / READERS + 1 || common->puts < PUTS)) {
    uint64_t number = choose(&random);
    struct fcache_key key = stamped_key(number);
    int rc = fcache_get(cache, &key, 0, &value);

    CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_MISS);
    CHILD_EXPECT(rc == FCACHE_MISS || stamped_check(&value, number, &version));
  }
  if (atomic_fetch_sub(&common->left, 1) == 1)
    atomic_store(&common->end, true);
  fcache_value_free(&value);
  CHILD_EXPECT(report(cache) == 0);
  fcache_close(cache);
  return 0;
}

START_TEST(storm_few_keys_no_wrong_value) {
  int (*const roles[])(void *arg) = {replace, replace, evict, read_all, read_all, read_all};
  struct library_stats stats = {0};

  common = child_shared(sizeof *common);
  common->left = READERS;
  run(roles, sizeof roles / sizeof roles[0]);
  struct fcache *look = library_open(served.socket, "look", NULL, 0);
  library_stats_read(look, &stats);
  ck_assert_uint_ge(common->hits, READS);
  ck_assert_uint_gt(common->region_hits, READS / 2);
  ck_assert_uint_eq(library_stats_count(&stats, "storm", "cache_hits"), common->hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_region"), common->region_hits);
  ck_assert_uint_gt(library_stats_count(&stats, "storm", "evictions_bytes"), PUTS / 20);
  ck_assert_uint_gt(library_stats_count(&stats, NULL, "clears"), PUTS / CLEAR_EVERY / 2);
  library_stats_free(&stats);
  fcache_close(look);
}
END_TEST

/* ---- fault 14: a read after an acknowledged clear ---- */

static int put_and_clear(void *arg) {
  struct fcache *cache = library_open_in_child(served.socket, "clear", NULL, LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};

  (void)arg;
  CHILD_EXPECT(cache != NULL);
  for (uint64_t version = 1; version <= CLEARS; version++) {
    for (uint64_t number = 0; number <= LARGE; number++)
      CHILD_EXPECT(stamped_put(cache, &value, number, version) == FCACHE_OK);
    uint64_t hits = common->hits;
    /* on a busy machine the readers might have no hit */
    while (version % 8 == 0 && common->hits == hits && !atomic_load(&common->end))
      (void)sched_yield();
    CHILD_EXPECT(fcache_clear(cache, NULL, NULL, NULL) == FCACHE_OK);
    /* Release: a reader that sees this number looks up after the reply to the clear. */
    atomic_store_explicit(&common->cleared, version, memory_order_release);
  }
  atomic_store(&common->end, true);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static int read_after_clear(void *arg) {
  struct fcache *cache = library_open_in_child(served.socket, "clear", NULL, LIBRARY_PATIENT_MS);
  struct fcache_value value = {0};
  uint64_t random = seed(), version;

  (void)arg;
  CHILD_EXPECT(cache != NULL);
  while (!atomic_load(&common->end)) {
    uint64_t cleared = atomic_load_explicit(&common->cleared, memory_order_acquire);
    uint64_t number = next_random(&random) % (LARGE + 1);
    struct fcache_key key = stamped_key(number);
    int rc = fcache_get(cache, &key, 0, &value);

    CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_MISS);
    if (rc == FCACHE_MISS)
      continue;
    CHILD_EXPECT(stamped_check(&value, number, &version));
    CHILD_EXPECT(version > cleared);
    atomic_fetch_add(&common->hits, 1);
  }
  fcache_value_free(&value);
  atomic_fetch_add(&common->region_hits, library_counters(cache).region_hits);
  fcache_close(cache);
  return 0;
}

START_TEST(clear_acknowledged_no_older_value_read) {
  int (*const roles[])(void *arg) = {put_and_clear, read_after_clear, read_after_clear};

  common = child_shared(sizeof *common);
  run(roles, sizeof roles / sizeof roles[0]);
  ck_assert_uint_eq(common->cleared, CLEARS);
  ck_assert_uint_ge(common->region_hits, CLEARS / 8);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("storms");
  TCase *tcase = tcase_create("processes");

  tcase_set_timeout(tcase, 120);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, storm_few_keys_no_wrong_value);
  tcase_add_test(tcase, clear_acknowledged_no_older_value_read);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
