/* fcache.h - share expensive results between the processes of one machine.
 *
 * A worker opens a handle with a namespace and looks results up by key. It computes what is missing
 * and puts it; every other worker of the namespace then finds it. The results are in a daemon,
 * fcached. This library is its client. It starts no thread, installs no signal handler and has no
 * global state.
 *
 * FAIL OPEN. The cache never breaks or blocks the program. If the daemon is absent, stopped or
 * full, a lookup is a miss, fcache_cached computes, and a put returns FCACHE_NOT_STORED. This costs
 * at most one deadline without progress (default 250 ms). Afterwards the handle reconnects by
 * itself, after a back-off and without waiting. The first time that sharing is off, one line on
 * stderr, or to the `log` callback, gives the reason and the sockets that were tried. Another line
 * reports the first value that is larger than the daemon accepts.
 *
 * RESTARTS. If the daemon closes the connection, it may be restarting. The call that notices, or
 * the next one, waits for it once: one deadline at most, or a second if that is shorter. A waiter
 * for another worker's value waits a second. If the daemon is back by then, the call repeats its
 * request, and nothing is logged or counted but the reconnection. The handle's counters continue. A
 * daemon that has kept the cache accepts the put of a computation that began before, unless the key
 * was cleared since, and knows which worker computes which key. So a handle that held a lease holds
 * it again, and others go on waiting. If a daemon is killed after it executed a request and before
 * it replied, the request is executed twice. A recorded get or put then counts twice at the daemon,
 * and once in the handle's counters. The result is that of the second request.
 *
 * HITS. If the daemon shares its memory, the library reads a hit from there, without a message and
 * without a system call, except for a check of the connection every 1,024 hits. The library records
 * the hit in a ring, which the daemon reads, so that its counters, its trace and its LRU order are
 * as if each hit had been a message. The entries of a stopped daemon stay readable, those of a dead
 * one do not. With $FCACHE_REGION=0, or if memory cannot be shared, hits are messages: slower, and
 * otherwise the same.
 *
 * LEASES. One miss, one forward pass. Of all workers that miss a key at the same time, the first is
 * granted its lease and computes. The others wait for its value, which is then a hit whose wall
 * time is the wait. fcache_cached and fcache_cached_batch do so by themselves. If the owner gives
 * up, fails, dies, or exceeds the term of its lease, the first waiter takes over. If the daemon
 * goes away for good, a waiter loses a second. A handle that holds a lease never waits: a call
 * nested in a `compute` computes what others are computing. So no order of calls on one handle can
 * deadlock. A `compute` may also wait for other threads, and for processes that it creates, even if
 * they use handles of their own: the daemon detects a circle of waiting processes and ends a wait
 * in it after about the time of a computation (10 s at most), and that call computes. A process
 * that was created inside a `compute` never waits for the computations of its creator. Handles of
 * one process do wait for each other. If a `compute` waits for another thread, that thread must not
 * wait for this process's computations: give its handle FCACHE_NO_WAIT.
 *
 * RESULTS. 0 is success (for a get: a hit). Positive values, of enum fcache_result, are outcomes to
 * act on. Negative values, of enum fcache_error_code, are errors: the call was wrong, the daemon
 * rejected it, or memory ran out. A daemon that is away is an error only for fcache_clear,
 * fcache_delete and fcache_server_stats, which have no other result. fcache_strerror() returns a
 * text for each code, fcache_last_error() the details of the handle's latest failure.
 *
 * THREADS. One thread at a time may use a handle. Any number of handles may be used in parallel. A
 * `compute` callback may call the same handle.
 *
 * FORK. A child may use a handle that it inherited. The handle leaves the parent's connection alone
 * and opens its own, which first costs one deadline at most. Its counters start at 0. The child
 * does not inherit the memory that the library shares with the daemon: a signal handler that
 * interrupts a call of the library and forks must not return in the child.
 *
 * NAMES (namespace, op, view, probe, client) are NUL-terminated strings of 1 to 255 bytes of UTF-8
 * without control characters. They are compared bytewise.
 *
 * UNITS are in the names: _ns nanoseconds, _ms milliseconds. Sizes are in bytes.
 */
