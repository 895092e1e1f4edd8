/* fcache.h - share expensive results between the processes of one machine.
 *
 * A worker opens a handle, names its namespace, and asks for results by key;
 * what it has to compute itself it puts, and every other worker of the
 * namespace finds it. The results live in a daemon, fcached; this library is
 * the thin client of it. It starts no thread, installs no signal handler and
 * keeps no global state.
 *
 * FAIL OPEN. The cache never breaks or hangs its user. With the daemon absent,
 * stopped, restarted or full, a lookup is a miss, `fcache_cached` computes, and
 * a put is FCACHE_NOT_STORED: at the cost of one deadline without progress
 * (default 250 ms), after which the handle reconnects by itself, with back-off,
 * without waiting. The first time that sharing is off, one line says why and which
 * sockets were tried, and the first time that a value is larger than the daemon
 * takes, one line says so: on stderr, or to the `log` callback.
 *
 * HITS. Where the daemon shares its memory, a hit is read from there, without a
 * message and without a system call (but for a look, every 1,024 hits, whether the
 * connection lasts); the daemon learns of it from a ring in memory of the handle's own, so
 * that its counters, its trace and the order of use are as if each hit had been a message.
 * A daemon that is stopped leaves its entries readable; one that has ended does not. With
 * $FCACHE_REGION=0, or where memory cannot be shared, hits are messages like everything else:
 * slower, and otherwise the same.
 *
 * LEASES. One miss, one forward pass: of all workers that miss a key at the same time, the
 * first is granted its lease and computes; the others wait for its value, which is a hit, and
 * whose wall time is the wait. fcache_cached and fcache_cached_batch do so by themselves. When
 * the owner gives up, fails, dies, or takes longer than its lease's term, the first who waits
 * takes over; a daemon that goes away costs who waits one deadline. A handle that has a lease
 * is never made to wait: calls nested in a `compute` compute for themselves what others are
 * computing, so no order of calls on one handle can deadlock. A `compute` may also wait for other
 * threads, and for processes that it creates, which ask with handles of their own: the daemon
 * ends a wait that keeps a circle of processes closed after about the time that a computation takes
 * (10 s at most), and that call computes for itself. A process that was created inside a `compute`
 * never waits for what its creator computes. Within one process handles wait for each other. Where
 * a `compute` waits for another thread, that thread must not wait for what this process computes:
 * give its handle FCACHE_NO_WAIT.
 *
 * RESULTS. 0 is success (for a get: a hit). Positive values of
 * enum fcache_result are outcomes to act on. Negative ones are errors, of
 * enum fcache_error_code, and only ever mean that the call was wrong (a name
 * with a control character, a value over the daemon's limit), never that the
 * daemon is away. fcache_strerror() has a text for each; fcache_last_error()
 * says what happened to this handle most recently, with its particulars.
 *
 * THREADS. A handle is used by one thread at a time; any number of handles may
 * be used side by side. Calls on the same handle from inside a `compute`
 * callback are allowed. FORK. A child may go on using a handle that it
 * inherited: it leaves the parent's connection alone and opens its own, with
 * counters that start at 0; that first costs one deadline at most. The memory
 * that the library shares with the daemon is not mapped in the child: a signal
 * handler that interrupts a call of the library and forks must not return there.
 *
 * NAMES (namespace, op, view, probe, client) are NUL-terminated strings of 1 to
 * 255 bytes of UTF-8 without control characters, compared bytewise.
 *
 * Units stand in the names: _ns nanoseconds, _ms milliseconds; sizes are bytes.
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
  FCACHE_NOT_STORED = 2, /* a put that stored nothing: sharing is off, or was when this handle
                            looked the key up; another value was there first (FCACHE_KEEP_FIRST);
                            or a clear came between the lookup and the put */
  FCACHE_LEASED = 3, /* a miss, with its lease (FCACHE_LEASE): others that ask for it wait for you.
                        Compute it and put it, or call fcache_give_up */
};

