/* The time to read a snapshot at the start of a daemon, beside the start of an empty one. */
#include "tests/bench/survive/survive.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GIB ((double)(1u << 30))

static void remove_snapshot(const struct survive_env *env) {
  char path[256];
  (void)snprintf(path, sizeof path, "%s/snapshot", env->dir); /* it fits */
  (void)unlink(path);                                         /* there may be none */
}

/* The difference to the start of an empty daemon: the time, and the CPU time, which other programs
 * on the machine do not prolong. */
struct duration {
  double seconds, cpu_s;
};

/* Returns the entries that a restarted daemon has, or -1. */
static double restart_from_file(const struct survive_env *env, struct workload *load,
                                const char *max_bytes, struct duration *duration) {
  struct service_manager manager;
  service_manager_init(&manager);
  remove_snapshot(env);
  double empty_s = survive_start(&manager, env, true, max_bytes);
  double empty_cpu_s = survive_cpu_s(manager.daemon.pid);
  struct fcache *cache = survive_open(manager.daemon.socket, false);
  int rc = survive_fill(cache, load);
  fcache_close(cache);
  if (service_manager_stop(&manager) != 0)
    rc = -1;
  duration->seconds = survive_start(&manager, env, true, max_bytes) - empty_s;
  duration->cpu_s = survive_cpu_s(manager.daemon.pid) - empty_cpu_s;
  cache = survive_open(manager.daemon.socket, true);
  double entries = survive_stat(cache, "entries");
  struct fcache_value value = {0};
  for (uint32_t i = 0; rc == 0 && i < load->n;
       i += 97) /* a part of them, byte by byte at the ends */
    rc = survive_get(cache, load, i, &value) == 1 ? 0 : -1;
  fcache_value_free(&value);
  fcache_close(cache);
  service_manager_deinit(&manager);
  remove_snapshot(env);
  return rc == 0 ? entries : -1;
}

static int measure(const struct survive_env *env, const char *row, uint32_t size, uint32_t n,
                   const char *max_bytes, double *entries_per_s, double *gib_per_s) {
  struct workload load;
  struct duration duration = {0};
  double entries = -1;
  if (workload_init(&load, size, n) == 0)
    entries = restart_from_file(env, &load, max_bytes, &duration);
  workload_deinit(&load);
  if (entries < 0) {
    fprintf(stderr, "bench: %s: the restarted daemon lacks entries\n", row);
    return -1;
  }
  *entries_per_s = entries / duration.seconds;
  *gib_per_s = entries * size / GIB / duration.seconds;
  survive_metric(row, "entries", entries, -(double)n);
  survive_metric(row, "seconds", duration.seconds, 0);
  survive_metric(row, "cpu_s", duration.cpu_s, 0);
  return 0;
}

int restore_small_row(const struct survive_env *env) {
  double entries_per_s, gib_per_s;
  int rc = measure(env, "restore/64", 64, 1000000, "1G", &entries_per_s, &gib_per_s);
  if (rc == 0)
    survive_metric("restore/64", "entries_per_s", entries_per_s, -2e6);
  return rc;
}

int restore_large_row(const struct survive_env *env) {
  double entries_per_s, gib_per_s;
  int rc = measure(env, "restore/1000000", 1000000, 2000, "3G", &entries_per_s, &gib_per_s);
  if (rc == 0)
    survive_metric("restore/1000000", "gib_per_s", gib_per_s, -2);
  return rc;
}