#ifndef FCACHE_H
#define FCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FCACHE_API __attribute__((visibility("default")))

/* ---- results ------------------------------------------------------------ */

enum fcache_result {
  FCACHE_OK = 0,         /* done; for a get, a hit */
  FCACHE_MISS = 1,       /* the key is not stored, or sharing is off */
  FCACHE_NOT_STORED = 2, /* the put stored nothing: sharing is off, or was off when this handle
                            looked the key up; another value is stored (FCACHE_KEEP_FIRST); or the
                            key was cleared or deleted between the lookup and the put */
  FCACHE_LEASED = 3,     /* a miss with its lease (FCACHE_LEASE): other workers wait for the value.
                            Compute and put it, or call fcache_give_up */
};

enum fcache_error_code {
  FCACHE_EINVAL = -1,       /* an argument is not valid */
  FCACHE_ENOMEM = -2,       /* out of memory */
  FCACHE_ENONAMESPACE = -3, /* no namespace was given */
  FCACHE_ENAME = -4,        /* a name is empty, too long, not UTF-8, or has a control character */
  FCACHE_ETOOBIG = -5,      /* the value is larger than the daemon accepts */
  FCACHE_EMAXENTRIES = -6,  /* max_entries is not positive */
  FCACHE_EBATCH = -7,       /* compute_misses added another number of values than its misses */
  FCACHE_EDENIED = -8,      /* the daemon does not permit this user to do that */
  FCACHE_EUNAVAILABLE = -9, /* no daemon answered: from fcache_clear, fcache_delete and
                               fcache_server_stats only */
  FCACHE_EPROTOCOL = -10,   /* the peer broke the protocol, or has another version */
  FCACHE_EREFUSED = -11,    /* the daemon rejected the request for another reason: see the text */
};

#define FCACHE_ERROR_TEXT_SIZE 512

/* Why fcache_open failed. */
struct fcache_error {
  int code;                          /* enum fcache_error_code */
  char text[FCACHE_ERROR_TEXT_SIZE]; /* what happened, to what, and what to do; NUL-terminated */
};

/* Returns a static text for any result or error code, never NULL. */
FCACHE_API const char *fcache_strerror(int code);

/* ---- open and close ----------------------------------------------------- */

struct fcache; /* a handle; opaque */

/* Called with one line, without a newline. Must not use the handle. */
typedef void fcache_log_fn(void *arg, const char *line);

/* Writes one line to stderr, as the library does without a `log` callback. It is for callbacks that
 * handle only some lines. Drops the line instead of blocking, and never raises SIGPIPE. */
FCACHE_API void fcache_log_stderr(const char *line);

/* Called while a call waits for another worker's value: about once per deadline, and after a
 * signal. Returns 0 to go on. Any other number cancels the wait: the handle gives up its leases,
 * which takes one deadline at most, and the call returns the number. Use numbers above 100, which
 * are no results. Must not use the handle. May fork: in the child the call ends with the number, or
 * goes on without waiting after a 0. */
typedef int fcache_waiting_fn(void *arg);

/* All zero means all defaults. Strings are copied. `struct_size` must be
 * sizeof(struct fcache_options): FCACHE_OPTIONS_INIT sets it. */
