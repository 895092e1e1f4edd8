#include "tests/bench/footprint.h"

#include "tests/bench/bench_worker.h"
#include "tests/bench/peer_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ENTRIES = 100000, VALUE_BYTES = 3100, LOOK_EVERY = 101 };

/* The names of an entry in each store. */
static size_t key_bytes(enum bench_peer_id id, const struct workload *load) {
  if (id == PEER_REGION)
    return strlen(WORKLOAD_NAMESPACE WORKLOAD_OP WORKLOAD_VIEW) + sizeof(struct fcache_hash) +
           sizeof(uint32_t);
  return load->key_bytes;
}

/* Reads the resident bytes of process `pid`, with shared memory, page by page: /proc/PID/status may
 * lag by some hundred pages. */
static int resident_bytes(const struct bench_peer *peer, uint64_t *bytes) {
  char path[64];
  char line[256];
  uint64_t kib = 0;
  (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)peer->pid); /* it fits */
  FILE *file = fopen(path, "re");
  while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL) {
    if (sscanf(line, "Rss: %" SCNu64 " kB", &kib) != 1)
      kib = 0;
  }
  if (file != NULL)
    (void)fclose(file); /* only read */
  *bytes = kib * 1024;
  if (kib > 0)
    return 0;
  fprintf(stderr, "bench: %s does not say how much of %s is resident\n", path, peer->name);
  return -1;
}

/* One by one, because the buffers of batches would be counted with the entries. */
static int store_all(struct bench_peer *peer, struct workload *load) {
  for (uint32_t i = 0; i < load->n; i++) {
    if (peer->set(peer, load, workload_stored(load, i)) != 0)
      return -1;
  }
  /* The first is the first to be evicted if there is no room for all. */
  for (uint32_t i = 0; i < load->n; i += LOOK_EVERY) {
    if (peer->get(peer, load, workload_stored(load, i)) != 0) {
      fprintf(stderr, "bench: %s does not hold all of %u entries\n", peer->name, load->n);
      return -1;
    }
  }
  return 0;
}

static int measure_peer(struct bench_peer *peer, const struct bench_env *env, struct workload *load,
                        double *bytes) {
  uint64_t before = 0;
  uint64_t after = 0;
  if (peer->start(peer, env) != 0 || peer->set(peer, load, workload_stored(load, 0)) != 0 ||
      resident_bytes(peer, &before) != 0 || store_all(peer, load) != 0 ||
      resident_bytes(peer, &after) != 0)
    return -1;
  *bytes = ((double)after - (double)before) / (load->n - 1);
  return 0;
}

static int measure_row(const struct bench_row *row, const struct bench_env *env,
                       struct workload *load, struct measure *out) {
  struct bench_peer peer = {0};
  size_t both = key_bytes(row->peer, load) + load->size;
  /* Room for the required size and no more, so that a larger entry evicts another one, which is
   * detected. A larger limit would only add to the table of buckets. */
  char room[32];
  (void)snprintf(room, sizeof(room), "%" PRIu64, (uint64_t)both * load->n * 108 / 100); /* fits */
  const struct peer_fcached_options options = {
      .name = "footprint", .max_bytes = room, .region = true};
  server_init(&peer, row->peer, &options);
  out->of[METRIC_KEY_VALUE_BYTES] = (double)both;
  int result = measure_peer(&peer, env, load, &out->of[METRIC_BYTES]);
  peer.stop(&peer);
  return result;
}

int footprint_run(const struct bench_env *env, const struct bench_options *options,
                  struct bench_result *results, size_t *n) {
  static const struct server_rows rows = {
      .kind = KIND_FOOTPRINT, .value_bytes = VALUE_BYTES, .keys = ENTRIES, .measure = measure_row};
  return server_rows_run(&rows, env, options, results, n);
}
