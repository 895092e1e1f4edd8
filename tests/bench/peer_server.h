/* peer_server.h - runs rows that need one fresh server each: for the memory of an entry, and for a
 * herd of workers. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "tests/bench/bench_run.h"
#include "tests/bench/peer_fcached.h"

/* Fills `peer`, not started: PEER_MEMCACHED, PEER_REDIS, or else fcached with the options `ours`,
 * which is borrowed. */
void server_init(struct bench_peer *peer, enum bench_peer_id id,
                 const struct peer_fcached_options *ours);

/* Rows of one kind, each measured once, on its own server. */
struct server_rows {
  enum bench_kind kind;
  uint32_t value_bytes, keys; /* of the load that all of them have */
  bool unpinned;
  /* Fills `out`. Unknown metrics are -1. */
  int (*measure)(const struct bench_row *row, const struct bench_env *env, struct workload *load,
                 struct measure *out);
};

/* As bench_run, for these rows. Prints the reason if a metric cannot be measured, and leaves it
 * unknown. */
int server_rows_run(const struct server_rows *rows, const struct bench_env *env,
                    const struct bench_options *options, struct bench_result *results, size_t *n);

#endif
