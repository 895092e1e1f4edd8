/* leases.h - who computes what, and who waits for it: one miss, one forward pass.
 *
 * A plain state machine over keys, holders (one a connection), their processes and time stamps that
 * are given as arguments and never go back: no loop, no socket, no clock. A key has at most one
 * lease, and a lease one owner.
 *
 *   asked for a key    nobody computes it: the asker gets the lease, if it wants it;
 *                      else the asker waits, if it may and can, or computes for itself.
 *   the lease ends     by a put of its key, whoever made it: all who wait get the value;
 *                      because its owner gave it up, failed, died, or was too long about it, or its
 *                      key was cleared: the first who waits and wants it gets the lease, the others
 *                      wait on; where none wants it, they are told to compute for themselves.
 *
 * NO DEADLOCK. A holder that has a lease never waits: asking with a wait, it is told to compute for
 * itself; and when it is granted a lease while it waits for others (it asked for several keys),
 * those waits end, to be asked for anew. So whoever is waited for is not waiting.
 *   A computation may also hand work to other threads of its process, which have other holders, and
 * to processes that it creates for that: its helpers. So a process as a whole may wait for the
 * processes that its holders wait for, and for its helpers.
 *   Certain: a helper that waits for a lease of the process that it helps waits for itself. Such
 * a wait is refused (LEASE_NONE), and ends at once where a lease goes to such an owner.
 *   A guess: a circle of processes. It is a deadlock if their computations wait for these very
 * waits, and harmless if their threads are independent. Only time can tell: a wait that closes a
 * circle lasts for a grace at most, which is about the time that computations take in its
 * namespace. Then the wait ends (LEASE_END_NONE) if the circle still exists, and goes on for as
 * long as was asked if not. So a deadlock costs one grace, and an independent computation is
 * waited for. A circle that is too large to be searched is taken for one.
 *   Within one process a wait closes no circle: its threads that miss a key together compute it
 * once, and cannot be told from threads that a computation waits for. Where it does, the wait
 * lasts until its time is over.
 *
 * FAIR. First come, first served. What ends a wait makes it `due`: the caller takes what is due
 * (leases_next_due, leases_due_done) and answers, in the order in which it became so.
 *
 * BOUNDED. Leases and waits, in all, for each holder and for each user (users.h), the waits for one
 * lease, and the memory of all; past a bound, and without memory, the answer is LEASE_NONE. Times
 * are bounded too.
 *
 * Counts into the daemon's counters and the namespace's. One thread. */
#ifndef FC_DAEMON_LEASES_H
#define FC_DAEMON_LEASES_H

#include "daemon/base/timer_heap.h"
#include "daemon/base/users.h"
#include "daemon/store/namespace.h"
#include "proto/wall.h"
#include "proto/wire/message.h"

/* The grace is LEASES_GRACE_FACTOR times the smoothed time from a lease's grant to its put: most
 * computations take less than twice the mean. Within bounds: the least is what a busy machine adds
 * to short ones, and the most is what a client that is slow on purpose can cost the others. */
#define LEASES_GRACE_FACTOR 2u
#define LEASES_GRACE_MIN_NS UINT64_C(100000000)
#define LEASES_GRACE_MAX_NS UINT64_C(10000000000)
#define LEASES_GRACE_UNKNOWN_NS UINT64_C(1000000000) /* while no lease was put */

/* Waits for one lease, of all holders together: a put of its key ends them all at once, which takes
 * about a microsecond each while others have no turn. */
#define LEASES_WAITS_FOR_ONE_MAX 4096u

struct lease_wait;
struct lease_edge;

/* A process, as far as its holders hold and wait. Zero to start; leases_forget_process at the end.
 * Read it, do not write. */
struct lease_process {
  uint32_t held;                 /* leases, of all its holders */
  uint64_t computing_since_ns;   /* when `held` was last 0, if it is not 0 now */
  struct lease_edge *edge_first; /* to the processes that its holders wait for */
  uint32_t edges;
  struct lease_process *helper_of; /* NULL: of none */
  struct lease_process *helper_first, *next_helper, *prev_helper;
  uint64_t delayed_ns, delayed_until_ns; /* by graces in vain, in all, and by the last one */
  uint64_t found_by;                     /* the latest search that found it */
  struct lease_process *next_found;
};

/* One connection's part. Zero to start, but for `user` and `process`; leases_leave at the end. Read
 * it, do not write. */
