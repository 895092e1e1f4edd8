#include "tests/bench/peer_server.h"

#include "tests/bench/peer_memcached.h"
#include "tests/bench/peer_redis.h"

#include <stdio.h>

void server_init(struct bench_peer *peer, enum bench_peer_id id,
                 const struct peer_fcached_options *ours) {
  if (id == PEER_MEMCACHED)
    peer_memcached_init(peer);
  else if (id == PEER_REDIS)
    peer_redis_init(peer);
  else
    peer_fcached_init(peer, ours);
}

int server_rows_run(const struct server_rows *rows, const struct bench_env *env,
                    const struct bench_options *options, struct bench_result *results, size_t *n) {
  struct workload load = {0};
  int result = 0;
  for (size_t i = 0; i < bench_n_rows; i++) {
    const struct bench_row *row = &bench_rows[i];
    if (row->kind != rows->kind || !bench_row_wanted(row->label, options->patterns))
      continue;
    fprintf(stderr, "bench: %s\n", row->label);
    if (bench_asked_to_stop() ||
        (load.n == 0 && workload_init(&load, rows->value_bytes, rows->keys) != 0)) {
      result = -1;
      break;
    }
    struct bench_result *found = &results[(*n)++];
    *found = (struct bench_result){.row = row,
                                   .size = rows->value_bytes,
                                   .unpinned = rows->unpinned,
                                   .measure = measure_none()};
    if (rows->measure(row, env, &load, &found->measure) != 0)
      fprintf(stderr, "bench: %s is skipped\n", row->label);
  }
  workload_deinit(&load);
  return result;
}