struct fcache_options {
  size_t struct_size;
  const char *socket;         /* the only socket to try. NULL: $FCACHE_SOCKET alone if set, else
                                 $XDG_RUNTIME_DIR/fcached.sock, then /run/fcached/fcached.sock. The
                                 daemon's user must be this process's, root, the user in
                                 $FCACHE_DAEMON_USER (name or number), or, for a socket in
                                 /run/fcached, the owner of that directory */
  const char *name_space;     /* NULL: $FCACHE_NAMESPACE; neither: FCACHE_ENONAMESPACE */
  const char *client;         /* this worker's name in traces; NULL: "PROGRAM-PID" */
  uint32_t deadline_ms;       /* maximum time of one request without progress; 0: 250 */
  const int64_t *max_entries; /* limit on the entries of the namespace, for all its clients. Ignored
                                 if another user made the namespace. NULL: leave it unchanged. Not
                                 positive: FCACHE_EMAXENTRIES */
  fcache_log_fn *log;         /* receives the lines that would go to stderr; NULL: stderr */
  void *log_arg;
  uint32_t lease_ms; /* how long a computation of this handle may take before another worker takes
                        over; 0: 300,000 (5 minutes). The daemon limits it (--lease-max) */
  uint32_t wait_ms;  /* how long fcache_cached and fcache_cached_batch wait for other workers; 0: as
                        lease_ms; FCACHE_NO_WAIT: not at all */
  const char *manifest;       /* what the results of the namespace depend on, for people (fcachectl
                                 namespaces); by convention a flat JSON object. 1 to 16,384 bytes of
                                 UTF-8, else FCACHE_EINVAL. The latest replaces the one before. Ignored if
                                 another user made the namespace. NULL: leave it unchanged */
  fcache_waiting_fn *waiting; /* may cancel waits; NULL: none */
  void *waiting_arg;
  uint64_t max_bytes; /* limit on the bytes of the namespace's entries, for all its clients:
                         above it, its least recently used entries are evicted. Ignored if
                         another user made the namespace. 0: leave it unchanged. Older
                         daemons ignore it */
};
#define FCACHE_NO_WAIT UINT32_MAX
#ifdef __cplusplus
#define FCACHE_OPTIONS_INIT                                                                        \
  { sizeof(struct fcache_options), NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL }
#else
#define FCACHE_OPTIONS_INIT                                                                        \
  { .struct_size = sizeof(struct fcache_options) }
#endif

/* Opens a handle, and waits up to one deadline for the daemon. An absent daemon is no error (see
 * FAIL OPEN). `options` may be NULL. $FCACHE_DISABLE=1 opens a handle that is off on purpose: it
 * needs no namespace and logs nothing. On success *out is the caller's, who closes it. On failure
 * *out is NULL, and `error`, unless NULL, has the reason. */
FCACHE_API int fcache_open(const struct fcache_options *options, struct fcache **out,
                           struct fcache_error *error);

/* Closes and frees the handle. Its leases end. NULL is allowed. */
FCACHE_API void fcache_close(struct fcache *cache);

/* Returns the details of the handle's latest failure, "" if there was none. Valid until the next
 * call on the handle. */
FCACHE_API const char *fcache_last_error(const struct fcache *cache);

/* ---- keys and values ---------------------------------------------------- */

/* XXH3-128 (seed 0) of the bytes of a prompt, in big-endian order. */
struct fcache_hash {
  uint8_t bytes[16];
};

/* Returns the hash of any bytes. `prompt` may be NULL if `size` is 0. */
FCACHE_API struct fcache_hash fcache_hash(const void *prompt, size_t size);

/* A key within the handle's namespace. `op` names the operation ("next_token_dist",
 * "rolling_logprob", "logprob_of", or any other name), `view` the variant of the model ("base",
 * "ft"). `top_k` is 0 for operations without it. A call borrows the strings until it returns. */
struct fcache_key {
  const char *op;
  const char *view;
  struct fcache_hash prompt;
  uint32_t top_k;
};

/* A reusable buffer, owned by the caller. Zero it to start. A call replaces `size` bytes of `data`,
 * and enlarges the buffer if `capacity` is too small. Free it with fcache_value_free. */
struct fcache_value {
  void *data;
  size_t size;
  size_t capacity;
};

/* Bytes that a call reads, owned by the caller. */
struct fcache_bytes {
  const void *data;
  size_t size;
};

/* Replaces the content with a copy. FCACHE_ENOMEM leaves the value unchanged. */
FCACHE_API int fcache_value_set(struct fcache_value *value, const void *data, size_t size);

/* Frees the buffer and zeroes the struct. Idempotent. */
FCACHE_API void fcache_value_free(struct fcache_value *value);

/* ---- lookups ------------------------------------------------------------ */