enum fcache_error_code {
  FCACHE_EINVAL = -1,       /* an argument is not valid */
  FCACHE_ENOMEM = -2,       /* out of memory */
  FCACHE_ENONAMESPACE = -3, /* no namespace was given */
  FCACHE_ENAME = -4,        /* a name is empty, too long, not UTF-8, or has a control character */
  FCACHE_ETOOBIG = -5,      /* the value is larger than the daemon takes */
  FCACHE_EMAXENTRIES = -6,  /* max_entries is not positive */
  FCACHE_EBATCH = -7,  /* compute_misses returned another number of values than it was asked for */
  FCACHE_EDENIED = -8, /* the daemon does not let this user do that */
  FCACHE_EUNAVAILABLE = -9, /* no daemon answered: only from calls that have no other result
                               (fcache_clear, fcache_server_stats) */
  FCACHE_EPROTOCOL = -10,   /* the peer broke the protocol, or speaks another version */
  FCACHE_EREFUSED = -11,    /* the daemon refused the request for another reason: see the text */
};

#define FCACHE_ERROR_TEXT_SIZE 512

/* The particulars of a failed fcache_open. */
struct fcache_error {
  int code;                          /* enum fcache_error_code */
  char text[FCACHE_ERROR_TEXT_SIZE]; /* what happened, to what, and what to do; NUL-terminated */
};

/* A static text for any result or error code; never NULL. */
FCACHE_API const char *fcache_strerror(int code);

/* ---- open and close ----------------------------------------------------- */

struct fcache; /* a handle; opaque */

/* Called with one line, without a newline. Must not use the handle. */
typedef void fcache_log_fn(void *arg, const char *line);

/* What happens to a line where there is no such callback, for callbacks that choose among lines: it
 * goes to stderr, whole, and without ever holding the program up or ending it by SIGPIPE. */
FCACHE_API void fcache_log_stderr(const char *line);

/* Called while a call waits for what others compute: about once per deadline, and when a signal
 * came. Not 0 ends the wait: the handle's leases are given up, at the cost of one deadline at most,
 * and the call returns that number, which is best above 100, where no result is. Must not use the
 * handle. It may fork: the child's call ends, or goes on without waiting, as the number says. */
typedef int fcache_waiting_fn(void *arg);

/* All zero means all defaults. Strings are copied. `struct_size` must be
 * sizeof(struct fcache_options): FCACHE_OPTIONS_INIT sets it. */
struct fcache_options {
  size_t struct_size;
  const char *socket;         /* the only socket to try; NULL: $FCACHE_SOCKET alone if set, else
                                 $XDG_RUNTIME_DIR/fcached.sock, then /run/fcached/fcached.sock.
                                 A daemon there is used only if its user is this process's, root,
                                 the one that $FCACHE_DAEMON_USER names (by name or number), or, at
                                 the last of these paths, the owner of /run/fcached */
  const char *name_space;     /* NULL: $FCACHE_NAMESPACE; neither: FCACHE_ENONAMESPACE */
  const char *client;         /* this worker's name in traces; NULL: "PROGRAM-PID" */
  uint32_t deadline_ms;       /* bound of one exchange with the daemon; 0: 250 */
  const int64_t *max_entries; /* limit on the namespace's entries, which holds for all its clients;
                                 ignored where another user made the namespace. NULL: leave it as
                                 it is. Not positive: FCACHE_EMAXENTRIES */
  fcache_log_fn *log;         /* takes the lines that would go to stderr; NULL: stderr */
  void *log_arg;
  uint32_t lease_ms; /* how long a computation of this handle may take before another worker takes
                        it over; 0: 300,000 (5 minutes). The daemon bounds it (--lease-max) */
  uint32_t wait_ms;  /* how long fcache_cached and fcache_cached_batch wait for what others compute;
                        0: as long as lease_ms; FCACHE_NO_WAIT: not at all */
  const char
      *manifest; /* what the namespace's results depend on, by convention a flat object of
                    JSON; kept with the namespace, where the latest stands, for people
                    (fcachectl namespaces); ignored where another user made that. 1 to 16,384 bytes
                    of UTF-8, else FCACHE_EINVAL; NULL: none, which leaves the one that is there */
  fcache_waiting_fn *waiting; /* NULL: a wait ends by itself only */
  void *waiting_arg;
  uint64_t max_bytes; /* limit on the bytes that the namespace's entries are charged, which holds
                         for all its clients: past it, the least recently used of the namespace go.
                         0: leave it as it is. A daemon of an earlier version has no such limit */
};
#define FCACHE_NO_WAIT UINT32_MAX
#ifdef __cplusplus
#define FCACHE_OPTIONS_INIT                                                                        \
  { sizeof(struct fcache_options), NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL }
#else
#define FCACHE_OPTIONS_INIT                                                                        \
  { .struct_size = sizeof(struct fcache_options) }
#endif

