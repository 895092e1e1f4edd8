/* server.h - the servers that are measured side by side, one fresh one at a time: by memory that
 * an entry takes, and by what a herd of workers makes of them. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "tests/bench/peer_fcached.h"
#include "tests/bench/rows.h"

/* Fills `peer`, not started: PEER_MEMCACHED, PEER_REDIS, or else fcached, as `ours` says, which is
 * borrowed. */
void server_init(struct bench_peer *peer, enum bench_peer_id id,
                 const struct peer_fcached_options *ours);

#endif
