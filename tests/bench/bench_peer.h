/* bench_peer.h - what the bench asks of every store that it measures.
 *
 * A peer is a server that the bench starts and one connection to it, or a store in
 * its own memory. It fills a struct bench_peer by its `peer_X_init`, which cannot
 * fail and starts nothing. Functions return 0, or -1 after saying on stderr what
 * failed.
 */
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
  const void *options; /* the peer's own; borrowed */
  void *state;         /* likewise; NULL while it is not started */
  pid_t pid;           /* of the server, once it is started; 0: it has none */
  int (*start)(struct bench_peer *peer, const struct bench_env *env);
  void (*stop)(struct bench_peer *peer); /* idempotent; also after a failed start */
  /* One exchange each: the value of key `index`, checked; the same stored. */
  int (*get)(struct bench_peer *peer, struct workload *load, uint32_t index);
  int (*set)(struct bench_peer *peer, struct workload *load, uint32_t index);
  /* In a forked child: a connection of its own, in place of the parent's, which it leaves alone. */
  int (*join)(struct bench_peer *peer);
  /* The value of key `index` where it is stored, checked; *found says so. */
  int (*find)(struct bench_peer *peer, struct workload *load, uint32_t index, bool *found);
  /* The same, computed and stored where it is not; NULL: by `find` and `set`. */
  int (*cached)(struct bench_peer *peer, struct workload *load, uint32_t index,
                workload_compute_fn *compute, void *arg);
  /* Stores the whole set at once; NULL: by `set`, and where that is NULL too, not at all. */
  int (*fill)(struct bench_peer *peer, struct workload *load);
  /* WORKLOAD_BATCH keys from `first` on, going round; each value checked. */
  int (*get_many)(struct bench_peer *peer, struct workload *load, uint32_t first);
  /* A burst of gets, with more figures than time; NULL: there are none. */
  int (*get_burst)(struct bench_peer *peer, struct workload *load, struct samples *samples,
                   const struct burst *burst, struct measure *out);
};

#endif
