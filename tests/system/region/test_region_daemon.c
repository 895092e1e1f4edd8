/* What clients that read the region see of a daemon that is killed, stopped, or replaced: faults 1
 * (kill -9 at any step of a write), 2 (the same with an idle client), 3 (SIGSTOP) and 12 (threads
 * during a change of region); and regions that are retired in mid-run. Never a wrong or an old
 * value; the clients go on, and come back to the region by themselves. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"
#include "tests/support/stamped.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 60000u
#define DEADLINE_MS 2000u /* long, so that only a deadline takes that long */

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static uint64_t now_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state >> 11;
}

/* ---- a worker that takes the log lines, and reads stamped values ---- */

struct worker {
  struct fcache *cache;
  unsigned lines; /* that it was told */
  unsigned slow;  /* lookups that took a deadline */
  unsigned computed;
  uint64_t version; /* of the value that came last */
  struct fcache_value value;
};

static void take_line(void *arg, const char *line) {
  struct worker *worker = arg;

  (void)line;
  worker->lines++;
}

static bool open_worker(struct worker *worker, const char *client, uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;

  *worker = (struct worker){0};
  options.socket = served.socket;
  options.name_space = "region";
  options.client = client;
  options.deadline_ms = deadline_ms;
  options.log = take_line;
  options.log_arg = worker;
  return fcache_open(&options, &worker->cache, NULL) == FCACHE_OK;
}

static void close_worker(struct worker *worker) {
  fcache_close(worker->cache);
  fcache_value_free(&worker->value);
}

/* A get: its result; or -1000 where the value is wrong. */
enum { WRONG = -1000 };

static int get(struct worker *worker, uint64_t number) {
  struct fcache_key key = stamped_key(number);
  uint64_t start_ms = now_ms();
  int rc = fcache_get(worker->cache, &key, 0, &worker->value);

  worker->slow += now_ms() - start_ms >= DEADLINE_MS;
  if (rc != FCACHE_OK)
    return rc;
  return stamped_check(&worker->value, number, &worker->version) ? FCACHE_OK : WRONG;
}

struct question {
  struct worker *worker;
  uint64_t number, version;
};

static int compute(void *arg, struct fcache_value *value) {
  struct question *question = arg;

  question->worker->computed++;
  return stamped_make(value, question->number, question->version) ? FCACHE_OK : FCACHE_ENOMEM;
}

/* A call of cached, which is computed with `version` where it misses: true where the value is
 * right. */
static bool ask(struct worker *worker, uint64_t number, uint64_t version) {
  struct question question = {worker, number, version};
  struct fcache_key key = stamped_key(number);
  uint64_t start_ms = now_ms();
  int rc = fcache_cached(worker->cache, &key, compute, &question, &worker->value);

  worker->slow += now_ms() - start_ms >= DEADLINE_MS;
  return rc == FCACHE_OK && stamped_check(&worker->value, number, &worker->version);
}

static void put_all(uint64_t first, uint64_t n, uint64_t version) {
  struct fcache *cache = library_open(served.socket, "region", "putter", 0);
  struct fcache_value value = {0};

  for (uint64_t i = 0; i < n; i++)
    ck_assert_int_eq(stamped_put(cache, &value, first + i, version), FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(cache);
}

/* ---- fault 1: kill -9 at any step of a write ---- */

enum { STORM_NUMBERS = 64, WRITERS = 2, READERS = 2 };
#define DEATHS (SANITIZER_SLOW ? 6u : 30u)

struct storm {
  _Atomic bool end;
  _Atomic uint64_t version; /* the latest that a writer made */
  struct {
    _Atomic uint64_t hits, region_hits; /* so far */
  } readers[READERS];
};

static struct storm *storm; /* shared */

/* Puts, replaces, evicts (the cache is small), and clears now and then. */
static int write_storm(void *arg) {
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
  struct worker worker;

  (void)arg;
  CHILD_EXPECT(open_worker(&worker, NULL, 0));
  while (!atomic_load(&storm->end)) {
    uint64_t number = next_random(&random) % STORM_NUMBERS;
    int rc = stamped_put(worker.cache, &worker.value, number, atomic_fetch_add(&storm->version, 1));

    CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_NOT_STORED);
    if (next_random(&random) % 64 == 0) {
      rc = fcache_clear(worker.cache, NULL, NULL, NULL);
      CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_EUNAVAILABLE);
    }
  }
  CHILD_EXPECT(worker.lines <= 1);
  close_worker(&worker);
  return 0;
}

