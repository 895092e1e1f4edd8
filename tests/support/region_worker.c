#include "tests/support/region_worker.h"

#include <time.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/stamped.h"

static uint64_t now_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t region_worker_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state >> 11;
}

static void record_line(void *arg, const char *line) {
  struct region_worker *worker = arg;

  (void)line;
  worker->lines++;
}

bool region_worker_open(struct region_worker *worker, const char *socket, const char *client,
                        uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;

  *worker = (struct region_worker){0};
  options.socket = socket;
  options.name_space = "region";
  options.client = client;
  options.deadline_ms = deadline_ms;
  options.log = record_line;
  options.log_arg = worker;
  return fcache_open(&options, &worker->cache, NULL) == FCACHE_OK;
}

void region_worker_close(struct region_worker *worker) {
  fcache_close(worker->cache);
  fcache_value_free(&worker->value);
}

int region_worker_get(struct region_worker *worker, uint64_t number) {
  struct fcache_key key = stamped_key(number);
  uint64_t start_ms = now_ms();
  int rc = fcache_get(worker->cache, &key, 0, &worker->value);

  worker->slow += now_ms() - start_ms >= REGION_WORKER_SLOW_MS;
  if (rc != FCACHE_OK)
    return rc;
  return stamped_check(&worker->value, number, &worker->version) ? FCACHE_OK : REGION_WORKER_WRONG;
}

struct computation {
  struct region_worker *worker;
  uint64_t number, version;
};

static int compute(void *arg, struct fcache_value *value) {
  struct computation *computation = arg;

  computation->worker->computed++;
  return stamped_make(value, computation->number, computation->version) ? FCACHE_OK : FCACHE_ENOMEM;
}

bool region_worker_cached(struct region_worker *worker, uint64_t number, uint64_t version) {
  struct computation computation = {worker, number, version};
  struct fcache_key key = stamped_key(number);
  uint64_t start_ms = now_ms();
  int rc = fcache_cached(worker->cache, &key, compute, &computation, &worker->value);

  worker->slow += now_ms() - start_ms >= REGION_WORKER_SLOW_MS;
  return rc == FCACHE_OK && stamped_check(&worker->value, number, &worker->version);
}

void region_worker_put(const char *socket, uint64_t first, uint64_t n, uint64_t version) {
  struct fcache *cache = library_open(socket, "region", "putter", 0);
  struct fcache_value value = {0};

  for (uint64_t i = 0; i < n; i++)
    ck_assert_int_eq(stamped_put(cache, &value, first + i, version), FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(cache);
}
