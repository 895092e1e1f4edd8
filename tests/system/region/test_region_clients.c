/* Hits that clients serve themselves: faults 6 (a client is killed after any hit), 7 (a full ring),
 * 10 (fork, also by raw clone) and 11 (the application closes the library's descriptors, and uses
 * their numbers). In the end the daemon has counted and traced each hit once, in its order. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"
#include "tests/support/sequence.h"
#include "tests/support/stamped.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 60000u
#define SLOWER (SANITIZER_SLOW ? 20u : 1u) /* divisor of the operations in a sanitizer build */

/* With these options the first ring has 1,024 slots, and others 512, the minimum. */
#define SMALL_RINGS "--max-value", "64K", "--client-budget", "2200K"

static struct daemon served;
static char trace[TRACE_PATH_SIZE];
static struct fcache *look; /* a tool's handle, in a namespace of its own */

static void open_look(void) {
  look = library_open(served.socket, "look", "look", 0);
  struct fcache *cache = library_open(served.socket, "sequence", "prepare", 0);
  sequence_prepare(cache);
  fcache_close(cache);
}

static void start(void) {
  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, NULL);
  open_look();
}

static void start_small_rings(void) {
  trace_in_memory(trace);
  harness_start(&served, "--trace", trace, SMALL_RINGS, NULL);
  open_look();
}

static void start_small_rings_untraced(void) {
  harness_start(&served, SMALL_RINGS, NULL);
  open_look();
}

static void stop(void) {
  fcache_close(look);
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- what must hold in the end ---- */

static bool only_look_is_left(void *arg) {
  (void)arg;
  return library_stat(look, "clients") == 1;
}

/* Reads each client's lookups from the trace, after all clients have left and all lines are
 * written. The daemon's counters must equal them. */
static void settle(uint64_t lookups[SEQUENCE_CLIENTS_MAX]) {
  struct library_stats stats = {0};
  uint64_t hits = 0, misses = 0;

  ck_assert(harness_wait_until(only_look_is_left, NULL, TIMEOUT_MS));
  library_stats_read(look, &stats);
  ck_assert_int_eq(harness_stop(&served), 0); /* the stop writes the trace to its end */
  sequence_read(trace, lookups);
  for (unsigned client = 0; client < SEQUENCE_CLIENTS_MAX; client++) {
    hits += sequence_hits(lookups[client]);
    misses += sequence_misses(lookups[client]);
  }
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "trace_lost"), 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_hits"), hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_misses"), misses);
  ck_assert_uint_eq(library_stats_count(&stats, "sequence", "cache_hits"), hits);
  ck_assert_uint_eq(library_stats_count(&stats, "sequence", "forward_passes"), misses);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_unrecorded"), 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "dropped"), 0);
  ck_assert_uint_gt(library_stats_count(&stats, NULL, "hits_region"), hits / 2);
  library_stats_free(&stats);
}

/* ---- fault 6: kill -9 of a client after any hit ---- */

struct job {
  unsigned client;
  uint64_t lookups;
};

/* The progress of a client, in shared memory: lookups that it began, and that ended. They differ by
 * one at most, so at most one lookup of a killed client is uncertain. */
struct progress {
  _Atomic uint64_t begun, ended, region_hits;
};

static struct progress *progress; /* of each client, shared */

/* Lowers the priority below the daemon's. A trace writer that starves for a second counts as
 * blocked, and lines are lost, which this test does not allow. */
static bool stand_back(void) {
  errno = 0;
  return nice(5) != -1 || errno == 0;
}

static int look_up(struct fcache *cache, const struct job *job) {
  struct fcache_value value = {0};
  struct progress *mine = &progress[job->client];

  CHILD_EXPECT(stand_back());
  for (uint64_t i = 0; i < job->lookups; i++) {
    atomic_store(&mine->begun, i + 1);
    CHILD_EXPECT(sequence_step(cache, job->client, i, &value));
    atomic_store(&mine->ended, i + 1);
  }
  atomic_store(&mine->region_hits, library_counters(cache).region_hits);
  CHILD_EXPECT(library_counters(cache).degraded == 0);
  CHILD_EXPECT(library_counters(cache).unrecorded == 0);
  CHILD_EXPECT(library_counters(cache).reconnects == 0);
  fcache_value_free(&value);
  return 0;
}