struct lease_holder {
  struct user *user; /* whose leases and waits are charged; borrowed; NULL: nobody's */
  struct lease_process
      *process; /* borrowed, until leases_leave; NULL: not known, it is in no circle
                 */
  struct lease *held_first, *held_last; /* in the order in which they were granted */
  uint32_t held;
  struct lease_wait *wait_first, *wait_last; /* that are not over, in the order of their asking */
  uint32_t waits;
  struct lease_wait *due_first, *due_last; /* over, not yet answered */
  uint32_t due;
  struct fc_waits sharing; /* of time, among its waits and, by the dispatcher, its other lookups */
  struct lease_holder *next_due; /* in the table's queue */
  bool is_due;                   /* it is in that queue */
};

struct lease {
  struct namespace *ns;
  struct fc_key key; /* its names point into `names` */
  uint64_t digest;
  struct lease_holder *owner; /* NULL: over; kept for the due waits that look at its key */
  uint64_t serial;            /* another, higher one for each grant */
  uint64_t granted_ns;
  uint64_t delayed_before_ns; /* its owner's process, then */
  struct deadline term;
  struct lease_wait *wait_first, *wait_last; /* in the order of their asking */
  uint32_t waits;

  struct lease *next_held, *prev_held; /* of its owner */
  struct lease *next, *prev;           /* of all, by serial */
  struct lease *next_in_ns, *prev_in_ns;
  struct lease *next_in_bucket;
  uint32_t references; /* waits that are not freed, and the table's own */
  char names[];
};

/* How a wait ends. */
enum lease_end {
  LEASE_END_PUT,     /* the value is stored: look it up (it may be gone again: then as AGAIN) */
  LEASE_END_GRANTED, /* the lease is the waiter's now */
  LEASE_END_AGAIN,   /* it was granted another lease; or nothing is known: it may ask again */
  LEASE_END_NONE,    /* it is to compute for itself: its time is over, or it does not want the lease
                        that nobody else wants, or the value cannot be stored, or its grace in a
                        circle is over, or it helps the lease's new owner */
};

struct lease_wait {
  struct lease_holder *holder;
  struct lease *lease; /* whose key it is */
  uint32_t id;         /* of the request, for its reply */
  uint32_t flags;      /* of the request: enum fc_flags */
  bool wants;          /* the lease, should it become free */
  uint64_t term_ns;    /* of that lease */
  uint64_t since_ns;
  uint64_t begun;   /* of fc_waits */
  uint64_t wall_ns; /* once it is over: its share of the time, as fc_waits has it */
  uint64_t asked_until_ns, grace_since_ns;
  struct deadline until; /* before asked_until_ns: it closed a circle, and this ends its grace */
  enum lease_end end;
  struct lease_wait *next, *prev;                     /* of the lease */
  struct lease_wait *next_of_holder, *prev_of_holder; /* of the holder; `due` ones by the first */
  struct lease_edge *edge; /* NULL: within a process, or not known, or past a bound */
  struct fc_str probe;     /* points into probe_data; none: NULL */
  char probe_data[];
};

struct leases_limits {
  uint32_t leases, leases_each; /* in all, and of one holder; at least 1 */
  uint32_t waits, waits_each;   /* likewise; until they are answered */
  uint64_t time_max_ns;         /* of a term and of a wait, whatever was asked for; at least 1 */
};

struct leases {
  struct leases_limits limits;
  struct counters *counters;  /* of the daemon; borrowed */
  uint32_t n, waits;          /* leases, and waits that are not over */
  uint32_t due;               /* waits that are over, not yet answered */
  size_t bytes;               /* of the memory of leases and waits, names included */
  uint64_t serials;           /* given out */
  struct lease *first, *last; /* by serial: the one granted longest ago first */
  struct lease **buckets;     /* owned; a power of two of them; NULL while there was never any */
  uint32_t n_buckets;
  struct deadlines terms;                    /* of the leases */
  struct deadlines untils;                   /* of the waits that are not over */
  struct lease_holder *due_first, *due_last; /* holders with something due */
  uint64_t searches;                         /* for circles, so far */
  bool search_ended;                         /* the latest found all that there is to be found */
  uint32_t search_steps;                     /* that the latest took */
};

