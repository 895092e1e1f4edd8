/* Lines of the trace for hits that nobody heard of when their clients were killed: all
 * come, also where they are more than the trace may have in memory, and also where the
 * daemon ends meanwhile. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/trace_lines.h"

#define CLIENTS 2u
#define HITS 16000u /* of each; fewer than a ring has slots */
#define KEYS 8u     /* hit in turns */
#define TIMEOUT_MS 60000u

static struct daemon served;
static char folder[HARNESS_PATH_SIZE];
static char trace[HARNESS_PATH_SIZE + 16];
static char long_name[201]; /* makes lines of 700 bytes: 11 MB for each client */

/* What the clients share with the test. */
static struct shared {
  atomic_uint ready, go, done; /* clients; not 0: may begin; clients */
} * shared;

static void set_up(void) {
  harness_folder(folder);
  (void)snprintf(trace, sizeof trace, "%s/trace", folder);
  memset(long_name, 'n', sizeof long_name - 1);
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(shared, MAP_FAILED);
  /* Rings of 16,384 slots at the least. */
  harness_start(&served, "--trace", trace, "--client-budget", "64M", "--max-clients", "8", NULL);
}

static void tear_down(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_int_eq(munmap(shared, sizeof *shared), 0);
}

static struct fcache_key key_of(unsigned n) {
  return library_key(long_name, long_name, "prompt", n % KEYS);
}

static bool may_go(void *unused) {
  (void)unused;
  return atomic_load(&shared->go) != 0;
}

/* A client: hits, in order, and then waits for its end. */
static int hit_and_wait(void *name) {
  struct fcache_value value = {0};
  struct fcache *cache = library_open(served.socket, "traced", name, 0);

  atomic_fetch_add(&shared->ready, 1);
  CHILD_EXPECT(harness_wait_until(may_go, NULL, TIMEOUT_MS));
  for (unsigned i = 0; i < HITS; i++) {
    struct fcache_key key = key_of(i);
    CHILD_EXPECT(fcache_get(cache, &key, 0, &value) == FCACHE_OK);
  }
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  CHILD_EXPECT(counters.region_hits == HITS);
  atomic_fetch_add(&shared->done, 1);
  for (;;)
    (void)pause();
}

static bool all_are_ready(void *arg) {
  (void)arg;
  return atomic_load(&shared->ready) == CLIENTS;
}

static bool all_are_done(void *arg) {
  (void)arg;
  return atomic_load(&shared->done) == CLIENTS;
}

/* While the daemon stands still, so that it knows of none of the hits, nor of the deaths. */
static void hit_and_die(void) {
  static char names[CLIENTS][2] = {"0", "1"};
  pid_t clients[CLIENTS];

  for (unsigned i = 0; i < CLIENTS; i++)
    clients[i] = child_start(hit_and_wait, names[i], NULL);
  ck_assert(harness_wait_until(all_are_ready, NULL, TIMEOUT_MS));
  ck_assert_int_eq(kill(served.pid, SIGSTOP), 0);
  atomic_store(&shared->go, 1);
  ck_assert(harness_wait_until(all_are_done, NULL, TIMEOUT_MS));
  for (unsigned i = 0; i < CLIENTS; i++) {
    ck_assert_int_eq(kill(clients[i], SIGKILL), 0);
    ck_assert_int_eq(harness_wait(clients[i], TIMEOUT_MS), 128 + SIGKILL);
  }
}

static void assert_next(void *arg, const struct trace_line *line) {
  unsigned *next = arg;

  if (!line->hit)
    return;
  unsigned client = (unsigned)(line->client[0] - '0');
  ck_assert_uint_lt(client, CLIENTS);
  ck_assert_int_eq(line->top_k, next[client] % KEYS);
  next[client]++;
}

/* Each client's lines, each once, in order. */
static void assert_all_lines(void) {
  unsigned next[CLIENTS] = {0};

  ck_assert_uint_eq(trace_lines_read(trace, assert_next, next), CLIENTS * HITS + KEYS);
  for (unsigned i = 0; i < CLIENTS; i++)
    ck_assert_uint_eq(next[i], HITS);
}

static struct fcache *open_and_fill(void) {
  struct fcache *cache = library_open(served.socket, "traced", "filler", 0);

  for (unsigned i = 0; i < KEYS; i++) {
    struct fcache_key key = key_of(i);
    ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 1, 0), FCACHE_OK);
  }
  return cache;
}

static bool has_all_lines(void *cache) {
  return library_figure(cache, "trace_lines") == CLIENTS * HITS + KEYS;
}

START_TEST(killed_clients_leave_no_line_out) {
  struct fcache *cache = open_and_fill();

  hit_and_die();
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  ck_assert(harness_wait_until(has_all_lines, cache, TIMEOUT_MS));
  ck_assert_uint_eq(library_figure(cache, "cache_hits"), CLIENTS * HITS);
  ck_assert_uint_eq(library_figure(cache, "trace_lost"), 0);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  assert_all_lines();
}
END_TEST

START_TEST(nor_does_the_daemon_that_ends) {
  fcache_close(open_and_fill());
  hit_and_die();
  ck_assert_int_eq(kill(served.pid, SIGTERM), 0);
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  ck_assert_int_eq(harness_stop(&served), 0);
  assert_all_lines();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trace_owed");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 120);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, killed_clients_leave_no_line_out);
  tcase_add_test(tcase, nor_does_the_daemon_that_ends);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
