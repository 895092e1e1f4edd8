/* bench_worker.h - a worker of fcached as its user writes one: through <fcache.h>, the
 * prompt hashed at each call, the value copied out and looked at.
 *
 * Functions return 0, or -1 after saying on stderr what failed. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "tests/bench/measure.h"
#include "tests/bench/workload.h"

#include "fcache.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORKER_NAMESPACE "bench"

/* Zero it before the first use; worker_close at the end. One thread. */
struct worker {
  struct fcache *cache;
  struct fcache_value value;
  struct workload *load; /* of worker_burst; borrowed */
  uint64_t position;     /* in it: goes on from burst to burst, so that all keys have their turn */
};

/* Connects. `region`: hits may be served from the region; else all go over the socket. */
int worker_open(struct worker *worker, const char *socket, bool region);
/* The same with all defaults, as most users have it: the deadline too. */
int worker_open_plain(struct worker *worker, const char *socket);
void worker_close(struct worker *worker);

/* The cache's key of a workload's key. */
struct fcache_key worker_key(const struct workload *load, uint32_t index);

/* The value of key `index`, checked; the same stored. */
int worker_get(struct worker *worker, const struct workload *load, uint32_t index);
int worker_put(struct worker *worker, struct workload *load, uint32_t index);

/* The same by fcache_cached, with `compute` where it comes from nowhere else. */
int worker_cached(struct worker *worker, struct workload *load, uint32_t index,
                  workload_compute_fn *compute, void *arg);

/* Stores the whole set, in batches. */
int worker_fill(struct worker *worker, const struct workload *load);

/* -1, saying what `call` returned. */
int worker_unexpected(const struct worker *worker, const char *call, int result);

/* The whole daemon's figure `name`. Whatever this worker has in its ring is counted by then. */
int worker_stat(struct worker *worker, const char *name, uint64_t *out);

/* What hits have cost the daemon, and where they came from. */
struct worker_tally {
  uint64_t daemon_ns, hits, region_hits;
};
/* As of now, with what is in the worker's ring already drained. `daemon` is its process. */
int worker_count(struct worker *worker, pid_t daemon, struct worker_tally *tally);
/* Sets the figures that two of them give: FIGURE_DAEMON_US, FIGURE_REGION_SHARE. */
void worker_compare(const struct worker_tally *before, const struct worker_tally *after,
                    struct measure *out);

/* One burst of gets of `worker->load`; worker_burst adds the figures of worker_compare. */
int worker_measure(struct worker *worker, struct samples *samples, const struct burst *burst,
                   struct measure *out);
int worker_burst(struct worker *worker, pid_t daemon, struct samples *samples,
                 const struct burst *burst, struct measure *out);

#endif
