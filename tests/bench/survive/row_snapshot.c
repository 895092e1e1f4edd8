/* Snapshots into memory while a client sends pings: their speed, the delay of the pings, and the
 * memory that they take. */
#include "tests/bench/survive/survive.h"
#include "tests/bench/survive/survive_memory.h"

#include "client/lib/admin/admin.h"

#include <stdlib.h>

#define GIB ((double)(1u << 30))

enum { VALUE_BYTES = 3100, ENTRIES = 330000, SNAPSHOTS = 5, SAMPLES_MAX = 4000000 };

/* The other client. Sends pings until `over`, and keeps the times of those that began while
 * `counts` was set. */
struct pings {
  struct admin *admin;
  uint64_t *ns;
  size_t n;
  atomic_bool counts, over;
};

static void *send_pings(void *arg) {
  struct pings *pings = arg;
  while (!atomic_load(&pings->over)) {
    bool counts = atomic_load(&pings->counts);
    uint64_t ns;
    if (admin_ping(pings->admin, &ns) != 0)
      break; /* too few samples show it */
    if (counts && pings->n < SAMPLES_MAX)
      pings->ns[pings->n++] = ns;
  }
  return NULL;
}

static int compare_ns(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(const struct pings *pings, double share) {
  return pings->n == 0 ? 0 : (double)pings->ns[(size_t)(share * (double)(pings->n - 1))] / 1e3;
}

/* Prints the percentiles, and returns p99.9 in microseconds. */
static double report_pings(struct pings *pings, const char *row) {
  qsort(pings->ns, pings->n, sizeof *pings->ns, compare_ns);
  survive_metric(row, "pings", (double)pings->n, -1000);
  survive_metric(row, "ping_p50_us", percentile_us(pings, 0.5), 0);
  survive_metric(row, "ping_p99_us", percentile_us(pings, 0.99), 0);
  survive_metric(row, "ping_p999_us", percentile_us(pings, 0.999), 0);
  survive_metric(row, "ping_max_us", percentile_us(pings, 1), 0);
  double us = percentile_us(pings, 0.999);
  pings->n = 0;
  return us;
}

static void write_snapshot(const struct service_manager *manager) {
  const char *const argv[] = {harness_fcachectl(), "--socket", manager->daemon.socket, "snapshot",
                              NULL};
  char *err;
  if (harness_run(argv, NULL, &err) != 0)
    ck_abort_msg("no snapshot: %s", err);
  free(err);
}

/* The duration of the measurement without a snapshot: the time that the snapshots took. */
static void let_pings_run(double seconds) {
  struct timespec pause = {.tv_sec = (time_t)seconds,
                           .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
  (void)nanosleep(&pause, NULL); /* a signal shortens it: fewer samples */
}

static void measure(struct service_manager *manager, struct fcache *cache, struct pings *pings) {
  struct survive_memory memory;
  double took_s = 0, wall_s = 0, cpu_s = 0,
         before = (double)survive_memory_bytes(manager->daemon.pid);
  write_snapshot(manager); /* the file's pages are there from now on */
  survive_memory_begin(&memory, manager->daemon.pid);
  for (int i = 0; i < SNAPSHOTS; i++) {
    double start_s = survive_now_s(), start_cpu_s = survive_cpu_s(manager->daemon.pid);
    atomic_store(&pings->counts, true);
    write_snapshot(manager);
    atomic_store(&pings->counts, false);
    wall_s += survive_now_s() - start_s;
    cpu_s += survive_cpu_s(manager->daemon.pid) - start_cpu_s;
    took_s += survive_stat(cache, "snapshot_s");
  }
  double most = (double)survive_memory_end(&memory);
  double bytes = survive_stat(cache, "snapshot_bytes");
  survive_metric("snapshot", "entries", survive_stat(cache, "snapshot_entries"), -ENTRIES);
  survive_metric("snapshot", "gib_per_s", SNAPSHOTS * bytes / GIB / took_s, -1);
  survive_metric("snapshot", "command_s", wall_s / SNAPSHOTS, 0);
  survive_metric("snapshot", "cpu_s", cpu_s / SNAPSHOTS, 0); /* with the replies to the pings */
  survive_metric("snapshot", "more_memory", most / before - 1, 0.01);
  double with_us = report_pings(pings, "snapshot");
  atomic_store(&pings->counts, true);
  let_pings_run(wall_s);
  atomic_store(&pings->counts, false);
  double without_us = report_pings(pings, "snapshot/quiet");
  survive_metric("snapshot", "ping_p999_delay_ms", (with_us - without_us) / 1e3, 1);
}

int snapshot_row(const struct survive_env *env) {
  struct service_manager manager;
  struct workload load = {0};
  struct pings pings = {.ns = malloc(SAMPLES_MAX * sizeof *pings.ns)};
  pthread_t thread;
  service_manager_init(&manager);
  (void)survive_start(&manager, env, true, "1280M");
  struct fcache *cache = survive_open(manager.daemon.socket, false);
  int rc = pings.ns == NULL ? -1 : workload_init(&load, VALUE_BYTES, ENTRIES);
  if (rc == 0)
    rc = survive_fill(cache, &load);
  if (rc == 0 && (admin_open(manager.daemon.socket, NULL, 0, &pings.admin, NULL) != 0 ||
                  pthread_create(&thread, NULL, send_pings, &pings) != 0))
    rc = -1;
  if (rc == 0) {
    measure(&manager, cache, &pings);
    atomic_store(&pings.over, true);
    (void)pthread_join(thread, NULL); /* it exists */
  }
  admin_close(pings.admin);
  fcache_close(cache);
  workload_deinit(&load);
  service_manager_deinit(&manager);
  free(pings.ns);
  return rc;
}