static int read_storm(void *arg) {
  unsigned reader = *(unsigned *)arg;
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
  struct worker worker;

  CHILD_EXPECT(open_worker(&worker, NULL, 0));
  while (!atomic_load(&storm->end)) {
    int rc = get(&worker, next_random(&random) % STORM_NUMBERS);

    CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_MISS);
    CHILD_EXPECT(rc != FCACHE_OK || worker.version < atomic_load(&storm->version));
    struct fcache_counters counters = library_counters(worker.cache);
    atomic_store(&storm->readers[reader].hits, counters.cache_hits);
    atomic_store(&storm->readers[reader].region_hits, counters.region_hits);
  }
  CHILD_EXPECT(worker.lines <= 1);
  close_worker(&worker);
  return 0;
}

/* Has each reader so many more hits of its own than before? */
struct mark {
  uint64_t before[READERS], more;
};

static void set_mark(struct mark *mark, uint64_t more) {
  for (unsigned i = 0; i < READERS; i++)
    mark->before[i] = storm->readers[i].region_hits;
  mark->more = more;
}

static bool has_passed(void *arg) {
  const struct mark *mark = arg;
  bool all = true;

  for (unsigned i = 0; i < READERS; i++)
    all = all && storm->readers[i].region_hits >= mark->before[i] + mark->more;
  return all;
}

START_TEST(a_daemon_killed_while_it_writes_leaves_no_torn_value) {
  pid_t pids[WRITERS + READERS];
  static unsigned readers[READERS];
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
  struct mark mark;

  storm = child_shared(sizeof *storm);
  harness_start(&served, "--max-bytes", "2M", NULL);
  for (unsigned i = 0; i < WRITERS; i++)
    pids[i] = child_start(write_storm, NULL, NULL);
  for (unsigned i = 0; i < READERS; i++) {
    readers[i] = i;
    pids[WRITERS + i] = child_start(read_storm, &readers[i], NULL);
  }
  for (unsigned i = 0; i <= DEATHS; i++) {
    set_mark(&mark, 1 + next_random(&random) % 500);
    ck_assert_msg(harness_wait_until(has_passed, &mark, TIMEOUT_MS),
                  "the readers did not come back to the region after %u deaths", i);
    if (i == DEATHS)
      break;
    harness_kill9(&served);
    harness_start(&served, "--max-bytes", "2M", NULL);
  }
  storm->end = true;
  for (unsigned i = 0; i < WRITERS + READERS; i++)
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 0);
}
END_TEST

/* ---- fault 2: kill -9 with an idle client ---- */

enum { IDLE_NUMBERS = 8 };

/* Connected, the region mapped, and with a hit of each number from there. */
static void open_idle(struct worker *worker) {
  put_all(0, IDLE_NUMBERS, 1);
  ck_assert(open_worker(worker, "idle", LIBRARY_PATIENT_MS));
  for (uint64_t i = 0; i < IDLE_NUMBERS; i++)
    ck_assert_int_eq(get(worker, i), FCACHE_OK);
  ck_assert_uint_eq(library_counters(worker->cache).region_hits, IDLE_NUMBERS);
}

/* Until it hits in the region of the daemon that now serves; what it gets is of there, version 2.
 */
static bool reads_the_new_region(void *arg) {
  struct worker *worker = arg;
  uint64_t before = library_counters(worker->cache).region_hits;

  for (uint64_t i = 0; i < IDLE_NUMBERS; i++) {
    int rc = get(worker, i);

    EXPECT(rc == FCACHE_MISS || (rc == FCACHE_OK && worker->version == 2));
  }
  return library_counters(worker->cache).region_hits == before + IDLE_NUMBERS;
}