enum fcache_flags {
  FCACHE_UNRECORDED = 1, /* no counter and no trace line for this call (preloading, tools) */
  FCACHE_KEEP_FIRST = 2, /* put: keep a value that is already stored */
  FCACHE_LEASE = 4,      /* get: request the lease of a miss; FCACHE_LEASED if it is granted */
  FCACHE_LOCAL = 8,      /* fcache_get: only a hit that needs no message and no wait, from shared
                            memory. Anything else is FCACHE_MISS, which counts nothing and says nothing
                            about the key. For callers that hold a lock, such as that of an
                            interpreter */
};

/* Looks up one key. Returns FCACHE_OK with the value, which becomes the most recently used;
 * FCACHE_MISS or FCACHE_LEASED, with undefined content in `value`; or an error. An empty value can
 * be stored and is a hit. */
FCACHE_API int fcache_get(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                          struct fcache_value *value);

/* Like fcache_get, and waits up to `wait_ms` (0: not) for a value that another worker computes.
 * Returns FCACHE_MISS if the time is over, no worker computes the value, or the daemon rejected or
 * ended the wait (see LEASES). Returns FCACHE_LEASED, only with FCACHE_LEASE, if the caller must
 * compute the value: at once, or after the other worker gave it up. A handle that holds a lease
 * does not wait. */
FCACHE_API int fcache_get_wait(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                               uint32_t wait_ms, struct fcache_value *value);

/* Gives up a lease without a put. The next waiter gets it. Returns FCACHE_OK, also if the handle
 * does not hold the lease, or an error. */
FCACHE_API int fcache_give_up(struct fcache *cache, const struct fcache_key *key);

/* Gives up the leases of `n` keys with one op, view and top_k. */
FCACHE_API int fcache_give_up_many(struct fcache *cache, const char *op, const char *view,
                                   uint32_t top_k, const struct fcache_hash *prompts, size_t n);

/* Stores a value, or replaces the stored one, and sends it to all waiters for the key.
 *
 * If the handle was granted the lease of the key, the put keeps a value that is already stored
 * (FCACHE_KEEP_FIRST): the term may have passed, and another worker been faster. `compute_ns` is
 * the time of the computation, without the time of nested calls on this handle, which count for
 * themselves. A later hit saves that time; the daemon counts it as scoring time. A put counts as a
 * miss and a forward pass, stored or not.
 *
 * If the handle's latest get of the key missed, the computation counts as begun then: a clear since
 * that time makes the put FCACHE_NOT_STORED, until the key is looked up again. A handle remembers
 * at least its latest 16,384 misses. A lease whose value was not stored is given up.
 *
 * Returns FCACHE_OK, FCACHE_NOT_STORED, or an error: after FCACHE_ETOOBIG, fcache_last_error names
 * the limit. */
FCACHE_API int fcache_put(struct fcache *cache, const struct fcache_key *key, const void *data,
                          size_t size, uint64_t compute_ns, unsigned flags);

/* Looks up `n` keys with one op, view and top_k, in as few messages as the daemon's limits allow.
 * hit[i] is true if prompts[i] was found. values[i] then has its value, and otherwise undefined
 * content. Returns FCACHE_OK, with or without hits, or an error. */
FCACHE_API int fcache_get_many(struct fcache *cache, const char *op, const char *view,
                               uint32_t top_k, const struct fcache_hash *prompts, size_t n,
                               unsigned flags, struct fcache_value *values, bool *hit);

/* Like fcache_get_many, and requests the lease of each miss. results[i] is FCACHE_OK with
 * values[i]; FCACHE_LEASED: compute it, and put it or give it up; or FCACHE_MISS if another worker
 * computes it, the daemon granted no lease, or sharing is off. Does not wait for other workers. A
 * prompt that occurs twice is leased once. Returns FCACHE_OK, or an error, after which no lease of
 * these prompts is held. */
FCACHE_API int fcache_lease_many(struct fcache *cache, const char *op, const char *view,
                                 uint32_t top_k, const struct fcache_hash *prompts, size_t n,
                                 unsigned flags, struct fcache_value *values, int *results);

