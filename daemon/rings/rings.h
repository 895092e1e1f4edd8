/* rings.h - the rings of all connections: makes them out of one pool of memory, and reads them so
 * that LRU order, counters and trace are as if each recorded hit had been a message.
 *
 * WHEN. All rings are read, as one (ring_merge.h), before each client's next request and at its end
 * (rings_drain, rings_end), before an eviction (rings_drain_before_eviction), before statistics,
 * listings and clears (rings_drain_all), and by a timer (rings_sweep). So the order of hits that
 * were served one after another is exact across clients, except where ring_merge.h says otherwise,
 * and in these two cases. While more than RINGS_TOGETHER rings are awake, a request or an end reads
 * only the ring of its own client. While the trace is behind, hits stay in their rings. Then the
 * order of several clients' hits and messages is exact only from one reading of all rings to the
 * next.
 *
 * SIZE. Each client gets a ring of the base size, for which the pool has room. A client whose ring
 * is full asks for a larger one, out of memory that no future client needs. rings_idle.h says how
 * idle rings fall asleep and give memory back.
 *
 * TRACE. While the trace is behind, records stay in their rings, and a request of a client with
 * unread records waits. A client that is faster than the disk is slowed down by its full ring, and
 * other clients are not. The end of a client with unread records waits too, for a bounded time
 * (rings_end). An eviction, a clear, statistics and the trace's next file may not wait. They read
 * the rings all the same (TRACE_WRITE_NOW), and so does an end whose time is over (rings_detach).
 * Lines for which the trace has no room are then lost and counted (trace.h).
 *
 * A malformed ring is not read again, and its connection must end: see rings_error. Owns the client
 * rings. One thread. */
#ifndef FC_DAEMON_RINGS_H
#define FC_DAEMON_RINGS_H

#include "daemon/rings/client_ring.h"
#include "daemon/rings/ring_merge.h"
#include "daemon/rings/tsc_calibration.h"
#include "daemon/store/totals.h"

#define RINGS_TOGETHER 64u
#define RINGS_AWAKE 16u /* so many are looked at without measurable cost, idle or not */

struct rings_config {
  struct store *store;
  struct trace *trace;
  struct totals *totals; /* of the daemon */
  size_t pool_bytes;     /* at least rings_pool_bytes, or some clients get no ring */
  unsigned max_clients;
};

struct rings {
  struct rings_config config;
  uint32_t base_slots;
  struct client_ring *awake, *asleep; /* the two lists. No asleep ring has a record that was seen */
  /* read by all */
  uint32_t n;        /* rings, in both lists or new */
  uint32_t n_asleep; /* of them */
  size_t used_bytes; /* of the pool */
  /* since the last sweep */
  bool seen_any, seen_many; /* some ring had news; more than an eighth of its slots */
  bool attention;           /* a ring turned out malformed, or a client waits for the trace */
  struct tsc_calibration calibration; /* of the clock by which clients stamp their hits */
  /* for rings_idle.c */
  uint64_t looked_ns; /* the last look for idle rings */
  bool refused;       /* a client got no ring, or no larger one, since then */
};

void rings_init(struct rings *rings, const struct rings_config *config);
void rings_deinit(struct rings *rings); /* all rings are detached */

/* Sets another number of clients and another pool. The size of the rings of further clients follows
 * from both. Rings that are attached keep theirs. */
void rings_set_pool(struct rings *rings, size_t pool_bytes, unsigned max_clients);

/* Checks that the lists, the number of rings and the pool's bytes agree. Walks all rings: for
 * tests. */
void rings_check(const struct rings *rings);

static inline uint32_t rings_n_awake(const struct rings *rings) {
  return rings->n - rings->n_asleep;
}

/* Returns the bytes of the pool that a ring takes. */
size_t rings_charge(uint32_t n_slots);

/* Charges a ring with `bytes` of the pool instead of its former charge. */
void rings_recharge(struct rings *rings, struct client_ring *client, size_t bytes);

/* Returns the pool's size: `budget_bytes`, or if that is less, the smallest rings of all clients
 * and a quarter of the budget for growth. */
size_t rings_pool_bytes(size_t budget_bytes, unsigned max_clients);

/* Makes a ring of the base size for a client. Copies the account and its names. `knows_state`: the
 * client reads the ring's state (rings_idle.h). Returns NULL if the pool or the system has no
 * memory now. */
struct client_ring *rings_attach(struct rings *rings, bool knows_state,
                                 const struct hits_account *account);

/* Makes a ring to replace `old`, with its account as counted so far. It is larger, with up to
 * `most_slots`, or of the base size if `most_slots` is 0 or `old` is revoked. Returns NULL if there
 * is none. When the client has the new ring, the caller detaches `old` with
 * rings_detach_replaced. */
struct client_ring *rings_attach_anew(struct rings *rings, const struct client_ring *old,
                                      uint32_t most_slots);

/* Returns the descriptor to send to the client. rings_handed_over closes it. */
int rings_fd(const struct client_ring *client);
void rings_handed_over(struct client_ring *client);

/* Shows the client that its ring has ended, and reads it. Returns false if the trace is behind and
 * records are unread. Call it again after rings_sweep, or give up the wait with rings_detach. */
bool rings_end(struct rings *rings, struct client_ring *client);

/* Reads the ring to its end and frees it. Does not wait for the trace. */
void rings_detach(struct rings *rings, struct client_ring *client);

/* The same for a ring that another one has replaced. */
void rings_detach_replaced(struct rings *rings, struct client_ring *client);

/* Reads all rings before a request of `client` (NULL: the client has no ring). Returns false if the
 * trace is behind and records of this client are unread. Then the request must wait for
 * rings_sweep. */
bool rings_drain(struct rings *rings, struct client_ring *client);

/* Reads all awake rings. Does not wait for the trace. */
void rings_drain_before_eviction(struct rings *rings);

/* Reads all rings, asleep ones too. Does not wait for the trace. */
void rings_drain_all(struct rings *rings);

/* Adds the counted hits of all rings to the usage (hits_flush_usage). */
void rings_flush_usage(struct rings *rings);

/* For a timer: looks for idle rings, then applies the oldest hits of all rings, as many as one turn
 * may take. Applies nothing while the trace is behind. `now_ns` is CLOCK_MONOTONIC. Returns after
 * how many milliseconds to call it again, or 0 if there are no rings. */
unsigned rings_sweep(struct rings *rings, uint64_t now_ns);
/* Returns the same without a sweep. A request may have found news that makes the time shorter. */
unsigned rings_period_ms(const struct rings *rings);

/* Returns whether rings_calibrate should be called now: for the timer, while there are rings. */
bool rings_calibration_due(const struct rings *rings, uint64_t now_ns);

/* Publishes the calibration of the clients' clock in the region (tsc_calibration_publish). */
void rings_calibrate(struct rings *rings, bool usable);

/* Returns whether the client can record hits for a while: a quarter of its slots is free, as last
 * looked at. */
bool rings_has_room(const struct client_ring *client);

/* Returns NULL, or a static string that names the fault of the ring. */
const char *rings_error(const struct client_ring *client);

#endif