/* The limits for `most` leases, and as many waits, of which a holder may have a quarter. */
static inline struct leases_limits leases_limits_of(uint32_t most, uint64_t time_max_ms) {
  uint32_t each = most < 4 ? 1 : most / 4;
  return (struct leases_limits){.leases = most,
                                .leases_each = each,
                                .waits = most,
                                .waits_each = each,
                                .time_max_ns = time_max_ms * 1000000u};
}

/* What a lease or a wait may take on average, names of 60 bytes included; and beside that. */
#define LEASES_BYTES_EACH 320u
#define LEASES_BYTES_MORE 65536u
static inline size_t leases_bytes_allowed(const struct leases_limits *limits) {
  return ((size_t)limits->leases + limits->waits) * LEASES_BYTES_EACH + LEASES_BYTES_MORE;
}

/* Memory that a table with these limits may take. */
size_t leases_bytes_max(const struct leases_limits *limits);
/* What it takes now. */
size_t leases_bytes(const struct leases *leases);

void leases_init(struct leases *leases, const struct leases_limits *limits,
                 struct counters *counters);
/* All holders have left. */
void leases_deinit(struct leases *leases);

/* `helper` was created for a computation of `of`, which may wait for it from now on. Once for a
 * process, before it waits or is waited for. */
void leases_set_helper(struct lease_process *helper, struct lease_process *of);

/* All its holders have left. It is nobody's helper, and has none, any more. */
void leases_forget_process(struct lease_process *process);

struct lease_request {
  struct namespace *ns;
  uint64_t digest; /* of namespace and key. The caller sees that no client can predict it, or keys
                      by the thousand could share a bucket */
  const struct fc_key *key;
  bool wants;       /* the lease, if nobody has it */
  uint64_t term_ns; /* of that lease; 0: FC_LEASE_MS_DEFAULT */
  uint64_t wait_ns; /* 0: it does not wait */
  uint32_t id, flags;
  struct fc_str probe; /* copied for a wait */
};

enum lease_answer {
  LEASE_NONE,    /* compute for yourself */
  LEASE_GRANTED, /* the lease is the holder's */
  LEASE_TAKEN,   /* somebody else computes it, and wait_ns was 0 */
  LEASE_WAITS,   /* the answer comes when the wait is over */
};

/* `holder` looked for the key, and it is not stored. One that has this key's lease itself is told
 * LEASE_NONE: it is nested in its own computation. */
enum lease_answer leases_ask(struct leases *leases, struct lease_holder *holder,
                             const struct lease_request *request, uint64_t now_ns);

/* The key's value is stored. */
void leases_put(struct leases *leases, const struct namespace *ns, uint64_t digest,
                const struct fc_key *key, uint64_t now_ns);

/* `holder` does not provide the key's value, of which it may have the lease (else nothing happens,
 * and false). `for_all`: nobody can, the value cannot be stored; all who wait are told to compute
 * for themselves. */
bool leases_give_up(struct leases *leases, struct lease_holder *holder, const struct namespace *ns,
                    uint64_t digest, const struct fc_key *key, bool for_all, uint64_t now_ns);

/* All that it has, and its waits, which become due (LEASE_END_NONE). Returns the number of leases.
 */
uint32_t leases_give_up_all(struct leases *leases, struct lease_holder *holder, uint64_t now_ns);

/* It is gone: the same, and nothing of it is due. Idempotent. */
void leases_leave(struct leases *leases, struct lease_holder *holder, uint64_t now_ns);

/* Entries were cleared: `ns` NULL: all; `view` and `op` none: any. */
void leases_clear(struct leases *leases, const struct namespace *ns, struct fc_str view,
                  struct fc_str op, uint64_t now_ns);

/* Ends what has had its time. */
void leases_expire(struct leases *leases, uint64_t now_ns);

/* When leases_expire is to be called next; UINT64_MAX: not at all. */
uint64_t leases_next_ns(const struct leases *leases);

/* Takes the next holder with something due off the queue: now, or when it has room for replies, its
 * due waits are to be answered. It is queued again with the next one that becomes due. NULL: there
 * is none. */
struct lease_holder *leases_next_due(struct leases *leases);

/* Frees the holder's first due wait, which was answered. */
void leases_due_done(struct leases *leases, struct lease_holder *holder);

/* The first lease by serial after `serial`; NULL: none. For listings: it walks the list, so the
 * further ones are to be had by ->next. */
const struct lease *leases_after(const struct leases *leases, uint64_t serial);

#endif
