/* Clients that read the region of a stopped daemon. Hits go on, each is counted, and a miss costs
 * one deadline. */
#include <signal.h>
#include <string.h>

#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/region_worker.h"
#include "tests/support/stamped.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 60000u

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

enum { STOP_NUMBERS = 7 }; /* none of them large */

struct expected {
  const char *client;
  uint64_t hits, misses;
};

static void count_line(void *arg, const struct trace_line *line) {
  struct expected *seen = arg;

  if (strcmp(line->client, seen->client) != 0)
    return;
  seen->hits += line->hit;
  seen->misses += !line->hit;
}

/* After the daemon continued, its statistics and its trace must have every lookup of `worker`,
 * except for the unrecorded hits, which are counted. */
static void settle_stopped(struct region_worker *worker, const char *trace) {
  struct fcache_counters counters = library_counters(worker->cache);
  struct fcache *look = library_open(served.socket, "look", NULL, 0);
  struct expected seen = {.client = "stopped"};
  struct library_stats stats = {0};

  library_stats_read(look, &stats);
  uint64_t recorded = counters.cache_hits - counters.unrecorded;
  ck_assert_uint_eq(library_stats_count(&stats, "region", "cache_hits"), recorded);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_unrecorded"), counters.unrecorded);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "dropped"), 0);
  fcache_close(look);
  region_worker_close(worker);
  ck_assert_int_eq(harness_stop(&served), 0);
  (void)trace_lines_read(trace, count_line, &seen); /* others have lines there too */
  ck_assert_uint_eq(seen.hits, recorded);
  ck_assert_uint_eq(seen.misses, library_stats_count(&stats, "region", "cache_misses"));
  library_stats_free(&stats);
}

static void hit_many(struct region_worker *worker, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    EXPECT_EQUAL(region_worker_get(worker, i % STOP_NUMBERS), FCACHE_OK);
    EXPECT_EQUAL(worker->version, 1);
  }
}

static void stop_daemon(void) {
  ck_assert(harness_freeze(&served));
}

static void continue_daemon(void) {
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
}

START_TEST(daemon_stopped_hits_read_and_recorded) {
  char trace[TRACE_PATH_SIZE];
  struct region_worker worker;
  unsigned n = 20000; /* fewer than a ring holds */

  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, "--max-clients", "8", NULL); /* large rings */
  region_worker_put(served.socket, 0, STOP_NUMBERS, 1);
  ck_assert(region_worker_open(&worker, served.socket, "stopped", REGION_WORKER_SLOW_MS));
  hit_many(&worker, 100);
  stop_daemon();
  hit_many(&worker, n);
  ck_assert_uint_eq(worker.slow, 0);
  ck_assert_uint_eq(library_counters(worker.cache).region_hits, 100 + n);
  ck_assert_uint_eq(library_counters(worker.cache).degraded, 0);
  ck_assert_uint_eq(library_counters(worker.cache).unrecorded, 0);
  continue_daemon();
  settle_stopped(&worker, trace);
}
END_TEST

/* Waits until the worker is connected again. Its misses have numbers from 1000 on. */
static bool is_connected_again(void *arg) {
  struct region_worker *worker = arg;

  EXPECT(region_worker_cached(worker, 1000, 1));
  return fcache_connected(worker->cache);
}

/* The connection that missed its deadline lingers until the next one: no hit in its ring is lost.
 */
