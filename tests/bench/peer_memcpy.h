/* peer_memcpy.h - no store and no lookup: copies the value out of an array of all values. */
#ifndef BENCH_PEER_MEMCPY_H
#define BENCH_PEER_MEMCPY_H

#include "tests/bench/bench_peer.h"

void peer_memcpy_init(struct bench_peer *peer);

#endif
