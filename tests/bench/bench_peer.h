/* bench_peer.h - the interface of the stores that the bench measures.
 *
 * A peer is a server that the bench starts and one connection to it, or a store in its own memory.
 * Its `peer_X_init` fills a struct bench_peer, cannot fail and starts nothing. Functions return 0,
 * or -1 with the reason on stderr. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "tests/bench/env.h"
#include "tests/bench/measure.h"
#include "tests/bench/workload.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bench_peer {
  const char *name;
  const void *options; /* private to the peer; borrowed */
  void *state;         /* private to the peer; NULL before the start */
  pid_t pid;           /* of the server, after the start; 0: none */
  int (*start)(struct bench_peer *peer, const struct bench_env *env);
  void (*stop)(struct bench_peer *peer); /* idempotent, also after a failed start */
  /* Exchange one message each: get the value of key `index` and check it; store it. */
  int (*get)(struct bench_peer *peer, struct workload *load, uint32_t index);
  int (*set)(struct bench_peer *peer, struct workload *load, uint32_t index);
  /* In a forked child: opens a connection of its own, and leaves the parent's alone. */
  int (*join)(struct bench_peer *peer);
  /* Gets and checks the value of key `index`, if it is stored. *found says whether it is. */
  int (*find)(struct bench_peer *peer, struct workload *load, uint32_t index, bool *found);
  /* Does the same, and computes and stores a missing value. NULL: by `find` and `set`. */
  int (*cached)(struct bench_peer *peer, struct workload *load, uint32_t index,
                workload_compute_fn *compute, void *arg);
  /* Stores the whole set. NULL: by `set`, or not at all if that is NULL too. */
  int (*fill)(struct bench_peer *peer, struct workload *load);
  /* Gets WORKLOAD_BATCH keys from `first` on, in a circle, and checks each value. */
  int (*get_many)(struct bench_peer *peer, struct workload *load, uint32_t first);
  /* Runs a burst of gets with more metrics than time. NULL: there are none. */
  int (*get_burst)(struct bench_peer *peer, struct workload *load, struct samples *samples,
                   const struct burst *burst, struct measure *out);
};

#endif