START_TEST(an_idle_client_gets_nothing_from_a_dead_daemon) {
  struct worker worker;

  harness_start(&served, NULL);
  open_idle(&worker);
  harness_kill9(&served);
  for (uint64_t i = 0; i < IDLE_NUMBERS; i++)
    ck_assert_int_eq(get(&worker, i), FCACHE_MISS);
  harness_start(&served, NULL);
  put_all(0, IDLE_NUMBERS, 2);
  ck_assert(harness_wait_until(reads_the_new_region, &worker, TIMEOUT_MS));
  ck_assert_uint_eq(library_counters(worker.cache).reconnects, 1);
  ck_assert_uint_eq(worker.lines, 1);
  close_worker(&worker);
}
END_TEST

/* Its first look after the kill is when the next daemon was told to clear, and to store anew. */
START_TEST(nor_when_the_next_daemon_already_serves) {
  struct worker worker;
  struct fcache *cache;

  harness_start(&served, NULL);
  for (unsigned round = 0; round < 5; round++) {
    open_idle(&worker);
    harness_kill9(&served);
    harness_start(&served, NULL);
    cache = library_open(served.socket, "region", "clearer", 0);
    ck_assert_int_eq(fcache_clear(cache, NULL, NULL, NULL), FCACHE_OK);
    fcache_close(cache);
    if (round % 2 == 1)
      put_all(0, IDLE_NUMBERS, 2);
    for (uint64_t i = 0; i < IDLE_NUMBERS; i++)
      ck_assert(get(&worker, i) == FCACHE_MISS || worker.version == 2);
    if (round % 2 == 0)
      put_all(0, IDLE_NUMBERS, 2);
    ck_assert(harness_wait_until(reads_the_new_region, &worker, TIMEOUT_MS));
    close_worker(&worker);
  }
}
END_TEST

/* ---- fault 3: the daemon is stopped ---- */

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

/* The daemon goes on; then its figures and its trace have what `worker` did, but for the hits that
 * could not be recorded, which are counted. */
static void settle_stopped(struct worker *worker, const char *trace) {
  struct fcache_counters counters = library_counters(worker->cache);
  struct fcache *look = library_open(served.socket, "look", NULL, 0);
  struct expected seen = {.client = "stopped"};
  struct figures figures = {0};

  figures_take(look, &figures);
  uint64_t recorded = counters.cache_hits - counters.unrecorded;
  ck_assert_uint_eq(figures_count(&figures, "region", "cache_hits"), recorded);
  ck_assert_uint_eq(figures_count(&figures, NULL, "hits_unrecorded"), counters.unrecorded);
  ck_assert_uint_eq(figures_count(&figures, NULL, "dropped"), 0);
  fcache_close(look);
  close_worker(worker);
  ck_assert_int_eq(harness_stop(&served), 0);
  (void)trace_lines_read(trace, count_line, &seen); /* others have lines there too */
  ck_assert_uint_eq(seen.hits, recorded);
  ck_assert_uint_eq(seen.misses, figures_count(&figures, "region", "cache_misses"));
  figures_free(&figures);
}

static void hit_many(struct worker *worker, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    EXPECT_EQUAL(get(worker, i % STOP_NUMBERS), FCACHE_OK);
    EXPECT_EQUAL(worker->version, 1);
  }
}

static void stop_daemon(void) {
  ck_assert(harness_freeze(&served));
}

static void continue_daemon(void) {
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
}

START_TEST(a_stopped_daemon_s_entries_are_read_and_each_hit_is_recorded) {
  char trace[TRACE_PATH_SIZE];
  struct worker worker;
  unsigned n = 20000; /* fewer than a ring holds */

  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, "--max-clients", "8", NULL); /* large rings */
  put_all(0, STOP_NUMBERS, 1);
  ck_assert(open_worker(&worker, "stopped", DEADLINE_MS));
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

/* ... connected again; misses of numbers from `1000` on reach it. */
static bool is_connected_again(void *arg) {
  struct worker *worker = arg;

  EXPECT(ask(worker, 1000, 1));
  return fcache_connected(worker->cache);
}

/* The connection that missed its deadline stays open until the next one: what its ring holds, and
 * what was recorded there after, is not lost. */
