/* Clients that read the region of a daemon that is killed or replaced, or whose region is retired.
 * They never get a wrong or old value, and each uses a region again by itself. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/region_worker.h"
#include "tests/support/sanitizer.h"
#include "tests/support/stamped.h"

#define TIMEOUT_MS 60000u

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

enum { STORM_NUMBERS = 64, WRITERS = 2, READERS = 2 };

#define DEATHS (SANITIZER_SLOW ? 6u : 30u)

struct storm {
  _Atomic bool end;
  _Atomic uint64_t version; /* the latest version of a writer */
  struct {
    _Atomic uint64_t hits, region_hits; /* so far */
  } readers[READERS];
};

static struct storm *storm; /* shared */

/* Puts, replaces, evicts (the cache is small), and clears now and then. */
static int write_storm(void *arg) {
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
  struct region_worker worker;

  (void)arg;
  CHILD_EXPECT(region_worker_open(&worker, served.socket, NULL, 0));
  while (!atomic_load(&storm->end)) {
    uint64_t number = region_worker_random(&random) % STORM_NUMBERS;
    int rc = stamped_put(worker.cache, &worker.value, number, atomic_fetch_add(&storm->version, 1));

    CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_NOT_STORED);
    if (region_worker_random(&random) % 64 == 0) {
      rc = fcache_clear(worker.cache, NULL, NULL, NULL);
      CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_EUNAVAILABLE);
    }
  }
  CHILD_EXPECT(worker.lines <= 1);
  region_worker_close(&worker);
  return 0;
}

static int read_storm(void *arg) {
  unsigned reader = *(unsigned *)arg;
  uint64_t random = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
  struct region_worker worker;

  CHILD_EXPECT(region_worker_open(&worker, served.socket, NULL, 0));
  while (!atomic_load(&storm->end)) {
    int rc = region_worker_get(&worker, region_worker_random(&random) % STORM_NUMBERS);

    CHILD_EXPECT(rc == FCACHE_OK || rc == FCACHE_MISS);
    CHILD_EXPECT(rc != FCACHE_OK || worker.version < atomic_load(&storm->version));
    struct fcache_counters counters = library_counters(worker.cache);
    atomic_store(&storm->readers[reader].hits, counters.cache_hits);
    atomic_store(&storm->readers[reader].region_hits, counters.region_hits);
  }
  CHILD_EXPECT(worker.lines <= 1);
  region_worker_close(&worker);
  return 0;
}

/* Returns whether each reader served that many more hits than before. */
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

START_TEST(daemon_killed_while_writing_no_torn_value) {
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
    set_mark(&mark, 1 + region_worker_random(&random) % 500);
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

enum { IDLE_NUMBERS = 8 };

/* Opens a handle that is connected and has read each number from the region. */
static void open_idle(struct region_worker *worker) {
  region_worker_put(served.socket, 0, IDLE_NUMBERS, 1);
  ck_assert(region_worker_open(worker, served.socket, "idle", LIBRARY_PATIENT_MS));
  for (uint64_t i = 0; i < IDLE_NUMBERS; i++)
    ck_assert_int_eq(region_worker_get(worker, i), FCACHE_OK);
  ck_assert_uint_eq(library_counters(worker->cache).region_hits, IDLE_NUMBERS);
}

/* Returns whether all hits came from the region of the current daemon, whose values have version 2.
 */
static bool reads_the_new_region(void *arg) {
  struct region_worker *worker = arg;
  uint64_t before = library_counters(worker->cache).region_hits;

  for (uint64_t i = 0; i < IDLE_NUMBERS; i++) {
    int rc = region_worker_get(worker, i);

    EXPECT(rc == FCACHE_MISS || (rc == FCACHE_OK && worker->version == 2));
  }
  return library_counters(worker->cache).region_hits == before + IDLE_NUMBERS;
}

START_TEST(daemon_killed_idle_client_misses) {
  struct region_worker worker;

  harness_start(&served, NULL);
  open_idle(&worker);
  harness_kill9(&served);
  for (uint64_t i = 0; i < IDLE_NUMBERS; i++)
    ck_assert_int_eq(region_worker_get(&worker, i), FCACHE_MISS);
  harness_start(&served, NULL);
  region_worker_put(served.socket, 0, IDLE_NUMBERS, 2);
  ck_assert(harness_wait_until(reads_the_new_region, &worker, TIMEOUT_MS));
  ck_assert_uint_eq(library_counters(worker.cache).reconnects, 1);
  ck_assert_uint_eq(worker.lines, 1);
  region_worker_close(&worker);
}
END_TEST

/* The client looks up first after the next daemon has cleared and stored new values. */
START_TEST(daemon_replaced_idle_client_reads_new_values) {
  struct region_worker worker;
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
      region_worker_put(served.socket, 0, IDLE_NUMBERS, 2);
    for (uint64_t i = 0; i < IDLE_NUMBERS; i++)
      ck_assert(region_worker_get(&worker, i) == FCACHE_MISS || worker.version == 2);
    if (round % 2 == 0)
      region_worker_put(served.socket, 0, IDLE_NUMBERS, 2);
    ck_assert(harness_wait_until(reads_the_new_region, &worker, TIMEOUT_MS));
    region_worker_close(&worker);
  }
}
END_TEST

