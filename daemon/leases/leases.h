/* leases.h - the lease table: which connection computes which key, and which wait for it. One miss,
 * one forward pass.
 *
 * A plain state machine over keys, clients (one a connection), their processes and time stamps. The
 * caller passes the time, which never goes back. A key has at most one lease, and a lease one
 * owner.
 *
 *   a get of a missing key:  without a lease on it, the client is granted one if it wants it. With
 *                            one, the client waits if it may and can, or computes for itself.
 *   a put of the key:        ends the lease, whichever client made it. All waiters get the value.
 *   any other end:           the owner gave the lease up, died or exceeded its term, or the key was
 *                            cleared. The first waiter that wants the lease gets it, and the others
 *                            wait on. If none wants it, all compute for themselves.
 *
 * NO DEADLOCK BETWEEN CONNECTIONS. A client that holds a lease never waits. Its get with a wait is
 * answered with LEASE_NONE. When a client that waits is granted a lease, its other waits end, and
 * it may request those keys again. So no owner of a lease waits.
 *
 * DEADLOCK BETWEEN PROCESSES. A computation may hand work to other threads of its process, which
 * have other connections, and to processes that it creates for it: its helpers. So a process can
 * wait through all of its connections and helpers (leases_deadlock.c).
 *   - A helper that waits for a lease of the process that it helps waits for itself. Such a wait is
 *     refused (LEASE_NONE), and ends at once if a lease goes to such an owner.
 *   - Any other cycle in the wait-for graph may be a deadlock, or harmless because the threads of
 *     its processes are independent. Only time can show which. A wait that closes a cycle has a
 *     grace period of about the time that computations take in its namespace. If the cycle still
 *     exists then, the wait ends (LEASE_END_NONE). If not, it goes on as long as was requested.
 *     So a deadlock costs one grace, and independent computations are waited for.
 *   - A cycle within one process is not detected: threads that miss a key together compute it once,
 *     and look the same as threads that a computation waits for. Such a wait lasts its full time.
 *
 * OTHER NODES. While another node of a fleet computes a key, the fleet owns the key's lease here,
 * so that local clients wait for it as for any lease. The fleet is a client without a connection or
 * a process (`remote`). Its leases are not counted as granted, abandoned or expired, have no
 * record, and no share of one client bounds them. A wait for one may be part of a cycle that no
 * node sees as a whole. So it ends after a grace in which its process, or one that it helps, has
 * held leases all the time. Each cycle through several nodes contains such a wait.
 *
 * OVER A RESTART. With lease_records.h each lease also has a record in memory that survives the
 * daemon. The next daemon adopts it: its owner is then a client without a connection (`absent`),
 * until the handle that was granted the lease connects again (lease_owners.h). Others wait for it
 * as for any lease, a put from any connection ends it, and so does the death of its process.
 *
 * FAIR. First come, first served. An ended wait is due until it is answered. The caller answers
 * due waits in the order in which they ended (leases_next_due, leases_due_done).
 *
 * BOUNDED. Leases and waits, in all, for each client and for each user (users.h), the waits for one
 * lease, all times, and the memory. Beyond a bound the result is LEASE_NONE.
 *
 * Counts into the counters of the daemon and the namespace. One thread. */
#ifndef FC_DAEMON_LEASES_H
#define FC_DAEMON_LEASES_H

#include "daemon/base/timer_heap.h"
#include "daemon/base/users.h"
#include "daemon/leases/lease_records.h"
#include "daemon/store/namespace.h"
#include "proto/wall.h"
#include "proto/wire/message.h"

/* The grace is LEASES_GRACE_FACTOR times the smoothed time from a grant to its put, because most
 * computations take less than twice the mean. The minimum covers the delays of a busy machine. The
 * maximum bounds the cost of a client that is slow on purpose. */
#define LEASES_GRACE_FACTOR 2u
#define LEASES_GRACE_MIN_NS UINT64_C(100000000)
#define LEASES_GRACE_MAX_NS UINT64_C(10000000000)
#define LEASES_GRACE_UNKNOWN_NS UINT64_C(1000000000) /* before the first put of a lease */

/* Waits for one lease, of all clients together. A put ends them all at once, which takes about a
 * microsecond each while other requests wait. */
#define LEASES_WAITS_FOR_ONE_MAX 4096u

struct lease_wait;
struct lease_edge;

/* A process, as a node of the wait-for graph. Zero to start; leases_forget_process at the end.
 * Other modules only read it. */