static int work(void *arg) {
  const struct job *job = arg;
  struct fcache *cache = sequence_open(served.socket, job->client);

  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(look_up(cache, job) == 0);
  fcache_close(cache);
  return 0;
}

static int work_and_be_killed(void *arg) {
  const struct job *job = arg;
  struct fcache *cache = sequence_open(served.socket, job->client);

  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(look_up(cache, job) == 0);
  (void)kill(getpid(), SIGKILL);
  return 1;
}

/* Another client runs at the same time, and is killed at the end. */
static void kill_after(const uint64_t *numbers, unsigned n) {
  static uint64_t lookups[SEQUENCE_CLIENTS_MAX];
  struct job beside = {.client = n, .lookups = UINT64_MAX};

  progress = child_shared((n + 1) * sizeof *progress);
  pid_t other = child_start(work, &beside, NULL);
  for (unsigned client = 0; client < n; client++) {
    struct job job = {.client = client, .lookups = numbers[client]};

    ck_assert_int_eq(harness_wait(child_start(work_and_be_killed, &job, NULL), TIMEOUT_MS),
                     128 + SIGKILL);
  }
  ck_assert_int_eq(kill(other, SIGKILL), 0);
  ck_assert_int_eq(harness_wait(other, TIMEOUT_MS), 128 + SIGKILL);
  settle(lookups);
  for (unsigned client = 0; client < n; client++)
    ck_assert_uint_eq(lookups[client], numbers[client]);
  ck_assert_uint_ge(lookups[n], progress[n].ended);
  ck_assert_uint_le(lookups[n], progress[n].begun);
}

START_TEST(client_killed_hits_counted_and_traced_once) {
  static const uint64_t numbers[] = {1, 2, 3, 31, 32, 33, 511, 512, 513, 1023, 1024, 1025, 5000};

  kill_after(numbers, sizeof numbers / sizeof numbers[0]);
}
END_TEST

START_TEST(client_killed_more_hits_than_ring_counted_once) {
  static const uint64_t numbers[] = {32767, 32768, 32769, 100000};
  uint64_t scaled[sizeof numbers / sizeof numbers[0]];

  for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    scaled[i] = SANITIZER_SLOW ? numbers[i] / 4 : numbers[i];
  kill_after(scaled, sizeof numbers / sizeof numbers[0]);
}
END_TEST

/* Also if a child of the client lives on, with its socket open and its ring mapped. */
struct orphan {
  struct job job;
  int gate; /* the child lives until the other end is closed */
  int other_end;
};

static int be_killed_with_a_child(void *arg) {
  const struct orphan *orphan = arg;
  struct fcache *cache = sequence_open(served.socket, orphan->job.client);
  char byte;

  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(close(orphan->other_end) == 0);
  CHILD_EXPECT(look_up(cache, &orphan->job) == 0);
  if (fork() != 0)
    (void)kill(getpid(), SIGKILL);
  CHILD_EXPECT(read(orphan->gate, &byte, 1) == 0); /* only the end arrives */
  return 0;
}

START_TEST(client_killed_child_alive_hits_counted) {
  static uint64_t lookups[SEQUENCE_CLIENTS_MAX];
  struct orphan orphan = {.job = {.client = 0, .lookups = 700}};
  int gate[2];

  progress = child_shared(sizeof *progress);
  ck_assert_int_eq(pipe(gate), 0);
  orphan.gate = gate[0];
  orphan.other_end = gate[1];
  ck_assert_int_eq(harness_wait(child_start(be_killed_with_a_child, &orphan, NULL), TIMEOUT_MS),
                   128 + SIGKILL);
  settle(lookups);
  ck_assert_uint_eq(lookups[0], orphan.job.lookups);
  (void)close(gate[0]);
  (void)close(gate[1]);
}
END_TEST

/* ---- many clients, some of them killed at random ---- */

enum { CLIENTS = 8, KILLED = 5 };

static bool has_begun(void *arg) {
  const uint64_t *wanted = arg;

  return progress[wanted[0]].ended >= wanted[1];
}

/* Clients 0 to KILLED-1 run until they are killed, each later than the one before. The others end
 * by themselves. Returns when all have ended. */