/* Puts `n` values with one op, view and top_k, in as few messages as possible. Keeps stored values
 * (FCACHE_KEEP_FIRST) if the handle was granted the leases of all. `compute_ns` is the time of all
 * together, which is divided evenly. Returns FCACHE_OK if all were stored, FCACHE_NOT_STORED if at
 * least one was not, FCACHE_ETOOBIG if one was too large (the others are stored), or an error. */
FCACHE_API int fcache_put_many(struct fcache *cache, const char *op, const char *view,
                               uint32_t top_k, const struct fcache_hash *prompts,
                               const struct fcache_bytes *values, size_t n, uint64_t compute_ns,
                               unsigned flags);

/* Computes a value into `value`, which is empty at the call. Returns 0, or an error of the
 * program's own, preferably positive. */
typedef int fcache_compute_fn(void *arg, struct fcache_value *value);

/* Gets the value of `key`: from the cache; from another worker that computes it, after a wait of up
 * to the handle's wait_ms; or from `compute`, and then puts it. Returns 0 with the value; the
 * result of `compute` if that is not 0, with nothing counted or stored, and the next waiter then
 * computes; the number with which the `waiting` callback cancelled the wait; or FCACHE_EINVAL,
 * FCACHE_ENAME, FCACHE_ENOMEM. A value that could not be stored (too large, daemon away) is
 * returned as well. If another worker stored the key first, its value stays stored, and the call
 * returns the own one. */
FCACHE_API int fcache_cached(struct fcache *cache, const struct fcache_key *key,
                             fcache_compute_fn *compute, void *arg, struct fcache_value *value);

/* The list to which compute_misses adds its values, in the order of its indices. */
struct fcache_batch;

/* Adds a copy of a value. Returns 0 or FCACHE_ENOMEM. */
FCACHE_API int fcache_batch_add(struct fcache_batch *batch, const void *data, size_t size);

/* Adds a placeholder for a value that must not be stored. It counts as computed, its lease is given
 * up, and the caller's value becomes empty. Returns 0 or FCACHE_ENOMEM. */
FCACHE_API int fcache_batch_skip(struct fcache_batch *batch);

/* Computes the prompts at the indices misses[0] to misses[n_misses - 1] of the caller's list, in
 * rising order, and adds one value for each to `batch`, in this order. Returns 0, or an error of
 * the program's own. At the call, the caller's values[i] is filled for each prompt that was found
 * or computed before, and unchanged for the others. */
typedef int fcache_compute_misses_fn(void *arg, const size_t *misses, size_t n_misses,
                                     struct fcache_batch *batch);

/* Gets the values of all `prompts`. Looks all up, then computes with one call of `compute_misses`
 * the misses that no other worker computes, and puts them. Only then it waits for the values of
 * other workers. What these give up, or do not finish in time, it computes with further calls, each
 * with all prompts that are available at that time. A prompt that occurs twice and misses is passed
 * twice. The trace has first the hits, then the values computed here, then those of other workers.
 *
 * Returns 0 with all of values[0..n) filled; the result of `compute_misses` if that is not 0;
 * FCACHE_EBATCH "batched compute returned X values for Y misses" if the numbers differ; the number
 * with which the `waiting` callback cancelled; or an error as fcache_cached. After a failure the
 * content of `values` is undefined, and hits stay counted. */
FCACHE_API int fcache_cached_batch(struct fcache *cache, const char *op, const char *view,
                                   uint32_t top_k, const struct fcache_hash *prompts, size_t n,
                                   fcache_compute_misses_fn *compute_misses, void *arg,
                                   struct fcache_value *values);

/* Sets how long fcache_cached and fcache_cached_batch wait, as wait_ms in the options. */
FCACHE_API void fcache_set_wait(struct fcache *cache, uint32_t wait_ms);

/* Sets the label of the following lookups in the trace, a copy; NULL: none. Returns 0 or
 * FCACHE_ENAME. */
FCACHE_API int fcache_set_probe(struct fcache *cache, const char *probe);

/* ---- statistics and clearing -------------------------------------------- */