START_TEST(a_miss_costs_one_deadline_and_hits_go_on) {
  char trace[TRACE_PATH_SIZE];
  struct worker worker;

  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, "--max-clients", "8", NULL); /* large rings */
  put_all(0, STOP_NUMBERS, 1);
  ck_assert(open_worker(&worker, "stopped", DEADLINE_MS));
  hit_many(&worker, 100);
  stop_daemon();
  ck_assert(ask(&worker, 100, 5));
  ck_assert_uint_eq(worker.computed, 1);
  ck_assert_uint_eq(worker.slow, 1);
  ck_assert_int_eq(stamped_put(worker.cache, &worker.value, 101, 5), FCACHE_NOT_STORED);
  for (uint64_t i = 0; i < 50; i++)
    ck_assert(ask(&worker, 100 + i, 5));
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

START_TEST(what_a_full_ring_cannot_take_is_counted) {
  char trace[TRACE_PATH_SIZE];
  struct worker worker;

  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, "--max-value", "64K", "--client-budget", "2200K", NULL);
  put_all(0, STOP_NUMBERS, 1);
  ck_assert(open_worker(&worker, "stopped", DEADLINE_MS));
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

/* What a killed daemon had not taken is in its client's counters, and the next daemon is told. */
START_TEST(hits_that_a_killed_daemon_did_not_take_are_told_to_the_next) {
  enum { TAKEN = 500, UNTAKEN = 3000 };
  struct worker worker;

  harness_start(&served, "--max-clients", "8", NULL); /* large rings */
  put_all(0, STOP_NUMBERS, 1);
  ck_assert(open_worker(&worker, "stopped", LIBRARY_PATIENT_MS));
  hit_many(&worker, TAKEN);
  ck_assert_uint_eq(library_figure(worker.cache, "cache_hits"), TAKEN); /* so it has taken them */
  stop_daemon();
  hit_many(&worker, UNTAKEN);
  harness_kill9(&served);
  ck_assert_int_eq(get(&worker, 0), FCACHE_MISS);
  harness_start(&served, NULL);
  ck_assert(harness_wait_until(is_connected_again, &worker, TIMEOUT_MS));
  uint64_t hits = library_counters(worker.cache).cache_hits;
  ck_assert_uint_eq(library_counters(worker.cache).unrecorded, UNTAKEN);
  ck_assert_uint_eq(library_figure(worker.cache, "hits_unrecorded"), UNTAKEN);
  ck_assert_uint_eq(library_figure(worker.cache, "cache_hits"), hits - TAKEN - UNTAKEN);
  ck_assert_uint_eq(library_counters(worker.cache).reconnects, 1);
  ck_assert_uint_eq(worker.lines, 1);
  close_worker(&worker);
}
END_TEST

/* ---- a region that is retired in mid-run ---- */

enum { BIG_NUMBER = 7, BIG_GETS = 200 }; /* some 100 to 250 KiB each: more than sockets hold */