struct lease_process {
  uint32_t held;                 /* leases of all its clients */
  uint64_t computing_since_ns;   /* when `held` last rose from 0 */
  struct lease_edge *edge_first; /* to the processes that its clients wait for */
  uint32_t edges;
  struct lease_process *helper_of; /* NULL: not a helper */
  struct lease_process *helper_first, *next_helper, *prev_helper;
  uint64_t delayed_ns, delayed_until_ns; /* by expired graces: in all, and the end of the last */
  uint64_t found_by;                     /* the latest search that found it */
  struct lease_process *next_found;
};

/* What one connection holds and waits for. Zero to start, except for the first fields;
 * leases_client_gone at the end. Other modules only read it. Either `held` or `waits` is 0. */
struct lease_client {
  struct user *user;             /* charged for its leases and waits; borrowed; NULL: none */
  struct lease_process *process; /* borrowed until leases_client_gone; NULL: not known */
  pid_t pid;                     /* the identity of the owner in its leases' records: */
  uint64_t start_time;           /* of the process, as peer.h has it; 0: not known */
  struct fc_hash handle;         /* of the hello; 0: none */
  bool absent;                   /* an adopted owner, without a connection: see lease_owners.h */
  bool remote;                   /* the fleet: other nodes compute its keys. It never waits */
  struct lease *held_first, *held_last; /* in the order of their grants */
  uint32_t held;
  struct lease_wait *wait_first, *wait_last; /* not ended, in the order of their requests */
  uint32_t waits;
  struct lease_wait *due_first, *due_last; /* ended, not answered */
  uint32_t due;
  struct fc_waits sharing;       /* of time, among its waits and the caller's other lookups */
  struct lease_client *next_due; /* in the table's queue */
  bool is_queued;                /* it is in that queue */
};

struct lease {
  struct namespace *ns;
  struct fc_key key; /* its names point into `names` */
  uint64_t digest;
  struct lease_client *owner; /* NULL: the lease has ended, and due waits still need its key */
  uint64_t serial;            /* higher for each later grant */
  uint64_t granted_ns;
  uint64_t delayed_before_ns; /* delayed_ns of its owner's process at the grant */
  struct timer_heap_entry term;
  struct lease_wait *wait_first, *wait_last; /* in the order of their requests */
  uint32_t waits;
  uint32_t record; /* of lease_records; 0: none */

  struct lease *next_held, *prev_held; /* of its owner */
  struct lease *next, *prev;           /* of all, by serial */
  struct lease *next_in_ns, *prev_in_ns;
  struct lease *next_in_bucket;
  uint32_t references; /* waits that are not freed, and the table's own */
  char names[];
};

/* How a wait ended. */
enum lease_end {
  LEASE_END_PUT,     /* the value was stored. If it is gone by now, as LEASE_END_AGAIN */
  LEASE_END_GRANTED, /* the lease is the waiter's now */
  LEASE_END_AGAIN,   /* the waiter was granted another lease: it may repeat the request */
  LEASE_END_NONE,    /* the waiter computes for itself: its time or grace is over, no waiter wants
                        the lease, the value cannot be stored, or it helps the new owner */
};

struct lease_wait {
  struct lease_client *waiter;
  struct lease *lease;
  uint32_t id;      /* of the request, for its reply */
  uint32_t flags;   /* of the request: enum fc_flags */
  bool wants;       /* the lease, if it becomes free */
  uint64_t term_ns; /* of that lease */
  uint64_t since_ns;
  uint64_t begun;   /* of fc_waits */
  uint64_t wall_ns; /* when it has ended: its share of the time, as fc_waits says */
  uint64_t requested_until_ns, grace_since_ns;
  struct timer_heap_entry until; /* before requested_until_ns: the end of its grace */
  enum lease_end end;
  struct lease_wait *next, *prev;                     /* of the lease */
  struct lease_wait *next_of_client, *prev_of_client; /* of the waiter. Due waits: next only */
  struct lease_edge *edge; /* NULL: same process, unknown process, or beyond a bound */
  struct fc_str probe;     /* points into probe_data; none: NULL */
  char probe_data[];
};

/* What happens to a lease, for leases->on_change. */
enum lease_change {
  LEASE_BEGINS,  /* it was granted, or handed over to another client */
  LEASE_PUT,     /* the next three end it for its owner: the value was stored */
  LEASE_ENDED,   /* given up, its key was cleared or deleted, or its client is gone */
  LEASE_EXPIRED, /* its term is over */
};