static void run_many(const struct job jobs[CLIENTS], uint64_t random) {
  pid_t pids[CLIENTS];

  for (unsigned i = 0; i < CLIENTS; i++) {
    struct job job = jobs[i];
    pids[i] = child_start(work, &job, NULL);
  }
  for (unsigned i = 0; i < KILLED; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint64_t wanted[] = {i, 1 + (random >> 40) % (20000u / SLOWER)};

    ck_assert(harness_wait_until(has_begun, wanted, TIMEOUT_MS));
    ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 128 + SIGKILL);
  }
  for (unsigned i = KILLED; i < CLIENTS; i++)
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 0);
}

START_TEST(clients_killed_at_random_hits_counted_once) {
  static uint64_t lookups[SEQUENCE_CLIENTS_MAX];
  struct job jobs[CLIENTS];

  progress = child_shared(CLIENTS * sizeof *progress);
  for (unsigned i = 0; i < CLIENTS; i++)
    jobs[i] = (struct job){.client = i, .lookups = i < KILLED ? UINT64_MAX : 40000u / SLOWER};
  run_many(jobs, (uint64_t)getpid());
  settle(lookups);
  for (unsigned i = 0; i < CLIENTS; i++) {
    ck_assert_uint_ge(lookups[i], progress[i].ended);
    ck_assert_uint_le(lookups[i], progress[i].begun);
  }
}
END_TEST

/* ---- fault 7: a full ring ---- */

/* Reads as fast as possible: only hits, of keys that sequence_prepare put. */
static uint64_t race(uint64_t n) {
  struct fcache *cache = library_open(served.socket, "sequence", "racer", 0);
  struct fcache_value value = {0};
  uint64_t version;

  ck_assert(stand_back());
  for (uint64_t i = 0; i < n; i++) {
    struct fcache_key key = stamped_key(i % SEQUENCE_KEYS * 8);

    EXPECT_EQUAL(fcache_get(cache, &key, 0, &value), FCACHE_OK);
    if (i % 64 == 0) /* each clock read would slow it down */
      EXPECT(stamped_check(&value, i % SEQUENCE_KEYS * 8, &version));
  }
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, n);
  ck_assert_uint_eq(counters.unrecorded, 0);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_uint_eq(counters.reconnects, 0);
  ck_assert_uint_gt(counters.region_hits, n / 2);
  fcache_value_free(&value);
  fcache_close(cache);
  return counters.region_hits;
}

START_TEST(ring_full_no_hit_lost) {
  uint64_t n = 1500000u / SLOWER;
  uint64_t region_hits = race(n);
  struct library_stats stats = {0};

  ck_assert(harness_wait_until(only_look_is_left, NULL, TIMEOUT_MS));
  library_stats_read(look, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_hits"), n);
  ck_assert_uint_eq(library_stats_count(&stats, "sequence", "cache_hits"), n);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_region"), region_hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_socket"), n - region_hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_unrecorded"), 0);
  library_stats_free(&stats);
}
END_TEST

/* Hits produce lines faster than the trace's thread writes them: the full ring slows the reader
 * down. */