/* Opens a handle. `options` may be NULL. An absent daemon is no error (see
 * FAIL OPEN). $FCACHE_DISABLE=1 opens a handle that is off on purpose, needs no
 * namespace and says nothing. On success *out is the caller's, to be closed. On failure *out is
 * NULL and, where `error` is not NULL, it says why. */
FCACHE_API int fcache_open(const struct fcache_options *options, struct fcache **out,
                           struct fcache_error *error);

/* Closes and frees. NULL is allowed. */
FCACHE_API void fcache_close(struct fcache *cache);

/* What last went wrong with this handle, particulars included; "" if nothing
 * ever did. Valid until the next call on the handle. */
FCACHE_API const char *fcache_last_error(const struct fcache *cache);

/* ---- keys and values ---------------------------------------------------- */

/* XXH3-128 (seed 0) of a prompt's bytes, canonical big-endian. */
struct fcache_hash {
  uint8_t bytes[16];
};

/* Any bytes, NUL included. `prompt` may be NULL where `size` is 0. */
FCACHE_API struct fcache_hash fcache_hash(const void *prompt, size_t size);

/* The namespace is the handle's. `op` is what was asked ("next_token_dist",
 * "rolling_logprob", "logprob_of", or any other name), `view` which variant of
 * the model answered ("base", "ft"), `top_k` 0 where the op has none. The key
 * borrows its strings for the length of a call. */
struct fcache_key {
  const char *op;
  const char *view;
  struct fcache_hash prompt;
  uint32_t top_k;
};

/* A buffer that a call fills, made to be used again: start with all zero; each
 * call replaces `size` bytes of `data`, growing it where `capacity` is too
 * small; fcache_value_free at the end. It is the caller's alone. */
struct fcache_value {
  void *data;
  size_t size;
  size_t capacity;
};

/* Bytes that are only read. */
struct fcache_bytes {
  const void *data;
  size_t size;
};

/* Replaces the content. FCACHE_ENOMEM leaves the value as it was. */
FCACHE_API int fcache_value_set(struct fcache_value *value, const void *data, size_t size);

/* Frees and zeroes. A zeroed value is allowed. */
FCACHE_API void fcache_value_free(struct fcache_value *value);

/* ---- lookups ------------------------------------------------------------ */

enum fcache_flags {
  FCACHE_UNRECORDED = 1, /* no counter and no trace line for this call (preloading, tools) */
  FCACHE_KEEP_FIRST = 2, /* put: leave a value that is already stored */
  FCACHE_LEASE = 4, /* get: what misses is to be computed here, if by nobody else: FCACHE_LEASED */
  FCACHE_LOCAL = 8, /* fcache_get: only what is to be had at once, in shared memory. A hit is as
                       every hit; whatever would need a message, or a wait (no region, no room to
                       record the hit in), is FCACHE_MISS, which says nothing of the key and counts
                       nothing. For who holds a lock meanwhile, as a binding that of its language */
};

/* FCACHE_OK with the value, which becomes the most recently used; FCACHE_MISS,
 * with nothing of use in `value`; or an error. A stored empty value is a hit. */
FCACHE_API int fcache_get(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                          struct fcache_value *value);

/* The same, waiting up to `wait_ms` for the value where another worker computes it (0: as
 * fcache_get). FCACHE_MISS where that took longer, nobody computes it (any more), or the daemon
 * refused or ended the wait (see LEASES): compute it for yourself, if you like. FCACHE_LEASED, with
 * FCACHE_LEASE alone, where it is yours to compute, at once or because the other gave it up. A
 * handle that holds a lease does not wait. */
FCACHE_API int fcache_get_wait(struct fcache *cache, const struct fcache_key *key, unsigned flags,
                               uint32_t wait_ms, struct fcache_value *value);

/* Gives back a lease that FCACHE_LEASED granted, where there will be no put: the next who waits
 * gets it. FCACHE_OK, also where the handle has no such lease (any more), or an error. */
FCACHE_API int fcache_give_up(struct fcache *cache, const struct fcache_key *key);

/* The same for `n` keys of one op, view and top_k, in one message: all that a batch was granted and
 * will not put. */
FCACHE_API int fcache_give_up_many(struct fcache *cache, const char *op, const char *view,
                                   uint32_t top_k, const struct fcache_hash *prompts, size_t n);