struct leases_limits {
  uint32_t leases, leases_each; /* in all, and of one client; at least 1 */
  uint32_t waits, waits_each;   /* the same, counted until they are answered */
  uint64_t time_max_ns;         /* of a term and of a wait, at least 1 */
};

struct leases {
  struct leases_limits limits;
  struct leases_limits highest; /* of each limit so far: earlier grants stay */
  struct counters *counters;    /* of the daemon; borrowed */
  uint32_t n, waits;            /* leases, and waits that have not ended */
  uint32_t due;                 /* waits that have ended and are not answered */
  size_t bytes;                 /* of the memory of leases and waits, names included */
  uint64_t serials;             /* given out */
  struct lease *first, *last;   /* by serial: the earliest grant first */
  struct lease **buckets;       /* owned; a power of two of them; NULL before the first lease */
  uint32_t n_buckets;
  struct timer_heap terms;                   /* of the leases */
  struct timer_heap untils;                  /* of the waits that have not ended */
  struct lease_client *due_first, *due_last; /* the queue of clients with due waits */
  uint64_t searches;                         /* of the wait-for graph so far */
  bool search_complete;                      /* the latest was not given up */
  uint32_t search_steps;                     /* of the latest */
  struct lease_records *records;             /* borrowed; NULL: leases end with the daemon */
  bool stopping;                             /* see leases_stop */
  /* Called when a lease has begun, and before it ends. It must change nothing. NULL: none. */
  void (*on_change)(void *arg, const struct lease *lease, enum lease_change change,
                    uint64_t now_ns);
  void *on_change_arg;
};

/* Returns limits for `most` leases and as many waits, of which one client may have a quarter. */
static inline struct leases_limits leases_limits_of(uint32_t most, uint64_t time_max_ms) {
  uint32_t each = most < 4 ? 1 : most / 4;
  return (struct leases_limits){.leases = most,
                                .leases_each = each,
                                .waits = most,
                                .waits_each = each,
                                .time_max_ns = time_max_ms * 1000000u};
}

/* The mean size of a lease or a wait with names of 60 bytes, and a constant part. */
#define LEASES_BYTES_EACH 320u
#define LEASES_BYTES_MORE 65536u
static inline size_t leases_bytes_allowed(const struct leases_limits *limits) {
  return ((size_t)limits->leases + limits->waits) * LEASES_BYTES_EACH + LEASES_BYTES_MORE;
}

/* Returns the most memory that a table with these limits takes. */
size_t leases_bytes_max(const struct leases_limits *limits);
/* Returns what this table takes now. */
size_t leases_bytes(const struct leases *leases);

void leases_init(struct leases *leases, const struct leases_limits *limits,
                 struct counters *counters);
void leases_deinit(struct leases *leases); /* all clients are gone */

/* Sets other limits. Leases and waits above a lower one stay until they end. */
void leases_set_limits(struct leases *leases, const struct leases_limits *limits);

/* Checks every list, count and bucket of the table. Takes time linear in its size: for tests. */
void leases_check(const struct leases *leases);

/* From now on a lease whose client is gone keeps its record, for the next daemon, and is handed to
 * no waiter: the client goes on computing. No wait begins any more. The caller has ended all waits
 * (leases_forget_waits). */
void leases_stop(struct leases *leases);

/* Ends the client's waits and frees its due ones, without answers. */
void leases_forget_waits(struct leases *leases, struct lease_client *client, uint64_t now_ns);

/* Makes the lease of a former daemon's record, which must be valid, for an absent owner. Counts no
 * grant. Returns false, with the record unchanged, if the key has a lease, its term is over, a
 * bound is reached, or memory is out. */
bool leases_adopt(struct leases *leases, struct lease_client *owner, struct namespace *ns,
                  uint64_t digest, uint32_t record, uint64_t now_ns);

/* Ends the leases of the absent owner at `end_ns` at the latest. */
void leases_limit_terms(struct leases *leases, struct lease_client *owner, uint64_t end_ns);

/* Moves all leases of the absent client `from` to `to`, which holds none and does not wait. */
void leases_transfer(struct leases *leases, struct lease_client *from, struct lease_client *to,
                     uint64_t now_ns);

/* `helper` was created for a computation of `of`, which may wait for it from now on. Call it once
 * for a process, before that process waits or holds a lease. */
