/* handle.h - struct fcache, and the functions that the public calls share.
 *
 * Functions that return int return 0 (FCACHE_OK) or a negative code with the text in
 * connection.error, unless noted. They are for the handle's thread. */
#ifndef FC_CLIENT_HANDLE_H
#define FC_CLIENT_HANDLE_H

#include "client/lib/conn/request.h"
#include "client/lib/conn/wait.h"
#include "client/lib/util/clock.h"
#include "client/lib/util/recent_misses.h"
#include "fcache.h"

#define HANDLE_HEAD_MAX_BYTES 2048u /* of a message before its lists: names and numbers */

struct fcache {
  struct connection connection;
  struct fcache_counters counters;
  char probe[FC_NAME_MAX + 1]; /* "": none */
  struct recent_misses misses; /* of the public gets */
  uint32_t lease_ms;
  uint32_t wait_ms; /* of cached and cached_batch; 0: no wait */
  struct wait_callback waiting;
};

/* Result of a lookup whose wait the callback cancelled: no lease is held. The public call returns
 * waiting.cancel_code. */
#define HANDLE_WAIT_CANCELLED (-1000)

/* ---- handle.c ---- */

/* Starts every public call: resets the handle in a forked child, unmaps a dead region. */
void handle_enter(struct fcache *cache);

/* Returns whether the daemon is connected, without waiting. If not, counts the call as degraded. */
bool handle_ready(struct fcache *cache);

/* Like handle_ready, but ignores the back-off and waits up to one deadline for the daemon. */
bool handle_connect_now(struct fcache *cache);

/* After a request failed with `rc`: returns whether the daemon had closed the connection and
 * another one is up by now, so that the request can be repeated. Waits up to one deadline, once
 * after each loss. At most HANDLE_REPEATS_MAX times for one request; *repeats counts them, from 0.
 */
#define HANDLE_REPEATS_MAX 3u
bool handle_may_repeat(struct fcache *cache, int rc, unsigned *repeats);

/* Adds to counters.scoring_wall_ns. */
void handle_add_wall_time(struct fcache *cache, uint64_t wall_ns);

/* Returns the time since the begin of a lookup (shm_begin_ns). */
uint64_t handle_since_ns(struct fcache *cache, uint64_t begin_ns);

/* Counts `n` computed values, whose computation took `compute_ns` together. */
void handle_count_computed(struct fcache *cache, uint64_t n, uint64_t compute_ns);

/* Returns the time of a computation since `start_ns` (clock_now_ns), without the time of nested
 * calls. `before_ns` was counters.scoring_wall_ns at that time. */
uint64_t handle_compute_ns(const struct fcache *cache, uint64_t start_ns, uint64_t before_ns);

/* Returns the handle's probe, empty if none is set. */
struct fc_str handle_probe(const struct fcache *cache);

/* Checks the names of a key and converts it. FC_EINVAL or FC_ENAME. */
int handle_key(struct fcache *cache, const struct fcache_key *key, struct fc_key *out);

/* The same for a batch of `n` keys, without the prompts. FC_EINVAL also if `n` is too large. */
int handle_batch_key(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                     size_t n, struct fc_key *key);

/* Returns the key of prompt `i` in the list, with the names of `key`. */
struct fc_key handle_key_at(const struct fc_key *key, const uint8_t *prompts, size_t i);

/* Returns the public code for a code of proto/errors.h. */
int handle_code(int code);

/* Returns the result of a lookup or put for the result of its requests: an error of the caller
 * unchanged; otherwise `degraded`, and counts the call as degraded. */
int handle_outcome(struct fcache *cache, int rc, int degraded);

/* ---- lookups ---- */

/* Looks up a key with the names of the latest lookup in the region: the usual hit, complete with
 * its record and all counters. FCACHE_OK; FCACHE_MISS: ask the daemon; or HANDLE_UNUSUAL, with
 * nothing done: other names, flags or states, which the functions below handle. */
#define HANDLE_UNUSUAL (-1001)
int handle_plain_hit(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                     struct fcache_value *value);

