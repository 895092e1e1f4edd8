/* kill -9 of a daemon with 1 GiB, whose service manager starts the next one at once: the time until
 * the same client hits again, and the most memory until all entries are in the new region. */
#include "tests/bench/survive/survive.h"
#include "tests/bench/survive/survive_memory.h"

#include <stdio.h>

#define MAX_BYTES ((double)(1u << 30))

enum { VALUE_BYTES = 3100, ENTRIES = 315000, KILLS = 5, MIGRATION_S = 60, COMPUTE_NS = 200000 };

/* The client, which hits all the time. A miss costs it a computation of COMPUTE_NS. It sleeps for
 * that time, so that it leaves both CPUs to the daemon's start. */
struct reader {
  struct fcache *cache;
  struct workload *load;
  atomic_bool over;
  _Atomic uint64_t hits, wrong;
  _Atomic double last_s; /* the last hit */
  _Atomic double gap_s;  /* the longest time without a hit since it was set to 0 */
};

static void *read_all_the_time(void *arg) {
  struct reader *reader = arg;
  const struct timespec compute = {.tv_nsec = COMPUTE_NS};
  struct fcache_value value = {0};
  atomic_store(&reader->last_s, survive_now_s());
  for (uint32_t i = 0; !atomic_load(&reader->over); i = workload_next(reader->load, i)) {
    int hit = survive_get(reader->cache, reader->load, i, &value);
    if (hit < 0)
      atomic_fetch_add(&reader->wrong, 1);
    if (hit != 1) {
      (void)nanosleep(&compute, NULL); /* a signal makes the computation shorter */
      continue;
    }
    double now_s = survive_now_s(), gap_s = now_s - atomic_load(&reader->last_s);
    if (gap_s > atomic_load(&reader->gap_s))
      atomic_store(&reader->gap_s, gap_s);
    atomic_store(&reader->last_s, now_s);
    atomic_fetch_add(&reader->hits, 1);
  }
  fcache_value_free(&value);
  return NULL;
}

static bool has_hit(void *arg) {
  struct reader *reader = ((void **)arg)[0];
  const uint64_t *before = ((void **)arg)[1];
  return atomic_load(&reader->hits) > *before;
}

static bool is_migrated(void *cache) {
  return survive_stat(cache, "migrating_bytes") == 0;
}

/* Kills the daemon and waits for the first hit on the next one. */
static int kill_once(struct service_manager *manager, const struct survive_env *env,
                     struct reader *reader, struct survive_memory *memory) {
  atomic_store(&memory->pid, 0);
  double kill_s = survive_now_s();
  service_manager_kill9(manager);
  survive_metric("crash/3100", "kill_ms", (survive_now_s() - kill_s) * 1e3, 0);
  uint64_t before = atomic_load(&reader->hits);
  void *arg[] = {reader, &before};
  double start_s = survive_start(manager, env, false, "1G");
  double start_cpu_s = survive_cpu_s(manager->daemon.pid);
  atomic_store(&memory->pid, manager->daemon.pid);
  if (!harness_wait_until(has_hit, arg, MIGRATION_S * 1000))
    return -1;
  survive_metric("crash/3100", "ready_ms", start_s * 1e3, 0);
  survive_metric("crash/3100", "ready_cpu_ms", start_cpu_s * 1e3, 0);
  return 0;
}

/* Each daemon has migrated all entries before it is killed, so that each kill is the same. */
static int kill_all(struct service_manager *manager, const struct survive_env *env,
                    struct reader *reader, struct survive_memory *memory) {
  double most_s = 0;
  for (int i = 0; i < KILLS; i++) {
    atomic_store(&reader->gap_s, 0);
    double start_s = survive_now_s();
    if (kill_once(manager, env, reader, memory) != 0)
      return -1;
    struct fcache *cache = survive_open(manager->daemon.socket, false);
    bool done = harness_wait_until(is_migrated, cache, MIGRATION_S * 1000);
    double entries = survive_stat(cache, "entries");
    fcache_close(cache);
    if (!done)
      return -1;
    survive_metric("crash/3100", "gap_ms", atomic_load(&reader->gap_s) * 1e3, 50);
    survive_metric("crash/3100", "migrated_s", survive_now_s() - start_s, 0);
    survive_metric("crash/3100", "entries", entries, -(double)ENTRIES);
    if (atomic_load(&reader->gap_s) > most_s)
      most_s = atomic_load(&reader->gap_s);
  }
  survive_metric("crash/3100", "most_gap_ms", most_s * 1e3, 50);
  return 0;
}

int crash_row(const struct survive_env *env) {
  struct service_manager manager;
  struct survive_memory memory = {0};
  struct workload load;
  struct reader reader = {.load = &load};
  pthread_t thread;
  service_manager_init(&manager);
  (void)survive_start(&manager, env, false, "1G");
  reader.cache = survive_open(manager.daemon.socket, true);
  int rc = workload_init(&load, VALUE_BYTES, ENTRIES);
  if (rc == 0)
    rc = survive_fill(reader.cache, &load);
  if (rc == 0 && pthread_create(&thread, NULL, read_all_the_time, &reader) != 0)
    rc = -1;
  if (rc == 0) {
    survive_metric("crash/3100", "memory_before",
                   (double)survive_memory_bytes(manager.daemon.pid) / MAX_BYTES, 0);
    survive_memory_begin(&memory, manager.daemon.pid);
    rc = kill_all(&manager, env, &reader, &memory);
    double most = (double)survive_memory_end(&memory);
    survive_metric("crash/3100", "most_memory", most / MAX_BYTES, 1.05 + 16.0 / 1024);
    survive_metric("crash/3100", "wrong_values", (double)atomic_load(&reader.wrong), 0);
    atomic_store(&reader.over, true);
    (void)pthread_join(thread, NULL); /* it exists */
  }
  fcache_close(reader.cache);
  workload_deinit(&load);
  service_manager_deinit(&manager);
  return rc;
}
