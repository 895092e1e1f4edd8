#include "tests/bench/bench_worker.h"

#include "tests/bench/bench_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPUTE_NS = 10000000, DEADLINE_MS = 5000, FILL_BYTES = 1 << 20, FILL_KEYS = 1024 };

/* The library reads the environment when a handle is opened. */
static int choose_plane(bool region) {
  if ((region ? unsetenv("FCACHE_REGION") : setenv("FCACHE_REGION", "0", 1)) == 0)
    return 0;
  fprintf(stderr, "bench: cannot change the environment: %s\n", strerror(errno));
  return -1;
}

/* `deadline_ms` 0: the default. */
static int open_handle(struct worker *worker, const char *socket, bool region,
                       uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  options.socket = socket;
  options.name_space = WORKLOAD_NAMESPACE;
  options.client = "bench";
  options.deadline_ms = deadline_ms;
  struct fcache_error error;
  if (choose_plane(region) != 0)
    return -1;
  if (fcache_open(&options, &worker->cache, &error) == 0)
    return 0;
  fprintf(stderr, "bench: cannot open the cache on %s: %s\n", socket, error.text);
  return -1;
}

int worker_open(struct worker *worker, const char *socket, bool region) {
  /* The bench must not fail open: noise must not look like an absent daemon. */
  return open_handle(worker, socket, region, DEADLINE_MS);
}

int worker_open_plain(struct worker *worker, const char *socket) {
  return open_handle(worker, socket, true, 0);
}

void worker_close(struct worker *worker) {
  fcache_close(worker->cache);
  worker->cache = NULL;
  fcache_value_free(&worker->value);
}

int worker_unexpected(const struct worker *worker, const char *call, int result) {
  fprintf(stderr, "bench: %s: %s; %s\n", call, fcache_strerror(result),
          fcache_last_error(worker->cache));
  return -1;
}

void worker_set_load(struct worker *worker, struct workload *load) {
  if (worker->load == load)
    return;
  worker->load = load;
  worker->next = 0;
}

struct fcache_key worker_key(const struct workload *load, uint32_t index) {
  return (struct fcache_key){.op = WORKLOAD_OP,
                             .view = WORKLOAD_VIEW,
                             .prompt = fcache_hash(load->prompts[index], WORKLOAD_PROMPT),
                             .top_k = WORKLOAD_TOP_K};
}

int worker_get(struct worker *worker, const struct workload *load, uint32_t index) {
  struct fcache_key key = worker_key(load, index);
  int result = fcache_get(worker->cache, &key, 0, &worker->value);
  if (result != FCACHE_OK)
    return worker_unexpected(worker, "fcache_get", result);
  return workload_check(load, index, worker->value.data, worker->value.size) ? 0 : -1;
}

int worker_put(struct worker *worker, struct workload *load, uint32_t index) {
  struct fcache_key key = worker_key(load, index);
  int result =
      fcache_put(worker->cache, &key, workload_value(load, index), load->size, COMPUTE_NS, 0);
  return result == FCACHE_OK ? 0 : worker_unexpected(worker, "fcache_put", result);
}

/* The computed value, and the time of its computation. */
struct pass {
  struct workload *load;
  uint32_t index;
  workload_compute_fn *compute;
  void *arg;
};

static int compute_value(void *arg, struct fcache_value *value) {
  const struct pass *pass = arg;
  pass->compute(pass->arg);
  return fcache_value_set(value, workload_value(pass->load, pass->index), pass->load->size);
}

int worker_cached(struct worker *worker, struct workload *load, uint32_t index,
                  workload_compute_fn *compute, void *arg) {
  struct fcache_key key = worker_key(load, index);
  struct pass pass = {.load = load, .index = index, .compute = compute, .arg = arg};
  int result = fcache_cached(worker->cache, &key, compute_value, &pass, &worker->value);
  if (result != FCACHE_OK)
    return worker_unexpected(worker, "fcache_cached", result);
  return workload_check(load, index, worker->value.data, worker->value.size) ? 0 : -1;
}

/* ---- the whole set ------------------------------------------------------ */

struct batch {
  struct fcache_hash prompts[FILL_KEYS];
  struct fcache_bytes values[FILL_KEYS];
  uint8_t *bytes; /* of the values */
};

