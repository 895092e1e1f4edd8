/* Counts of sharing by clients and daemon: several processes with threads and forked children do
 * random calls. Each value contains the process that computed it, so a client knows whether a hit
 * was shared. The sums of the clients' counts equal the daemon's. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"

#define PROCESSES 4u
#define THREADS 3u /* of each, with a handle of its own */
#define ROUNDS (SANITIZER_SLOW ? 40u : 150u)
#define KEYS 6u /* of a round; each round has its own */
#define BATCH 4u
#define COMPUTE_NS 200000u

/* Sums of all clients, in shared memory. */
struct sums {
  _Atomic uint64_t hits, misses, shared_hits, coalesced_hits, failures;
};
static struct sums *sums;
static struct daemon served;

struct value {
  uint64_t process, key;
};

struct client {
  struct fcache *cache;
  uint64_t random;
  bool computed[BATCH]; /* the lookups that missed */
  uint32_t keys[BATCH];
};

static uint32_t below(struct client *client, uint32_t n) {
  client->random ^= client->random << 13;
  client->random ^= client->random >> 7;
  client->random ^= client->random << 17;
  return (uint32_t)((client->random >> 11) % n);
}

/* A computation takes time, else no client would wait for one. */
static struct value compute(uint32_t key) {
  for (uint64_t end_ns = harness_now_ns() + COMPUTE_NS; harness_now_ns() < end_ns;)
    (void)sched_yield();
  return (struct value){(uint64_t)getpid(), key};
}

static int compute_one(void *arg, struct fcache_value *value) {
  struct client *client = arg;
  struct value made = compute(client->keys[0]);
  client->computed[0] = true;
  return fcache_value_set(value, &made, sizeof made);
}

static int compute_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  struct client *client = arg;
  for (size_t i = 0; i < n; i++) {
    struct value made = compute(client->keys[misses[i]]);
    client->computed[misses[i]] = true;
    if (fcache_batch_add(batch, &made, sizeof made) < 0)
      return 1;
  }
  return 0;
}

static struct fcache_hash prompt_of(uint32_t key) {
  return fcache_hash(&key, sizeof key);
}

static void judge(const struct client *client, const struct fcache_value *values, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    struct value value = {0};
    if (values[i].size == sizeof value)
      memcpy(&value, values[i].data, sizeof value);
    sums->failures += value.key != client->keys[i];
    sums->shared_hits += !client->computed[i] && value.process != (uint64_t)getpid();
  }
}

/* Looks up one key, or a batch in which a key may occur twice. */
static void look_up(struct client *client, uint32_t round) {
  struct fcache_value values[BATCH] = {{0}};
  struct fcache_hash prompts[BATCH];
  uint32_t n = below(client, 2) == 0 ? 1 : 1 + below(client, BATCH);
  int rc;
  memset(client->computed, 0, sizeof client->computed);
  for (uint32_t i = 0; i < n; i++) {
    client->keys[i] = round * KEYS + below(client, KEYS);
    prompts[i] = prompt_of(client->keys[i]);
  }
  if (n == 1) {
    struct fcache_key key = {.op = "op", .view = "base", .prompt = prompts[0]};
    rc = fcache_cached(client->cache, &key, compute_one, client, &values[0]);
  } else {
    rc = fcache_cached_batch(client->cache, "op", "base", 0, prompts, n, compute_misses, client,
                             values);
  }
  sums->failures += rc != FCACHE_OK;
  judge(client, values, n);
  for (uint32_t i = 0; i < n; i++)
    fcache_value_free(&values[i]);
}

static void count(const struct client *client) {
  struct fcache_counters counters = library_counters(client->cache);
  sums->hits += counters.cache_hits;
  sums->misses += counters.cache_misses;
  sums->coalesced_hits += counters.coalesced_hits;
  sums->failures += counters.degraded + counters.unrecorded;
}

static void *run_thread(void *arg) {
  struct client *client = arg;
  for (uint32_t round = 0; round < ROUNDS; round++)
    look_up(client, round);
  count(client);
  return NULL;
}

/* The forked child continues with an inherited handle. */
static int run_child(struct client *client) {
  pid_t pid = fork();
  CHILD_EXPECT(pid >= 0);
  if (pid == 0) {
    for (uint32_t round = 0; round < ROUNDS; round++)
      look_up(client, round);
    count(client);
    fcache_close(client->cache);
    _exit(0);
  }
  int status;
  CHILD_EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
  return 0;
}

static int run_process(void *arg) {
  struct client clients[THREADS] = {{0}};
  pthread_t threads[THREADS];
  for (uint32_t i = 0; i < THREADS; i++) {
    clients[i].random = 88172645463325252u + (uintptr_t)arg * THREADS + i;
    clients[i].cache = library_open_in_child(served.socket, "ns", NULL, LIBRARY_PATIENT_MS);
    CHILD_EXPECT(clients[i].cache != NULL);
  }
  for (uint32_t i = 0; i < THREADS; i++)
    CHILD_EXPECT(pthread_create(&threads[i], NULL, run_thread, &clients[i]) == 0);
  for (uint32_t i = 0; i < THREADS; i++)
    CHILD_EXPECT(pthread_join(threads[i], NULL) == 0);
  int rc = run_child(&clients[0]);
  for (uint32_t i = 0; i < THREADS; i++)
    fcache_close(clients[i].cache);
  return rc;
}

START_TEST(counts_of_clients_equal_daemon) {
  struct library_stats stats = {0};
  pid_t pids[PROCESSES];
  sums = child_shared(sizeof *sums);
  harness_start(&served, NULL);
  for (uintptr_t i = 0; i < PROCESSES; i++)
    pids[i] = child_start(run_process, (void *)i, NULL);
  for (uint32_t i = 0; i < PROCESSES; i++) {
    int status;
    ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
    ck_assert_int_eq(status, 0);
  }
  struct fcache *watch = library_open(served.socket, "ns", "watch", 0);
  library_wait_stat(watch, "clients", 1);
  library_stats_read(watch, &stats);
  ck_assert_uint_eq(sums->failures, 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_hits"), sums->hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_misses"), sums->misses);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "coalesced_hits"), sums->coalesced_hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "shared_hits"), sums->shared_hits);
  ck_assert_uint_gt(sums->coalesced_hits, 0);
  ck_assert_uint_gt(sums->shared_hits, 0);
  ck_assert_uint_lt(sums->shared_hits, sums->hits); /* some are of the own process */
  library_stats_free(&stats);
  fcache_close(watch);
  ck_assert_int_eq(harness_stop(&served), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sharing");
  TCase *tcase = tcase_create("sharing");
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, counts_of_clients_equal_daemon);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
