/* peer_memcached.h - memcached, by its text protocol. See bench_peer.h. */
#ifndef BENCH_PEER_MEMCACHED_H
#define BENCH_PEER_MEMCACHED_H

#include "tests/bench/bench_peer.h"

void peer_memcached_init(struct bench_peer *peer);

#endif