void leases_set_helper(struct lease_process *helper, struct lease_process *of);

/* All clients of the process are gone. Ends its relations as a helper and to helpers. */
void leases_forget_process(struct lease_process *process);

struct lease_request {
  struct namespace *ns;
  uint64_t digest; /* of namespace and key, with a seed that no client knows: otherwise clients
                      could choose thousands of keys for one bucket */
  const struct fc_key *key;
  bool wants;       /* the lease, if there is none */
  uint64_t term_ns; /* of that lease; 0: FC_LEASE_MS_DEFAULT */
  uint64_t wait_ns; /* 0: it does not wait */
  uint32_t id, flags;
  struct fc_str probe; /* copied for a wait */
  /* A wait counts from then on, with the share `begun` of the client's `sharing`, which it takes
   * over. 0: from now on. */
  uint64_t since_ns, begun;
};

enum lease_answer {
  LEASE_NONE,    /* the client computes for itself, without a lease */
  LEASE_GRANTED, /* the lease is the client's */
  LEASE_TAKEN,   /* another client holds it, and wait_ns was 0 */
  LEASE_WAITS,   /* the answer comes when the wait ends */
};

/* Requests a lease on a key that is not stored, or a wait for it. A client that holds the key's
 * lease itself gets LEASE_NONE: its request is nested in its own computation. An absent owner
 * without a handle cannot connect again: its lease is granted to the first client of its process
 * that wants it. */
enum lease_answer leases_acquire(struct leases *leases, struct lease_client *client,
                                 const struct lease_request *request, uint64_t now_ns);

/* Returns the key's lease, or NULL. It is valid until the lease ends: see on_change. */
struct lease *leases_find(const struct leases *leases, const struct namespace *ns, uint64_t digest,
                          const struct fc_key *key);

/* Ends the key's lease, if there is one, because its value is stored. */
void leases_put(struct leases *leases, const struct namespace *ns, uint64_t digest,
                const struct fc_key *key, uint64_t now_ns);

/* Ends the client's lease on the key without a value. `for_all`: the value cannot be stored, so all
 * waiters compute for themselves. Returns false if the client does not hold that lease. */
bool leases_give_up(struct leases *leases, struct lease_client *client, const struct namespace *ns,
                    uint64_t digest, const struct fc_key *key, bool for_all, uint64_t now_ns);

/* Ends all leases of the client, and its waits, which become due (LEASE_END_NONE). Returns the
 * number of leases. */
uint32_t leases_give_up_all(struct leases *leases, struct lease_client *client, uint64_t now_ns);

/* Does the same for a client that is gone, and frees its due waits. Idempotent. */
void leases_client_gone(struct leases *leases, struct lease_client *client, uint64_t now_ns);

/* Ends the leases of cleared keys. `ns` NULL: all namespaces; `view` or `op` none: any. */
void leases_clear(struct leases *leases, const struct namespace *ns, struct fc_str view,
                  struct fc_str op, uint64_t now_ns);

/* Ends the lease of one key, if there is one, because the key was deleted. */
void leases_delete(struct leases *leases, const struct namespace *ns, uint64_t digest,
                   const struct fc_key *key, uint64_t now_ns);

/* Ends leases and waits whose time is over. */
void leases_expire(struct leases *leases, uint64_t now_ns);

/* Returns when to call leases_expire next, or UINT64_MAX for never. */
static inline uint64_t leases_next_ns(const struct leases *leases) {
  const struct timer_heap_entry *term = timer_heap_first(&leases->terms);
  const struct timer_heap_entry *until = timer_heap_first(&leases->untils);
  uint64_t term_ns = term == NULL ? UINT64_MAX : term->at_ns;
  uint64_t until_ns = until == NULL ? UINT64_MAX : until->at_ns;
  return term_ns < until_ns ? term_ns : until_ns;
}

/* Removes the next client with due waits from the queue. The caller answers them, now or when the
 * client has room for replies. The next wait that becomes due queues the client again. Returns NULL
 * if the queue is empty. */
struct lease_client *leases_next_due(struct leases *leases);

/* Frees the client's first due wait, which was answered. */
void leases_due_done(struct leases *leases, struct lease_client *client);

/* Returns the first lease by serial after `serial`, or NULL. A listing then follows ->next, because
 * this function walks the list from the start. */
const struct lease *leases_after(const struct leases *leases, uint64_t serial);

#endif