/* Stores or replaces, and answers all who wait for the key. A put of a key whose lease this handle
 * was granted stores only if no value is there yet (FCACHE_KEEP_FIRST): its term may have passed,
 * and another worker been faster. `compute_ns` is what the value cost to compute,
 * without calls on this handle meanwhile, which count for themselves; it is what a later hit saves,
 * and is counted by the daemon as scoring time as far as the handle was connected then. A put is
 * recorded as a miss and a forward pass, stored or not. Where this handle's last get of the key
 * missed, the value counts as begun then, and a clear since is not undone: FCACHE_NOT_STORED, until
 * the key is looked up again. (A handle remembers its latest 16,384 misses at least.) A lease whose
 * value was not put, for whatever reason, is given up. FCACHE_OK, FCACHE_NOT_STORED, or an error
 * (FCACHE_ETOOBIG names the limit in fcache_last_error). */
FCACHE_API int fcache_put(struct fcache *cache, const struct fcache_key *key, const void *data,
                          size_t size, uint64_t compute_ns, unsigned flags);

/* `n` gets of one op, view and top_k, in one exchange however many they are.
 * values[i] is filled and hit[i] true where prompts[i] was found; in other values
 * nothing is of use. FCACHE_OK whether or not anything hit, or an error. */
FCACHE_API int fcache_get_many(struct fcache *cache, const char *op, const char *view,
                               uint32_t top_k, const struct fcache_hash *prompts, size_t n,
                               unsigned flags, struct fcache_value *values, bool *hit);

/* The same, for who computes what is missing: results[i] is FCACHE_OK with values[i];
 * FCACHE_LEASED, yours to compute, and then to put or give up; or FCACHE_MISS where another
 * computes it, where the daemon granted no lease, or where sharing is off. Never waits for others.
 * FCACHE_OK, or an error, after which no lease is held of these. A prompt that stands twice is
 * leased once. */
FCACHE_API int fcache_lease_many(struct fcache *cache, const char *op, const char *view,
                                 uint32_t top_k, const struct fcache_hash *prompts, size_t n,
                                 unsigned flags, struct fcache_value *values, int *results);

/* `n` puts likewise, with FCACHE_KEEP_FIRST where the leases of all were granted to this handle.
 * `compute_ns` is the time of all together, divided evenly.
 * FCACHE_OK where all were stored, FCACHE_NOT_STORED where at least one was
 * not, FCACHE_ETOOBIG where one was too big (the others are stored). */
FCACHE_API int fcache_put_many(struct fcache *cache, const char *op, const char *view,
                               uint32_t top_k, const struct fcache_hash *prompts,
                               const struct fcache_bytes *values, size_t n, uint64_t compute_ns,
                               unsigned flags);

/* Computes one value into `value`, which is empty when called. 0, or an error
 * of the caller's own, best positive: it is returned unchanged. */
typedef int fcache_compute_fn(void *arg, struct fcache_value *value);

/* The value of `key`: from the cache; from another worker that computes it now, after a wait of
 * up to the handle's wait_ms; or by `compute`, whose value is then put. Where `compute` fails, the
 * next worker that waits computes.
 * Where another worker stored the key meanwhile, its value stays stored, and
 * this call still returns what its own `compute` returned. 0 with the value;
 * what `compute` returned, if not 0, with nothing counted or stored; or
 * FCACHE_EINVAL / FCACHE_ENAME / FCACHE_ENOMEM. A value that cannot be stored
 * (too big, daemon away) is returned all the same. */
FCACHE_API int fcache_cached(struct fcache *cache, const struct fcache_key *key,
                             fcache_compute_fn *compute, void *arg, struct fcache_value *value);

/* Where compute_misses leaves its values, in the order of its indices. */
struct fcache_batch;

/* Appends one value (copied). 0 or FCACHE_ENOMEM. */
FCACHE_API int fcache_batch_add(struct fcache_batch *batch, const void *data, size_t size);

/* Appends none, where what was computed is not to be stored: it counts as computed, its lease is
 * given up, and the caller's value of it becomes empty. 0 or FCACHE_ENOMEM. */
FCACHE_API int fcache_batch_skip(struct fcache_batch *batch);

/* Computes the prompts at `misses[0..n_misses)`, indices into the caller's
 * list in rising order, and adds one value for each, in order. 0, or an error
 * of the caller's own, returned unchanged. At that time values[i] of fcache_cached_batch is filled
 * for each prompt that was found or computed before, and as the caller gave it for the others. */
