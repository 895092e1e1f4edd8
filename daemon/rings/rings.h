/* rings.h - the rings of all connections: made out of one pool of memory, and read
 * when they are to be, so that order, counters and trace are as if each hit that a
 * client served itself had been a message.
 *
 * All rings are read, as if they were one (ring_merge.h), before each client's next
 * request and at its end (rings_drain, rings_detach), before anything is evicted or any
 * figure is told (rings_drain_all), and on a timer (rings_sweep). So the order of what
 * was served one after another is the true one, whichever clients it was; but for where
 * thousands of hits wait to be read, as ring_merge.h says.
 *
 * Each client gets a ring of one size, the base, for which the pool is large enough. Where that
 * is full it asks for a larger one, and gets it out of what no client to come will need. A ring
 * without news falls asleep: it is looked at by the timer alone, and the client's next hit wakes
 * it; and one that had grown gives its memory back: rings_idle.h.
 *
 * Where there are more than RINGS_TOGETHER awake, looking at all of them would make each request
 * dear: then a client's request and end have its own ring read alone, and in what order
 * it and others were served is known from one reading of all of them to the next.
 *
 * No trace line is lost for want of speed: while the trace is behind, rings are left
 * to fill, and a client whose ring is not empty waits for its reply; the reply to a ping
 * waits for room in the ring alone (rings_has_room). What an eviction
 * or a figure needs is counted all the same; the slots then stay taken until their
 * lines are made. So a client that is faster than the disk is bound by its ring, and
 * nobody else waits. The ring of a connection that ends while lines are owed lives on as
 * an orphan, until a sweep has made them; its memory is the pool's until then, so that
 * orphans are bounded, too: while there are very many, new clients get no rings, and ask again.
 *
 * A ring in which something is wrong is read no more, and its connection is to end:
 * see rings_fault. One thread; no loop. */
#ifndef FC_DAEMON_RINGS_H
#define FC_DAEMON_RINGS_H

#include "daemon/rings/client_ring.h"

#define RINGS_TOGETHER 64u
#define RINGS_AWAKE 16u /* so many are looked at without a cost that matters, idle or not */

struct rings_config {
  struct store *store;
  struct trace *trace;
  struct counters *counters; /* of the daemon */
  size_t pool_bytes;         /* rings_pool_bytes or more: else not every client gets a ring */
  unsigned max_clients;
};

struct rings {
  struct rings_config config;
  uint32_t base_slots;
  struct client_ring *first;  /* of those awake */
  struct client_ring *asleep; /* the first of the others: nothing of theirs is unread or owed */
  struct client_ring *next;   /* whose owed lines are made first; NULL: the first's */
  struct client_ring *orphans, *last_orphan; /* the oldest first */
  /* read by all */
  uint32_t n;          /* without orphans */
  uint32_t n_asleep;   /* of these */
  size_t used_bytes;   /* of the pool */
  uint64_t records;    /* hits that were read, ever */
  uint64_t hits;       /* of them, those that were counted */
  uint64_t unrecorded; /* hits that clients had no room for */
  uint64_t drain_ns;   /* CPU time that reading took */
  /* since the last sweep */
  bool seen_any, seen_many; /* some ring held something; more than an eighth of its slots */
  /* for rings_idle.c */
  uint64_t looked_ns; /* when idle rings were looked for */
  bool refused;       /* a client was given no ring, or none larger, since */
  bool attention;     /* a ring turned out bad, or somebody waits for the trace */
};

void rings_init(struct rings *rings, const struct rings_config *config);
void rings_deinit(struct rings *rings); /* asserts that no ring is left, nor an orphan */

static inline uint32_t rings_n_awake(const struct rings *rings) {
  return rings->n - rings->n_asleep;
}

/* What a ring of the pool costs it. */
size_t rings_charge(uint32_t n_slots);

/* A ring's memory is charged to the pool here alone, and released with `bytes` 0. */
void rings_recharge(struct rings *rings, struct client_ring *client, size_t bytes);

/* The pool's size: `budget_bytes`, or what the smallest rings of all clients take, and a quarter of
 * it to grow. */
size_t rings_pool_bytes(size_t budget_bytes, unsigned max_clients);

/* Makes a ring of the base size for a client of that account, as client_ring_new does.
 * `knows_state`: the client looks at the ring's state, see rings_idle.h. NULL: there is none to be
 * had now, for want of memory. */
struct client_ring *rings_attach(struct rings *rings, bool knows_state,
                                 const struct hits_account *account);

/* Makes a ring to take the place of `old`, of the same account, as far as that is counted: larger,
 * of up to `most_slots`; or, for 0 or where `old` is revoked, of the base size. NULL: there is none
 * to be had. The caller detaches `old` (rings_detach_replaced), once the client has the other. */
struct client_ring *rings_attach_anew(struct rings *rings, const struct client_ring *old,
                                      uint32_t most_slots);

/* The descriptor to hand to the client, and to be closed with rings_handed_over. */
int rings_fd(const struct client_ring *client);
void rings_handed_over(struct client_ring *client);

/* Reads it to its end, as rings_drain, and frees it, or makes it an orphan. The account's store and
 * namespace are not needed any more. */
void rings_detach(struct rings *rings, struct client_ring *client);

/* The same for a ring whose place another has taken. */
void rings_detach_replaced(struct rings *rings, struct client_ring *client);

/* Are there orphans? Each sweep makes lines of theirs, as the trace has room. */
static inline bool rings_owe_lines(const struct rings *rings) {
  return rings->orphans != NULL;
}

/* Before the trace is closed: makes the orphans' lines, whether it has room or not. */
void rings_pay_all(struct rings *rings);

/* Before a request of the client, NULL where it has no ring: reads all that was published until
 * now. False: the trace is behind, and something of this client's is left, or its lines; it is to
 * wait. Lines of the others may be owed after it. */
bool rings_drain(struct rings *rings, struct client_ring *client);

/* Before something is evicted: reads all rings that are awake. Lines may be owed after it. */
void rings_drain_awake(struct rings *rings);

/* As rings_drain for all rings, however many, those asleep among them, and nothing is left
 * uncounted. False: lines of the trace are still to be made. */
bool rings_drain_all(struct rings *rings);

/* What is owed now, after rings_drain_all, is to be made before the trace has another file: marks
 * it. The other: is some of that still owed? Under load something always is, but not that for long.
 */
void rings_mark(struct rings *rings);
bool rings_owe_to_mark(struct rings *rings);

/* For a timer: looks for idle rings; then the lines of orphans, then those that rings owe, then the
 * oldest hits of all rings, as much as one turn may take; nothing while the trace is behind.
 * Returns after how many milliseconds it is to be called again; 0: there are no rings, nor orphans.
 * `now_ns` is CLOCK_MONOTONIC. */
unsigned rings_sweep(struct rings *rings, uint64_t now_ns);
/* The same without a sweep: what is now known of the rings may ask for another one sooner. */
unsigned rings_period_ms(const struct rings *rings);

/* Can the client write again for a while: is a quarter of its slots free, as it was last looked at?
 */
bool rings_has_room(const struct client_ring *client);

/* NULL, or what is wrong with the ring, as a text that lives for ever. */
const char *rings_fault(const struct client_ring *client);

#endif
