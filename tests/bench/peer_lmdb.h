/* peer_lmdb.h - LMDB: key text to value, in one file of the bench's directory. */
#ifndef BENCH_PEER_LMDB_H
#define BENCH_PEER_LMDB_H

#include "tests/bench/bench_peer.h"

/* `name`, borrowed, names the file. Each store that is open at a time has its own. */
void peer_lmdb_init(struct bench_peer *peer, const char *name);

#endif
