/* bench_worker.h - a worker of fcached as a user writes it: through <fcache.h>, with the prompt
 * hashed in each call and the value copied out and checked.
 *
 * Functions return 0, or -1 with the reason on stderr. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "tests/bench/measure.h"
#include "tests/bench/workload.h"

#include "fcache.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Zero it before the first use, and call worker_close at the end. One thread. */
struct worker {
  struct fcache *cache;
  struct fcache_value value;
  struct workload *load; /* of worker_burst; borrowed */
  uint32_t next; /* key of it; continues from burst to burst, so that all keys have their turn */
};

/* Connects. `region`: hits may be served from the region; else all use the socket. */
int worker_open(struct worker *worker, const char *socket, bool region);
/* Connects with all defaults, as most users do, also for the deadline. */
int worker_open_plain(struct worker *worker, const char *socket);
void worker_close(struct worker *worker);

/* Sets the set of worker_burst, which begins with its first key if it had another set before. */
void worker_set_load(struct worker *worker, struct workload *load);

/* Returns the cache's key of a workload's key. */
struct fcache_key worker_key(const struct workload *load, uint32_t index);

/* Get the value of key `index` and check it; store it. */
int worker_get(struct worker *worker, const struct workload *load, uint32_t index);
int worker_put(struct worker *worker, struct workload *load, uint32_t index);

/* Gets the value by fcache_cached, with `compute` for a miss. */
int worker_cached(struct worker *worker, struct workload *load, uint32_t index,
                  workload_compute_fn *compute, void *arg);

/* Stores the whole set, in batches. */
int worker_fill(struct worker *worker, const struct workload *load);

/* Prints the result of `call`, and returns -1. */
int worker_unexpected(const struct worker *worker, const char *call, int result);

/* Reads the daemon's counter `name`. The records in this worker's ring are counted by then. */
int worker_stat(struct worker *worker, const char *name, uint64_t *out);

/* CPU time of the daemon for hits, and the path of the hits. */
struct worker_tally {
  uint64_t daemon_ns, hits, region_hits;
};
/* Reads the current counters, with the worker's ring drained. `daemon` is the daemon's process. */
int worker_count(struct worker *worker, pid_t daemon, struct worker_tally *tally);
/* Sets the metrics of the difference of two: METRIC_DAEMON_US, METRIC_REGION_SHARE. */
void worker_compare(const struct worker_tally *before, const struct worker_tally *after,
                    struct measure *out);

/* Runs one burst of gets of `worker->load`. worker_burst adds the metrics of worker_compare. */
int worker_measure(struct worker *worker, struct samples *samples, const struct burst *burst,
                   struct measure *out);
int worker_burst(struct worker *worker, pid_t daemon, struct samples *samples,
                 const struct burst *burst, struct measure *out);

#endif