typedef int fcache_compute_misses_fn(void *arg, const size_t *misses, size_t n_misses,
                                     struct fcache_batch *batch);

/* All of `prompts`: looked up first, then what missed, and nobody else computes, by one call of
 * `compute_misses` (none if there is nothing such), then put; only then this waits for what others
 * compute, and what they give up, or are too long about, is computed by further calls, each with
 * all that is to be had at the time. A prompt that stands twice and misses is passed twice.
 * In the trace stand first the hits, then what was computed here, then what others computed.
 * values[0..n) are all filled on success; after a failure their contents are not to be used.
 * FCACHE_EBATCH "batched compute returned X values for Y misses" where the
 * numbers differ. Hits stay counted when compute_misses fails. */
FCACHE_API int fcache_cached_batch(struct fcache *cache, const char *op, const char *view,
                                   uint32_t top_k, const struct fcache_hash *prompts, size_t n,
                                   fcache_compute_misses_fn *compute_misses, void *arg,
                                   struct fcache_value *values);

/* How long fcache_cached and fcache_cached_batch wait from now on, as wait_ms in the options. */
FCACHE_API void fcache_set_wait(struct fcache *cache, uint32_t wait_ms);

/* The label of the lookups that follow, in the trace; NULL for none. Copied. */
FCACHE_API int fcache_set_probe(struct fcache *cache, const char *probe);

/* ---- looking and clearing ----------------------------------------------- */

/* What this handle did, as it saw it. */
struct fcache_counters {
  uint64_t cache_hits;
  uint64_t cache_misses;
  uint64_t forward_passes;
  uint64_t scoring_wall_ns; /* in lookups that hit, in waits that ended with a hit, and in computes;
                               waits that overlap count once, and so do nested calls */
  uint64_t batches_sent;    /* calls of compute_misses */
  uint64_t batched_prompts; /* misses passed to them */
  uint64_t max_batch_size;
  uint64_t degraded;    /* calls that found sharing off */
  uint64_t reconnects;  /* connections after the first */
  uint64_t too_big;     /* values that were not stored: larger than the daemon takes */
  uint64_t region_hits; /* of cache_hits, those that were read from shared memory */
  uint64_t unrecorded;  /* of those, the ones that the daemon could not be told of one by one: they
                           are missing in its counters, its trace and its order of use */
  uint64_t leases_granted;
  uint64_t coalesced_hits; /* of cache_hits, those that ended a wait for the computation of another
                              handle. What was put before the daemon made this one wait is not among
                              them */
  uint64_t lease_wait_ns;  /* waited for others, whatever came of it; waits that overlap count once
                            */
};
FCACHE_API void fcache_get_counters(const struct fcache *cache, struct fcache_counters *out);

/* True while the handle is connected; a false may turn true at any call. */
FCACHE_API bool fcache_connected(const struct fcache *cache);

enum fcache_stat_kind {
  FCACHE_STAT_COUNT,   /* `integer` */
  FCACHE_STAT_BYTES,   /* `integer` */
  FCACHE_STAT_SECONDS, /* `real` */
  FCACHE_STAT_RATIO,   /* `real`, 0 to 1, or an average */
  FCACHE_STAT_TEXT,    /* `text` */
};

/* One figure. Strings are valid during the callback, which may use the handle. */
struct fcache_stat {
  const char *name_space; /* NULL: of the whole daemon */
  const char *name;       /* "cache_hits", "bytes", ...: docs/operations.md has them all */
  enum fcache_stat_kind kind;
  uint64_t integer;
  double real;
  const char *text;
};
typedef void fcache_stat_fn(void *arg, const struct fcache_stat *stat);

/* Both look for the daemon at once where the handle is not connected, for one
 * deadline at most: they have no other result than the daemon's.
 *
 * The daemon's figures: first the whole daemon's, then each namespace's, those
 * of one together and in a fixed order. 0, FCACHE_EUNAVAILABLE, or an error. */
FCACHE_API int fcache_server_stats(struct fcache *cache, fcache_stat_fn *fn, void *arg);

/* Removes the entries of this handle's namespace with that view and that op
 * (NULL: any). Complete when it returns 0: what began to be computed before is
 * not stored after. *removed, where not NULL, is their number. FCACHE_EDENIED where
 * another user made the namespace, unless this one administers the daemon. */
FCACHE_API int fcache_clear(struct fcache *cache, const char *view, const char *op,
                            uint64_t *removed);

#ifdef __cplusplus
}
#endif
#endif