enum { BIG_NUMBER = 7, BIG_GETS = 200 }; /* some 100 to 250 KiB each: more than sockets hold */

/* Requests more than it reads. A daemon that stops waits two seconds for such a client. */
static void request_too_much(struct raw *raw) {
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
  int rc = region_worker_get(arg, 0);

  EXPECT(rc == FCACHE_MISS || (rc == FCACHE_OK && ((struct region_worker *)arg)->version == 1));
  return rc == FCACHE_MISS;
}

START_TEST(region_retired_daemon_alive_misses) {
  struct region_worker worker;
  struct raw raw;

  harness_start(&served, NULL);
  region_worker_put(served.socket, 0, 8, 1);
  ck_assert(region_worker_open(&worker, served.socket, "reader", LIBRARY_PATIENT_MS));
  ck_assert_int_eq(region_worker_get(&worker, 0), FCACHE_OK);
  request_too_much(&raw);
  pid_t pid = served.pid;
  ck_assert_int_eq(kill(pid, SIGTERM), 0);
  ck_assert(harness_wait_until(misses, &worker, TIMEOUT_MS));
  ck_assert_msg(!harness_is_gone(&pid), "the client had hits until the daemon had ended");
  ck_assert_int_eq(harness_stop(&served), 0);
  raw_close(&raw);
  harness_start(&served, NULL);
  region_worker_put(served.socket, 0, IDLE_NUMBERS, 2);
  ck_assert(harness_wait_until(reads_the_new_region, &worker, TIMEOUT_MS));
  region_worker_close(&worker);
}
END_TEST

enum { THREADS = 16, CHANGES = 6, THREAD_NUMBERS = 40 };

struct thread {
  struct region_worker worker;
  _Atomic uint64_t region_hits;
  _Atomic bool *end;
  const char *error; /* the first one; NULL: none */
};

static void *hit_on(void *arg) {
  struct thread *thread = arg;
  struct region_worker *worker = &thread->worker;

  for (uint64_t i = 0; !atomic_load(thread->end) && !thread->error; i++) {
    if (!region_worker_cached(worker, i % THREAD_NUMBERS, 3) || worker->version != 3)
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

START_TEST(threads_region_replaced_correct_values) {
  static const char *const sizes[] = {"64M", "3M", "128M", "5M", "16M"};
  static struct thread threads[THREADS];
  pthread_t ids[THREADS];
  _Atomic bool end = false;
  struct all all = {.threads = threads};

  harness_start(&served, "--max-bytes", "32M", NULL);
  for (unsigned i = 0; i < THREADS; i++) {
    threads[i] = (struct thread){.end = &end};
    ck_assert(region_worker_open(&threads[i].worker, served.socket, NULL, 0));
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
    region_worker_close(&threads[i].worker);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("replaced daemons");
  TCase *tcase = tcase_create("replaced daemons");

  tcase_set_timeout(tcase, 120);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, daemon_killed_while_writing_no_torn_value);
  tcase_add_test(tcase, daemon_killed_idle_client_misses);
  tcase_add_test(tcase, daemon_replaced_idle_client_reads_new_values);
  tcase_add_test(tcase, region_retired_daemon_alive_misses);
  tcase_add_test(tcase, threads_region_replaced_correct_values);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