START_TEST(hits_at_full_speed_all_traced) {
  uint64_t n = 400000u / SLOWER;

  (void)race(n);
  ck_assert(harness_wait_until(only_look_is_left, NULL, TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(look, "cache_hits"), n);
  ck_assert_uint_eq(library_stat(look, "trace_lost"), 0);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_uint_eq(trace_lines_read(trace, NULL, NULL), n);
}
END_TEST

struct consumer {
  char path[HARNESS_PATH_SIZE + 8];
  size_t lines;
};

/* Parsing a line takes the test many times as long as making one takes the daemon. */
static void *consume(void *arg) {
  struct consumer *consumer = arg;

  consumer->lines = trace_lines_read(consumer->path, NULL, NULL);
  return NULL;
}

START_TEST(trace_read_slowly_no_hit_lost) {
  struct consumer consumer;
  char dir[HARNESS_PATH_SIZE];
  pthread_t thread;
  uint64_t n = 150000u / SLOWER;

  harness_make_dir(dir);
  (void)snprintf(consumer.path, sizeof consumer.path, "%s/fifo", dir);
  ck_assert_int_eq(mkfifo(consumer.path, 0600), 0);
  int fd = open(consumer.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* else the daemon cannot */
  ck_assert_int_ge(fd, 0);
  ck_assert_int_gt(fcntl(fd, F_SETPIPE_SZ, 1 << 20), 0);
  harness_start(&served, "--trace", consumer.path, SMALL_RINGS, NULL);
  open_look();
  ck_assert_int_eq(pthread_create(&thread, NULL, consume, &consumer), 0);
  (void)race(n);
  ck_assert(harness_wait_until(only_look_is_left, NULL, TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(look, "cache_hits"), n);
  /* On a busy machine, a trace reader that starves for 50 ms counts as blocked. The lines lost then
   * are counted. */
  uint64_t lost = library_stat(look, "trace_lost");
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_uint_eq(consumer.lines + lost, n);
  (void)close(fd);
}
END_TEST

/* ---- fault 10: fork, also by raw clone ---- */

static pid_t fork_by_clone(void) {
  (void)fflush(NULL);
  return (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, 0UL);
}

static pid_t fork_by_fork(void) {
  (void)fflush(NULL);
  return fork();
}

/* Uses the handle in parent and child. The client's name contains the process id, so the daemon
 * distinguishes them. Each has its own key. Returns the number of right lookups. */
static unsigned hit_on(struct fcache *cache, uint64_t number, unsigned n) {
  struct fcache_key key = stamped_key(number);
  struct fcache_value value = {0};
  uint64_t version;
  unsigned right = 0;

  for (unsigned i = 0; i < n; i++)
    right += fcache_get(cache, &key, 0, &value) == FCACHE_OK &&
             stamped_check(&value, number, &version) && version == number;
  fcache_value_free(&value);
  return right;
}

enum { CHILD_HITS = 2000, PARENT_HITS = 3000, CHILD_NUMBER = 8, PARENT_NUMBER = 16 };

static int be_the_child(struct fcache *cache) {
  struct fcache_counters counters;

  CHILD_EXPECT(library_counters(cache).cache_hits == 0);
  CHILD_EXPECT(hit_on(cache, CHILD_NUMBER, CHILD_HITS) == CHILD_HITS);
  counters = library_counters(cache);
  CHILD_EXPECT(fcache_connected(cache));
  CHILD_EXPECT(counters.cache_hits == CHILD_HITS && counters.cache_misses == 0);
  CHILD_EXPECT(counters.region_hits >= CHILD_HITS - 1); /* its first lookup may be a message */
  CHILD_EXPECT(counters.degraded == 0 && counters.reconnects == 0 && counters.unrecorded == 0);
  return 0;
}

struct tally {
  char parent[32], child[32];
  unsigned parent_lines, child_lines;
};

static void tally_line(void *arg, const struct trace_line *line) {
  struct tally *tally = arg;

  EXPECT(line->hit);
  if (strcmp(line->client + strlen(line->client) - strlen(tally->child), tally->child) == 0)
    tally->child_lines++;
  else if (strcmp(line->client + strlen(line->client) - strlen(tally->parent), tally->parent) == 0)
    tally->parent_lines++;
  else
    ck_abort_msg("a line of a client %s, which is neither parent nor child", line->client);
}

/* The child does not close the handle. */
static void work_after(pid_t (*fork_by)(void)) {
  struct fcache *cache = library_open(served.socket, "forked", NULL, 0);
  struct fcache_value value = {0};
  struct tally tally = {0};

  ck_assert_int_eq(stamped_put(cache, &value, CHILD_NUMBER, CHILD_NUMBER), FCACHE_OK);
  ck_assert_int_eq(stamped_put(cache, &value, PARENT_NUMBER, PARENT_NUMBER), FCACHE_OK);
  fcache_value_free(&value);
  ck_assert_uint_eq(hit_on(cache, PARENT_NUMBER, 500), 500); /* in the ring when it forks */
  pid_t child = fork_by();
  if (child == 0)
    _exit(be_the_child(cache));
  ck_assert_int_gt(child, 0);
  ck_assert_uint_eq(hit_on(cache, PARENT_NUMBER, PARENT_HITS - 500), PARENT_HITS - 500);
  ck_assert_int_eq(harness_wait(child, TIMEOUT_MS), 0);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, PARENT_HITS);
  ck_assert_uint_eq(counters.region_hits, PARENT_HITS);
  ck_assert_uint_eq(counters.degraded, 0);
  ck_assert_uint_eq(counters.reconnects, 0);
  fcache_close(cache);
  ck_assert(harness_wait_until(only_look_is_left, NULL, TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(look, "cache_hits"), PARENT_HITS + CHILD_HITS);
  ck_assert_uint_eq(library_stat(look, "dropped"), 0);
  ck_assert_int_eq(harness_stop(&served), 0);
  (void)snprintf(tally.parent, sizeof tally.parent, "-%d", (int)getpid());
  (void)snprintf(tally.child, sizeof tally.child, "-%d", (int)child);
  (void)trace_lines_read(trace, tally_line, &tally); /* the sum of both */
  ck_assert_uint_eq(tally.parent_lines, PARENT_HITS);
  ck_assert_uint_eq(tally.child_lines, CHILD_HITS);
}

START_TEST(fork_child_has_own_ring) {
  work_after(fork_by_fork);
}
END_TEST

START_TEST(raw_clone_child_has_own_ring) {
  work_after(fork_by_clone);
}
END_TEST

/* A child that never uses the handle, and outlives the parent's use of it, changes nothing. */
START_TEST(fork_child_idle_holds_no_region) {
  struct fcache *cache = library_open(served.socket, "forked", NULL, 0);
  struct fcache_value value = {0};
  int gate[2];
  char byte;

  ck_assert_int_eq(stamped_put(cache, &value, PARENT_NUMBER, PARENT_NUMBER), FCACHE_OK);
  fcache_value_free(&value);
  ck_assert_int_eq(pipe(gate), 0);
  pid_t child = fork_by_clone();
  if (child == 0) {
    (void)close(gate[1]);
    _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
  }
  ck_assert_int_gt(child, 0);
  ck_assert_uint_eq(hit_on(cache, PARENT_NUMBER, 1000), 1000);
  fcache_close(cache);
  /* The connection stays open, since the child has the socket. The daemon still reads its ring. */
  ck_assert_uint_eq(library_stat(look, "cache_hits"), 1000);
  (void)close(gate[0]);
  (void)close(gate[1]);
  ck_assert_int_eq(harness_wait(child, TIMEOUT_MS), 0);
  ck_assert(harness_wait_until(only_look_is_left, NULL, TIMEOUT_MS));
  ck_assert_uint_eq(library_stat(look, "cache_hits"), 1000);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("clients of the region");
  TCase *traced = tcase_create("traced"), *small = tcase_create("small rings"),
        *untraced = tcase_create("untraced"), *own = tcase_create("its own daemon");

  tcase_set_timeout(traced, 120);
  tcase_add_checked_fixture(traced, start, stop);
  tcase_add_test(traced, client_killed_more_hits_than_ring_counted_once);
  tcase_add_test(traced, client_killed_child_alive_hits_counted);
  tcase_add_test(traced, clients_killed_at_random_hits_counted_once);
  tcase_add_test(traced, fork_child_has_own_ring);
  tcase_add_test(traced, raw_clone_child_has_own_ring);
  tcase_add_test(traced, fork_child_idle_holds_no_region);
  suite_add_tcase(suite, traced);
  tcase_set_timeout(small, 120);
  tcase_add_checked_fixture(small, start_small_rings, stop);
  tcase_add_test(small, client_killed_hits_counted_and_traced_once);
  tcase_add_test(small, clients_killed_at_random_hits_counted_once);
  tcase_add_test(small, hits_at_full_speed_all_traced);
  suite_add_tcase(suite, small);
  tcase_set_timeout(untraced, 120);
  tcase_add_checked_fixture(untraced, start_small_rings_untraced, stop);
  tcase_add_test(untraced, ring_full_no_hit_lost);
  suite_add_tcase(suite, untraced);
  tcase_set_timeout(own, 120);
  tcase_add_checked_fixture(own, NULL, stop);
  tcase_add_test(own, trace_read_slowly_no_hit_lost);
  suite_add_tcase(suite, own);
  return harness_main(suite);
}
