/* peer_fcached.h - fcached, through libfcache as a user writes it. */
#ifndef BENCH_PEER_FCACHED_H
#define BENCH_PEER_FCACHED_H

#include "tests/bench/bench_peer.h"

#include <stdbool.h>

struct peer_fcached_options {
  const char *name;      /* its own for each daemon that runs at a time */
  const char *max_bytes; /* of the daemon */
  bool region;           /* hits come from the region; else over the socket */
};

/* Borrows the options. */
void peer_fcached_init(struct bench_peer *peer, const struct peer_fcached_options *options);

#endif
