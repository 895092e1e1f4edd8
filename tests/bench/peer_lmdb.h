/* peer_lmdb.h - LMDB: the key text to the value, in one file of the bench's folder. */
#ifndef BENCH_PEER_LMDB_H
#define BENCH_PEER_LMDB_H

#include "tests/bench/bench_peer.h"

/* `name`, borrowed, names the file: one of its own for each that is open at a time. */
void peer_lmdb_init(struct bench_peer *peer, const char *name);

#endif
