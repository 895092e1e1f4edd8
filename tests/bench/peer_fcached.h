/* peer_fcached.h - fcached, through <fcache.h> as its user writes it. See peer.h. */
#ifndef BENCH_PEER_FCACHED_H
#define BENCH_PEER_FCACHED_H

#include "tests/bench/peer.h"

void peer_fcached_init(struct bench_peer *peer);

#endif