/* The counters of a handle. */
struct fcache_counters {
  uint64_t cache_hits;
  uint64_t cache_misses;
  uint64_t forward_passes;
  uint64_t scoring_wall_ns; /* time of hits, of waits that ended with a hit, and of computations.
                               Overlapping waits and nested calls count once */
  uint64_t batches_sent;    /* calls of compute_misses */
  uint64_t batched_prompts; /* misses passed to them */
  uint64_t max_batch_size;
  uint64_t degraded;    /* calls that found sharing off */
  uint64_t reconnects;  /* connections after the first */
  uint64_t too_big;     /* values that were not stored: larger than the daemon accepts */
  uint64_t region_hits; /* of cache_hits: read from shared memory */
  uint64_t unrecorded;  /* of region_hits: not recorded in a ring. They are missing in the daemon's
                           counters, its trace and its LRU order */
  uint64_t leases_granted;
  uint64_t coalesced_hits; /* of cache_hits: ended a wait for another handle's computation. A value
                              that was put before the wait began does not count */
  uint64_t lease_wait_ns;  /* time of waits for other handles, with any outcome. Overlapping waits
                              count once */
};

/* Copies the counters. */
FCACHE_API void fcache_get_counters(const struct fcache *cache, struct fcache_counters *out);

/* Returns whether the handle is connected. Any call may reconnect it. */
FCACHE_API bool fcache_connected(const struct fcache *cache);

enum fcache_stat_kind {
  FCACHE_STAT_COUNT,   /* `integer` */
  FCACHE_STAT_BYTES,   /* `integer` */
  FCACHE_STAT_SECONDS, /* `real` */
  FCACHE_STAT_RATIO,   /* `real`: 0 to 1, or an average */
  FCACHE_STAT_TEXT,    /* `text` */
};

/* One statistic of the daemon. Its strings are valid during the callback, which may use the
 * handle. */
struct fcache_stat {
  const char *name_space; /* NULL: of the whole daemon */
  const char *name;       /* "cache_hits", "bytes", ...: fcached-stats(7) has them all */
  enum fcache_stat_kind kind;
  uint64_t integer;
  double real;
  const char *text;
};
typedef void fcache_stat_fn(void *arg, const struct fcache_stat *stat);

/* fcache_server_stats and the functions that clear and delete connect at once if the handle is not
 * connected, regardless of the back-off, and wait up to one deadline: they have no result without
 * the daemon. */

/* Calls `fn` for each statistic of the daemon: first those of the whole daemon, then those of each
 * namespace together, in a fixed order. Returns 0, FCACHE_EUNAVAILABLE, or an error. */
FCACHE_API int fcache_server_stats(struct fcache *cache, fcache_stat_fn *fn, void *arg);

/* Removes the entries of the handle's namespace with that view and that op (NULL: any). The clear
 * is complete when the call returns 0: no value whose computation began before is stored
 * afterwards. *removed, unless NULL, is the number of entries. FCACHE_EDENIED if another user made
 * the namespace, unless this user administers the daemon. */
FCACHE_API int fcache_clear(struct fcache *cache, const char *view, const char *op,
                            uint64_t *removed);

/* As fcache_clear, for this daemon alone: the other daemons of its fleet keep their entries, and so
 * does the tier, from which this daemon may take a value again. Without a tier it is fcache_clear.
 */
FCACHE_API int fcache_clear_local(struct fcache *cache, const char *view, const char *op,
                                  uint64_t *removed);

/* Removes the entry of one key, for all workers, as a clear that selects it alone. FCACHE_OK: there
 * was one. FCACHE_MISS: there was none, or the daemon was replaced during the call. In both cases
 * the call is complete: no lookup finds a value of the key, and none whose computation began before
 * is stored afterwards; a computation begins with the lookup that misses. A lease on the key ends.
 * Errors as fcache_clear, and FCACHE_EPROTOCOL if the daemon is older than this call. */
FCACHE_API int fcache_delete(struct fcache *cache, const struct fcache_key *key);

/* As fcache_delete, for this daemon alone, as fcache_clear_local. */
FCACHE_API int fcache_delete_local(struct fcache *cache, const struct fcache_key *key);

#ifdef __cplusplus
}
#endif
#endif
