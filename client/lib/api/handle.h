/* handle.h - what stands behind struct fcache, for the files of the library. */
#ifndef FC_CLIENT_HANDLE_H
#define FC_CLIENT_HANDLE_H

#include "client/lib/conn/request.h"
#include "client/lib/conn/wait.h"
#include "client/lib/util/recent_misses.h"
#include "fcache.h"

#define HANDLE_HEAD_MAX_BYTES 2048u /* before the lists of a message: names and numbers */

struct fcache {
  struct link link;
  struct fcache_counters counters;
  char probe[FC_NAME_MAX + 1]; /* "": none */
  struct recent misses;        /* of fcache_get and fcache_get_many */
  uint32_t lease_ms;
  uint32_t wait_ms; /* of cached and cached_batch; 0: not at all */
  struct wait_asker asker;
};

/* Of a lookup: the program ended its wait, and no lease is held. The user gets asker.verdict. */
#define HANDLE_ENDED (-1000)

/* Adds time to scoring_wall_ns. */
void handle_charge(struct fcache *cache, uint64_t wall_ns);

/* The time of a computation that began at `start_ns` (channel_clock_ns), with scoring_wall_ns at
 * `before_ns` then: what nested calls were charged meanwhile is theirs, and no part of it. */
uint64_t handle_compute_ns(const struct fcache *cache, uint64_t start_ns, uint64_t before_ns);

/* Every call starts here: lets a forked child begin anew. */
void handle_enter(struct fcache *cache);

/* Is the daemon there? Counts the call as degraded if not. */
bool handle_ready(struct fcache *cache);

/* For calls that have no other result: the same, but looks for the daemon at once,
 * whatever the back-off, for one deadline at most. */
bool handle_insist(struct fcache *cache);

/* When the computation of a put's keys began, and whether all are leased: of `prompts` if not
 * NULL, which complete `key`, else of `key` itself. {0, 0} where none of them missed lately. False
 * where a lookup of one did not reach the daemon: nobody knows what was cleared since. */
bool handle_missed(struct fcache *cache, const struct fc_key *key,
                   const struct fcache_hash *prompts, size_t n, struct recent_miss *out);

/* Checks the names of a key, and makes it the protocol's. 0, FC_EINVAL or FC_ENAME. */
int handle_key(struct fcache *cache, const struct fcache_key *key, struct fc_key *out);

/* The same for what a batch has in common; `n` prompts must fit in one call. */
int handle_batch_key(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                     size_t n, struct fc_key *key);

struct fc_str handle_probe(const struct fcache *cache);

/* What the user gets for a code of the library: the public table has only some. */
int handle_code(int code);

/* What a lookup or put gives its user for the code of an exchange: what the caller did wrong is
 * an error; a daemon that is gone, or cannot do it, is the result `degraded`, and is counted. */
int handle_outcome(struct fcache *cache, int rc, int degraded);

/* One lookup in the region alone: FCACHE_OK with the value, and the hit recorded; FCACHE_MISS,
 * which says nothing: ask the daemon; or FC_ENOMEM. *now_ns is when the lookup began
 * (channel_clock_ns), and becomes when its hit was served. Counts all but cache_hits and the wall
 * time. With FCACHE_LOCAL a hit that can only be recorded after a message is FCACHE_MISS. */
int handle_hit(struct fcache *cache, const struct fc_key *key, unsigned flags,
               struct fcache_value *value, uint64_t *now_ns);

/* One lookup: FCACHE_OK, FCACHE_MISS with *epoch {0, 0} where the daemon is away, with FCACHE_LEASE
 * FCACHE_LEASED, HANDLE_ENDED, or an error. It waits for another's computation for up to `wait_ms`.
 */
int handle_lookup(struct fcache *cache, const struct fc_key *key, unsigned flags, uint32_t wait_ms,
                  struct fcache_value *value, struct fc_epoch *epoch);

/* Gives back leases on `n` prompts, which complete `key`, as fcache_give_up. */
int handle_give_up(struct fcache *cache, const struct fc_key *key,
                   const struct fcache_hash *prompts, size_t n);

/* The same for those of the `n` (> 0) for which `which` says so: one message for all, as far as the
 * daemon's limit allows. Without memory for that the connection ends, and its leases with it. */
typedef bool handle_which_fn(const void *arg, size_t i);
void handle_give_up_those(struct fcache *cache, const struct fc_key *key,
                          const struct fcache_hash *prompts, size_t n, handle_which_fn *which,
                          const void *arg);

/* What became of a public put of these, `rc`: leases that the handle's gets were granted and of
 * whose end the daemon need not have heard are given up. Returns `rc`. */
int handle_put_done(struct fcache *cache, const struct fc_key *key,
                    const struct fcache_hash *prompts, size_t n, int rc);

/* One put, as fcache_put: completes *put, whose flags, key, epoch and compute time are set. */
int handle_put(struct fcache *cache, struct fc_put *put, const void *data, size_t size);

/* How it stands with one of many lookups. */
enum lookup_state {
  LOOKUP_ASK = 0, /* to be looked up */
  LOOKUP_DONE,    /* its value is there */
  LOOKUP_FREE,    /* a miss: to be computed here, without a lease */
  LOOKUP_LEASED,  /* a miss: to be computed here, with its lease */
  LOOKUP_TAKEN,   /* a miss: another client computes it */
};

/* The state of a miss. Counts a lease. */
enum lookup_state handle_missing(struct fcache *cache, enum fc_lease_state lease);

/* Many of each, as the public calls. Looks up what is LOOKUP_ASK, with FC_LEASE asking for leases;
 * afterwards nothing is. *epoch is when the lookups ended; {0, 0}: away. */
int handle_lookup_many(struct fcache *cache, const struct fc_get_many *get,
                       struct fcache_value *values, enum lookup_state *states,
                       struct fc_epoch *epoch);
int handle_put_many(struct fcache *cache, const struct fc_put_many *put,
                    const struct fcache_bytes *values);

#endif