/* Stores `n` keys, from the `first` on in the order of storing. */
static int fill_some(struct worker *worker, const struct workload *load, struct batch *batch,
                     uint32_t first, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    uint32_t index = workload_stored(load, first + i);
    uint8_t *value = batch->bytes + (size_t)i * load->size;
    batch->prompts[i] = fcache_hash(load->prompts[index], WORKLOAD_PROMPT);
    workload_write_value(load, index, value);
    batch->values[i] = (struct fcache_bytes){.data = value, .size = load->size};
  }
  int result = fcache_put_many(worker->cache, WORKLOAD_OP, WORKLOAD_VIEW, WORKLOAD_TOP_K,
                               batch->prompts, batch->values, n, (uint64_t)n * COMPUTE_NS, 0);
  return result == FCACHE_OK ? 0 : worker_unexpected(worker, "fcache_put_many", result);
}

int worker_fill(struct worker *worker, const struct workload *load) {
  uint32_t most = load->size >= FILL_BYTES ? 1 : FILL_BYTES / load->size;
  if (most > FILL_KEYS)
    most = FILL_KEYS;
  struct batch *batch = calloc(1, sizeof(*batch));
  uint8_t *bytes = malloc((size_t)most * load->size);
  int result = 0;
  if (batch == NULL || bytes == NULL) {
    fprintf(stderr, "bench: out of memory for a batch of %u values\n", most);
    result = -1;
  } else {
    batch->bytes = bytes;
  }
  for (uint32_t first = 0; result == 0 && first < load->n; first += most) {
    uint32_t left = load->n - first;
    result = fill_some(worker, load, batch, first, left < most ? left : most);
  }
  free(bytes);
  free(batch);
  return result;
}

/* ---- what came of it ---------------------------------------------------- */

struct wanted_stat {
  const char *name;
  uint64_t value;
  bool found;
};

static void add_stat(void *arg, const struct fcache_stat *stat) {
  struct wanted_stat *wanted = arg;
  if (stat->name_space != NULL || strcmp(stat->name, wanted->name) != 0)
    return;
  wanted->value = stat->integer;
  wanted->found = true;
}

int worker_stat(struct worker *worker, const char *name, uint64_t *out) {
  struct wanted_stat wanted = {.name = name};
  int result = fcache_server_stats(worker->cache, add_stat, &wanted);
  if (result != 0)
    return worker_unexpected(worker, "fcache_server_stats", result);
  if (!wanted.found) {
    fprintf(stderr, "bench: the daemon has no metric %s\n", name);
    return -1;
  }
  *out = wanted.value;
  return 0;
}

int worker_count(struct worker *worker, pid_t daemon, struct worker_tally *tally) {
  uint64_t unused;
  struct fcache_counters counters;
  /* Any request works, because the daemon drains a client's ring before it handles one. */
  if (worker_stat(worker, "cache_hits", &unused) != 0)
    return -1;
  fcache_get_counters(worker->cache, &counters);
  tally->hits = counters.cache_hits;
  tally->region_hits = counters.region_hits;
  return daemon_cpu_ns(daemon, &tally->daemon_ns);
}

void worker_compare(const struct worker_tally *before, const struct worker_tally *after,
                    struct measure *out) {
  double hits = (double)(after->hits - before->hits);
  out->of[METRIC_DAEMON_US] = (double)(after->daemon_ns - before->daemon_ns) / 1000.0 / hits;
  out->of[METRIC_REGION_SHARE] = (double)(after->region_hits - before->region_hits) / hits;
}

static int get_next(void *arg, uint64_t i) {
  (void)i; /* the worker has its own count */
  struct worker *worker = arg;
  uint32_t index = worker->next;
  worker->next = workload_next(worker->load, index);
  return worker_get(worker, worker->load, index);
}

int worker_measure(struct worker *worker, struct samples *samples, const struct burst *burst,
                   struct measure *out) {
  return measure_burst(samples, get_next, worker, burst, out);
}

int worker_burst(struct worker *worker, pid_t daemon, struct samples *samples,
                 const struct burst *burst, struct measure *out) {
  struct worker_tally before;
  struct worker_tally after;
  if (worker_count(worker, daemon, &before) != 0 ||
      worker_measure(worker, samples, burst, out) != 0 || worker_count(worker, daemon, &after) != 0)
    return -1;
  worker_compare(&before, &after, out);
  return 0;
}
