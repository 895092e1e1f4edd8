/* peer_redis.h - redis-server, by RESP. See bench_peer.h. */
#ifndef BENCH_PEER_REDIS_H
#define BENCH_PEER_REDIS_H

#include "tests/bench/bench_peer.h"

void peer_redis_init(struct bench_peer *peer);

#endif
