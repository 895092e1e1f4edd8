/* peer.h - what the bench asks of every store that it measures.
 *
 * A peer is a server that the bench starts and one connection to it. It fills a
 * struct bench_peer by its `peer_X_init`, which cannot fail and starts nothing.
 * Functions return 0, or -1 after saying on stderr what failed.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "tests/bench/workload.h"

#include <stdint.h>

/* Where to start a peer. The strings outlive it. */
struct bench_env {
  const char *dir;     /* private temporary folder, for sockets and logs */
  const char *fcached; /* path of the daemon */
  const char *peers;   /* folder that fetch-peers.sh filled */
  int cpu;             /* the CPU of all processes; -1: any */
};

struct bench_peer {
  const char *name;
  void *state; /* the peer's own; NULL while it is not started */
  int (*start)(struct bench_peer *peer, const struct bench_env *env);
  void (*stop)(struct bench_peer *peer); /* idempotent; also after a failed start */
  /* One exchange each: the value of key `index`, checked; the same stored. */
  int (*get)(struct bench_peer *peer, struct workload *load, uint32_t index);
  int (*set)(struct bench_peer *peer, struct workload *load, uint32_t index);
  /* WORKLOAD_BATCH keys from `first` on, going round; each value checked. */
  int (*get_many)(struct bench_peer *peer, struct workload *load, uint32_t first);
};

#endif
