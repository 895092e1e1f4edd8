/* A cache with a workload: fills it, gets from it, reads its counters. */
#include "tests/bench/survive/survive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH_BYTES = 4 << 20, BATCH_MAX = 1000, PATIENT_MS = 60000 };

double survive_now_s(void) {
  return (double)harness_now_ns() / 1e9;
}

double survive_cpu_s(pid_t process) {
  clockid_t clock;
  struct timespec spent;
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &spent) != 0)
    ck_abort_msg("process %d has ended", (int)process);
  return (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

struct fcache *survive_open(const char *socket, bool region) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache = NULL;
  options.socket = socket;
  options.name_space = "bench";
  options.deadline_ms = PATIENT_MS;
  if (setenv("FCACHE_REGION", region ? "1" : "0", 1) != 0 ||
      fcache_open(&options, &cache, NULL) != 0 || !fcache_connected(cache))
    ck_abort_msg("no handle for %s", socket);
  return cache;
}

/* ---- puts ---- */

static int put_batch(struct fcache *cache, struct workload *load, uint8_t *bytes, uint32_t first,
                     uint32_t n) {
  struct fcache_hash prompts[BATCH_MAX];
  struct fcache_bytes values[BATCH_MAX];
  for (uint32_t i = 0; i < n; i++) {
    uint32_t index = workload_stored(load, first + i);
    prompts[i] = fcache_hash(load->prompts[index], WORKLOAD_PROMPT);
    workload_write_value(load, index, bytes + (size_t)i * load->size);
    values[i] = (struct fcache_bytes){bytes + (size_t)i * load->size, load->size};
  }
  return fcache_put_many(cache, WORKLOAD_OP, WORKLOAD_VIEW, WORKLOAD_TOP_K, prompts, values, n, 0,
                         0);
}

int survive_fill(struct fcache *cache, struct workload *load) {
  uint32_t most = BATCH_BYTES / load->size;
  most = most == 0 ? 1 : most > BATCH_MAX ? BATCH_MAX : most;
  uint8_t *bytes = malloc((size_t)most * load->size);
  int rc = bytes == NULL ? FCACHE_ENOMEM : 0;
  for (uint32_t i = 0; rc == 0 && i < load->n; i += most)
    rc = put_batch(cache, load, bytes, i, load->n - i < most ? load->n - i : most);
  free(bytes);
  if (rc != 0)
    fprintf(stderr, "bench: the cache cannot be filled: %s\n", fcache_strerror(rc));
  return rc == 0 ? 0 : -1;
}

/* ---- gets ---- */

int survive_get(struct fcache *cache, struct workload *load, uint32_t index,
                struct fcache_value *value) {
  struct fcache_key key = {.op = WORKLOAD_OP,
                           .view = WORKLOAD_VIEW,
                           .top_k = WORKLOAD_TOP_K,
                           .prompt = fcache_hash(load->prompts[index], WORKLOAD_PROMPT)};
  if (fcache_get(cache, &key, 0, value) != FCACHE_OK)
    return 0;
  return workload_check(load, index, value->data, value->size) ? 1 : -1;
}

struct wanted_stat {
  const char *name;
  double value;
};

static void take_stat(void *arg, const struct fcache_stat *stat) {
  struct wanted_stat *wanted = arg;
  if (stat->name_space != NULL || strcmp(stat->name, wanted->name) != 0)
    return;
  bool is_real = stat->kind == FCACHE_STAT_SECONDS || stat->kind == FCACHE_STAT_RATIO;
  wanted->value = is_real ? stat->real : (double)stat->integer;
}

double survive_stat(struct fcache *cache, const char *name) {
  struct wanted_stat wanted = {.name = name};
  int rc = fcache_server_stats(cache, take_stat, &wanted);
  if (rc != FCACHE_OK)
    ck_abort_msg("no statistics: %s", fcache_strerror(rc));
  return wanted.value;
}

/* ---- daemons ---- */

double survive_start(struct service_manager *manager, const struct survive_env *env, bool state,
                     const char *max_bytes) {
  const char *args[] = {"--max-bytes", max_bytes, "--snapshot-interval",
                        "0", /* a row requests its snapshots */
                        "--state",     env->dir,  NULL};
  if (!state)
    args[2] = NULL;
  double start_s = survive_now_s();
  int status;
  service_manager_launch(manager, args);
  if (!service_manager_wait_ready(manager, &status))
    ck_abort_msg("the daemon ended with status %d: %s", status, harness_log(&manager->daemon));
  return survive_now_s() - start_s;
}