/* A client that asks for more than it takes: the daemon, told to end, gives it two seconds. */
static void ask_for_too_much(struct raw *raw) {
  struct fcache_key key = stamped_key(BIG_NUMBER);
  struct fc_get request = {.key = {.op = fc_str_of(key.op), .view = fc_str_of(key.view)}};
  struct fc_buf buf = {0};

  memcpy(request.key.prompt.bytes, key.prompt.bytes, FC_HASH_SIZE);
  raw_open(raw, served.socket, "region");
  for (unsigned i = 0; i < BIG_GETS; i++)
    ck_assert_int_eq(fc_encode_get(&buf, raw->next_id++, &request), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
}

static bool misses(void *arg) {
  int rc = get(arg, 0);

  EXPECT(rc == FCACHE_MISS || (rc == FCACHE_OK && ((struct worker *)arg)->version == 1));
  return rc == FCACHE_MISS;
}

START_TEST(a_retired_region_serves_nothing_while_its_daemon_still_lives) {
  struct worker worker;
  struct raw raw;

  harness_start(&served, NULL);
  put_all(0, 8, 1);
  ck_assert(open_worker(&worker, "reader", LIBRARY_PATIENT_MS));
  ck_assert_int_eq(get(&worker, 0), FCACHE_OK);
  ask_for_too_much(&raw);
  pid_t pid = served.pid;
  ck_assert_int_eq(kill(pid, SIGTERM), 0);
  ck_assert(harness_wait_until(misses, &worker, TIMEOUT_MS));
  ck_assert_msg(!harness_is_gone(&pid), "the client had hits until the daemon had ended");
  ck_assert_int_eq(harness_stop(&served), 0);
  raw_close(&raw);
  harness_start(&served, NULL);
  put_all(0, IDLE_NUMBERS, 2);
  ck_assert(harness_wait_until(reads_the_new_region, &worker, TIMEOUT_MS));
  close_worker(&worker);
}
END_TEST

/* ---- fault 12: threads, each with its handle, during a change of region ---- */

enum { THREADS = 16, CHANGES = 6, THREAD_NUMBERS = 40 };

struct thread {
  struct worker worker;
  _Atomic uint64_t region_hits;
  _Atomic bool *end;
  const char *error; /* the first one; NULL: none */
};

static void *hit_on(void *arg) {
  struct thread *thread = arg;
  struct worker *worker = &thread->worker;

  for (uint64_t i = 0; !atomic_load(thread->end) && !thread->error; i++) {
    if (!ask(worker, i % THREAD_NUMBERS, 3) || worker->version != 3)
      thread->error = "a wrong value";
    atomic_store(&thread->region_hits, library_counters(worker->cache).region_hits);
  }
  struct fcache_counters counters = library_counters(worker->cache);
  if (counters.cache_misses != worker->computed || counters.region_hits > counters.cache_hits)
    thread->error = "counters that make no sense";
  return NULL;
}

struct all {
  struct thread *threads;
  uint64_t before[THREADS];
};

static bool all_hit_the_region(void *arg) {
  const struct all *all = arg;
  bool hit = true;

  for (unsigned i = 0; i < THREADS; i++)
    hit = hit && atomic_load(&all->threads[i].region_hits) > all->before[i] + 10;
  return hit;
}

START_TEST(threads_come_through_changes_of_region) {
  static const char *const sizes[] = {"64M", "3M", "128M", "5M", "16M"};
  static struct thread threads[THREADS];
  pthread_t ids[THREADS];
  _Atomic bool end = false;
  struct all all = {.threads = threads};

  harness_start(&served, "--max-bytes", "32M", NULL);
  for (unsigned i = 0; i < THREADS; i++) {
    threads[i] = (struct thread){.end = &end};
    ck_assert(open_worker(&threads[i].worker, NULL, 0));
    ck_assert_int_eq(pthread_create(&ids[i], NULL, hit_on, &threads[i]), 0);
  }
  for (unsigned change = 0; change <= CHANGES; change++) {
    for (unsigned i = 0; i < THREADS; i++)
      all.before[i] = atomic_load(&threads[i].region_hits);
    ck_assert_msg(harness_wait_until(all_hit_the_region, &all, TIMEOUT_MS),
                  "not all are back in the region after change %u", change);
    if (change == CHANGES)
      break;
    ck_assert_int_eq(harness_stop(&served), 0);
    harness_start(&served, "--max-bytes", sizes[change % 5], NULL);
  }
  atomic_store(&end, true);
  for (unsigned i = 0; i < THREADS; i++) {
    ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
    ck_assert_msg(!threads[i].error, "%s", threads[i].error);
    ck_assert_uint_le(threads[i].worker.lines, 1);
    close_worker(&threads[i].worker);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("the region's daemon");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 120);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, a_daemon_killed_while_it_writes_leaves_no_torn_value);
  tcase_add_test(tcase, an_idle_client_gets_nothing_from_a_dead_daemon);
  tcase_add_test(tcase, nor_when_the_next_daemon_already_serves);
  tcase_add_test(tcase, a_stopped_daemon_s_entries_are_read_and_each_hit_is_recorded);
  tcase_add_test(tcase, a_miss_costs_one_deadline_and_hits_go_on);
  tcase_add_test(tcase, what_a_full_ring_cannot_take_is_counted);
  tcase_add_test(tcase, hits_that_a_killed_daemon_did_not_take_are_told_to_the_next);
  tcase_add_test(tcase, a_retired_region_serves_nothing_while_its_daemon_still_lives);
  tcase_add_test(tcase, threads_come_through_changes_of_region);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
