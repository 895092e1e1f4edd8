/* peer_echo.h - no store: a process that answers 32 bytes with a requested number of bytes. See
 * bench_peer.h. */
#ifndef BENCH_PEER_ECHO_H
#define BENCH_PEER_ECHO_H

#include "tests/bench/bench_peer.h"

void peer_echo_init(struct bench_peer *peer);

#endif