START_TEST(daemon_stopped_miss_costs_one_deadline) {
  char trace[TRACE_PATH_SIZE];
  struct region_worker worker;

  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, "--max-clients", "8", NULL); /* large rings */
  region_worker_put(served.socket, 0, STOP_NUMBERS, 1);
  ck_assert(region_worker_open(&worker, served.socket, "stopped", REGION_WORKER_SLOW_MS));
  hit_many(&worker, 100);
  stop_daemon();
  ck_assert(region_worker_cached(&worker, 100, 5));
  ck_assert_uint_eq(worker.computed, 1);
  ck_assert_uint_eq(worker.slow, 1);
  ck_assert_int_eq(stamped_put(worker.cache, &worker.value, 101, 5), FCACHE_NOT_STORED);
  for (uint64_t i = 0; i < 50; i++)
    ck_assert(region_worker_cached(&worker, 100 + i, 5));
  ck_assert_uint_eq(worker.computed, 51);
  hit_many(&worker, 5000);
  ck_assert_uint_eq(worker.slow, 1); /* one deadline in all */
  ck_assert_uint_eq(worker.lines, 1);
  ck_assert_uint_eq(library_counters(worker.cache).cache_hits, 5100);
  ck_assert_uint_eq(library_counters(worker.cache).region_hits, 5100);
  continue_daemon();
  ck_assert(harness_wait_until(is_connected_again, &worker, TIMEOUT_MS));
  ck_assert_uint_eq(library_counters(worker.cache).reconnects, 1);
  ck_assert_uint_eq(library_counters(worker.cache).unrecorded, 0);
  hit_many(&worker, 100);
  settle_stopped(&worker, trace);
}
END_TEST

START_TEST(daemon_stopped_ring_full_hits_counted) {
  char trace[TRACE_PATH_SIZE];
  struct region_worker worker;

  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, "--max-value", "64K", "--client-budget", "2200K", NULL);
  region_worker_put(served.socket, 0, STOP_NUMBERS, 1);
  ck_assert(region_worker_open(&worker, served.socket, "stopped", REGION_WORKER_SLOW_MS));
  hit_many(&worker, 100);
  stop_daemon();
  hit_many(&worker, 3000); /* the ring holds 1,024 */
  ck_assert_uint_eq(worker.slow, 1);
  struct fcache_counters counters = library_counters(worker.cache);
  ck_assert_uint_eq(counters.cache_hits, 3100);
  ck_assert_uint_ge(counters.unrecorded, 3000 - 1024);
  ck_assert_uint_lt(counters.unrecorded, 3000);
  continue_daemon();
  ck_assert(harness_wait_until(is_connected_again, &worker, TIMEOUT_MS));
  hit_many(&worker, 100);
  settle_stopped(&worker, trace);
}
END_TEST

/* Hits that a killed daemon had not read are in the client's counters, and in the next ring. */
START_TEST(daemon_killed_unread_hits_published_to_next) {
  enum { READ = 500, UNREAD = 3000 };
  struct region_worker worker;

  harness_start(&served, "--max-clients", "8", NULL); /* large rings */
  region_worker_put(served.socket, 0, STOP_NUMBERS, 1);
  ck_assert(region_worker_open(&worker, served.socket, "stopped", LIBRARY_PATIENT_MS));
  hit_many(&worker, READ);
  ck_assert_uint_eq(library_stat(worker.cache, "cache_hits"),
                    READ); /* so the daemon has read them */
  stop_daemon();
  hit_many(&worker, UNREAD);
  harness_kill9(&served);
  ck_assert_int_eq(region_worker_get(&worker, 0), FCACHE_MISS);
  harness_start(&served, NULL);
  ck_assert(harness_wait_until(is_connected_again, &worker, TIMEOUT_MS));
  uint64_t hits = library_counters(worker.cache).cache_hits;
  ck_assert_uint_eq(library_counters(worker.cache).unrecorded, UNREAD);
  ck_assert_uint_eq(library_stat(worker.cache, "hits_unrecorded"), UNREAD);
  ck_assert_uint_eq(library_stat(worker.cache, "cache_hits"), hits - READ - UNREAD);
  ck_assert_uint_eq(library_counters(worker.cache).reconnects, 1);
  ck_assert_uint_eq(worker.lines, 1);
  region_worker_close(&worker);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stopped daemons");
  TCase *tcase = tcase_create("stopped daemons");

  tcase_set_timeout(tcase, 120);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, daemon_stopped_hits_read_and_recorded);
  tcase_add_test(tcase, daemon_stopped_miss_costs_one_deadline);
  tcase_add_test(tcase, daemon_stopped_ring_full_hits_counted);
  tcase_add_test(tcase, daemon_killed_unread_hits_published_to_next);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
