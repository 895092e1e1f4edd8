/* survive.h - the part of the bench about a cache that outlives its daemon. Each row runs once,
 * with daemons of a service manager of its own (tests/support/service_manager.h) and files in
 * memory.
 *
 * A row that cannot do its work prints the reason on stderr and returns -1. A failure of
 * the service manager ends the bench (ck_abort_msg). One thread, except where a header says so. */
#ifndef BENCH_SURVIVE_H
#define BENCH_SURVIVE_H

#include "tests/bench/workload.h"
#include "tests/support/service_manager.h"

#include "fcache.h"

struct survive_env {
  const char *dir;   /* private directory in memory, without subdirectories */
  const char *peers; /* directory that fetch-peers.sh filled */
};

/* ---- rows ---- */

typedef int survive_row_fn(const struct survive_env *env);
survive_row_fn snapshot_row, restore_small_row, restore_large_row, restart_row, crash_row;

/* Prints and keeps a figure of a row, for the table and the file of results. `bound`: the largest
 * allowed value, or if it is negative, minus the smallest; 0: none. */
void survive_metric(const char *row, const char *metric, double value, double bound);

/* ---- a cache with a workload ---- */

/* Opens a handle with the region, or without; it waits long for a busy daemon. */
struct fcache *survive_open(const char *socket, bool region);

/* Puts all of them, in batches. */
int survive_fill(struct fcache *cache, struct workload *load);

/* Gets one. Returns 1 for a hit with the right value, 0 for a miss, or -1. */
int survive_get(struct fcache *cache, struct workload *load, uint32_t index,
                struct fcache_value *value);

/* Returns a counter of the daemon, or 0 if it has none of that name. */
double survive_stat(struct fcache *cache, const char *name);

double survive_now_s(void);          /* CLOCK_MONOTONIC */
double survive_cpu_s(pid_t process); /* CPU time of all of its threads so far */

/* Starts a daemon with --max-bytes. `state`: it has a state directory, env->dir, and writes no
 * snapshots by a timer. Returns the seconds until it was ready. */
double survive_start(struct service_manager *manager, const struct survive_env *env, bool state,
                     const char *max_bytes);

#endif