/* Does the same for a key with these labels, which are the latest.
 * *now_ns is the begin of the lookup (shm_begin_ns), and becomes the time of the hit. Counts all
 * but cache_hits and the wall time. */
int handle_plain_hit_at(struct fcache *cache, const struct labels *labels,
                        const struct region_key *key, unsigned flags, struct fcache_value *value,
                        uint64_t *now_ns);

/* Looks up one key in the region. FCACHE_OK with the value, and the hit recorded; FCACHE_MISS: ask
 * the daemon; or FC_ENOMEM. *now_ns is the begin of the lookup (shm_begin_ns), and becomes the time
 * of the hit. Updates all counters but cache_hits and the wall time. With FCACHE_LOCAL, returns
 * FCACHE_MISS for a hit that needs a message to be recorded. */
int handle_hit(struct fcache *cache, const struct fc_key *key, unsigned flags,
               struct fcache_value *value, uint64_t *now_ns);

/* Looks up one key in the region and at the daemon, and waits up to `wait_ms` for the computation
 * of another client. FCACHE_OK; FCACHE_MISS, with *epoch {0, 0} if the daemon was not reached;
 * FCACHE_LEASED with FCACHE_LEASE; HANDLE_WAIT_CANCELLED; or an error. */
int handle_lookup(struct fcache *cache, const struct fc_key *key, unsigned flags, uint32_t wait_ms,
                  struct fcache_value *value, struct fc_epoch *epoch);

/* One key of a batch. */
enum lookup_state {
  LOOKUP_PENDING = 0,      /* to be looked up */
  LOOKUP_DONE,             /* its value is there */
  LOOKUP_MISS,             /* to be computed here, without a lease */
  LOOKUP_LEASED,           /* to be computed here, with its lease */
  LOOKUP_LEASED_ELSEWHERE, /* another client computes it */
};

/* Returns the state of a miss for the daemon's answer. Counts a granted lease. */
enum lookup_state handle_miss_state(struct fcache *cache, enum fc_lease_state lease);

/* Looks up the keys that are LOOKUP_PENDING; none is afterwards. Requests leases with FC_LEASE.
 * *epoch is that of the last lookup, {0, 0} if the daemon was not reached. */
int handle_lookup_many(struct fcache *cache, const struct fc_get_many *get,
                       struct fcache_value *values, enum lookup_state *states,
                       struct fc_epoch *epoch);

/* ---- puts ---- */

/* Puts one value, as fcache_put. The caller has set the flags, key, epoch and compute time. */
int handle_send_put(struct fcache *cache, struct fc_put *put, const void *data, size_t size);

/* Puts many values, as fcache_put_many. */
int handle_send_put_many(struct fcache *cache, const struct fc_put_many *put,
                         const struct fcache_bytes *values);

/* Finds the recent misses of the keys that a put is about: those of `prompts`, or `key` itself if
 * that is NULL. out->epoch is the earliest of them, {0, 0} if there is none; out->leased is true if
 * all were leased. Returns false if a lookup did not reach the daemon: the client does not know
 * what was cleared since. */
bool handle_find_misses(struct fcache *cache, const struct fc_key *key,
                        const struct fcache_hash *prompts, size_t n, struct recent_miss *out);

/* Ends a public put with the result `rc`: drops the recent misses that it stored, and gives up
 * leases that the daemon may not know to be finished. Returns `rc`. */
int handle_finish_put(struct fcache *cache, const struct fc_key *key,
                      const struct fcache_hash *prompts, size_t n, int rc);

/* ---- leases ---- */

/* Gives up the leases on `n` prompts, as fcache_give_up_many. */
int handle_send_give_up(struct fcache *cache, const struct fc_key *key,
                        const struct fcache_hash *prompts, size_t n);

/* Gives up the leases on those of the `n` prompts (n > 0) for which `select` returns true. Without
 * memory closes the connection, which ends its leases. */
typedef bool handle_select_fn(const void *arg, size_t i);
void handle_give_up_selected(struct fcache *cache, const struct fc_key *key,
                             const struct fcache_hash *prompts, size_t n, handle_select_fn *select,
                             const void *arg);

#endif
