/* fleet.h - shares results with other nodes through the tier: reads through on a local miss,
 * publishes behind a local put, and lets one node of the fleet compute a key.
 *
 * A FILL is one attempt to get one key's value from the fleet. It begins with a local miss.
 *   ASKING   The tier is asked for the value. Sessions that need it are parked.
 *   LEASING  The tier has none: takes the fleet lease of the key, and looks once more.
 *   OFFERED  The fleet lease is ours. The parked sessions run again, and the first that requests
 *            the local lease computes. Without one within a second the fleet lease is released.
 *   HELD     A local worker computes. The fleet lease is renewed while the local lease has an
 *            owner, whichever it is. The put publishes the value and releases the fleet lease.
 *   REMOTE   Another node computes. This fleet owns the local lease (config.client), so that local
 *            workers wait for it. The tier is asked once for the whole node, now and then
 *            (fleet_polls.h). A value ends all waits. A fleet lease that is free becomes ours, and
 *            the local lease passes to the first waiter.
 * A fill ends without the tier after a failure, a deadline or at a bound. Then local workers share
 * as without a tier. A fill never outlives its deadline for the sessions that wait for it.
 *
 * A PUT that was stored is copied to a queue, bounded in bytes and in age (fleet_queue.h). The
 * first value stays (SET NX); only a put without keep_first replaces an older one. Where the tier
 * has another value than this node, or a write was dropped, the key is marked as own
 * (fleet_own.h): this node reads it no more from the tier, so it never returns an older value after
 * a newer one.
 *
 * The fleet lease is for efficiency only: a second computation is waste, and the first value stays
 * whatever happens to the lease (docs/decisions/0102).
 *
 * RULES. The struct must not move. Callbacks of the config are called by fleet_tick and by replies
 * of the transport, never by a function of this header that a request calls; they must not call
 * back. The fleet calls functions of store and leases, so a borrowed entry is not valid after
 * fleet_begin and fleet_miss. Times are CLOCK_MONOTONIC. One thread. */
#ifndef FC_DAEMON_FLEET_H
#define FC_DAEMON_FLEET_H

#include "daemon/base/timer_heap.h"
#include "daemon/fleet/fleet_clears.h"
#include "daemon/fleet/fleet_counts.h"
#include "daemon/fleet/fleet_io.h"
#include "daemon/fleet/fleet_key.h"
#include "daemon/fleet/fleet_own.h"
#include "daemon/fleet/fleet_polls.h"
#include "daemon/fleet/fleet_queue.h"
#include "daemon/leases/leases.h"
#include "daemon/store/namespace_table.h"

#define FLEET_FILLS_MAX 16384u /* at a time: about 1.2 KiB each */

struct fleet_fill;
struct fleet_round;

/* A session that may be parked on a fill. Zero at the start; fleet_leave at the end. */
struct fleet_waiter {
  struct fleet_fill *fill; /* NULL: not parked */
  struct fleet_waiter *next, *prev;
  uint64_t since_ns; /* when it was parked last, for the listings */
};

/* Those that may change at run time. */
struct fleet_options {
  uint64_t deadline_ns;  /* of an operation, and of the sessions that wait for a fill */
  uint64_t ttl_ns;       /* of values in the tier; 0: for ever */
  uint64_t queue_age_ns; /* a write that is older is dropped */
};

struct fleet_config {
  struct store *store; /* borrowed, as every pointer here */
  struct leases *leases;
  struct namespace_table *namespaces;
  /* Owns the local leases of REMOTE fills: without a process, without a session. Its owner must
   * keep it out of lease records, and end what it holds (leases_client_gone) before the leases end.
   */
  struct lease_client *client;
  struct fleet_io *io;
  struct fleet_clears *clears;
  struct tier_totals *totals; /* of the cache: raised with the counts; NULL: none */
  struct fc_str prefix;       /* valid (fleet_prefix_valid); outlives the fleet */
  uint64_t node;              /* random, not 0: names this node in leases and values */
  uint64_t seed;              /* of the jitter */
  bool reads, writes;         /* --tier-mode. A node without `writes` takes no leases */
  uint64_t lease_ns;          /* of a fleet lease that is not renewed */
  size_t queue_bytes;         /* bound of the write queue */
  uint32_t max_fills;         /* at most FLEET_FILLS_MAX are used */
  struct fleet_options options;
  /* Whether the namespace uses the tier (--tier-namespaces). NULL: all. */
  bool (*selects)(void *arg, const struct namespace *ns);
  /* The waiter is parked no more: its frame is dispatched again, in this turn or the next. */
  void (*resume)(void *arg, struct fleet_waiter *waiter);
  /* Waits of the lease table became due: leases_next_due has them. NULL: none. */
  void (*waits_due)(void *arg);
  void *arg;
};

struct fleet {
  struct fleet_config config;
  struct fleet_counts counts;
  struct tier_totals own_totals; /* if the config has none */
  struct fleet_queue queue;
  struct fleet_own own;
  bool stopping;
  /* private to the fleet_*.c */
  uint64_t random;
  uint64_t wall_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC, as last set */
  uint64_t last_stamp;
  struct fleet_pace pace;      /* of the polls */
  uint64_t tokens;             /* given out */
  struct fleet_fill **buckets; /* owned; a power of two of them */
  uint32_t n_buckets;
  struct fleet_fill *first; /* all that are not freed, also those whose key may have a new one */
  uint32_t n, n_parked;
  uint32_t n_in_state[8];
  size_t bytes;      /* of fills and rounds */
  size_t kept_bytes; /* of values that wait for a version */
  struct timer_heap timers;
  struct fleet_round *round; /* the version that fills of this turn ask for; NULL: none */
  struct fleet_round *first_round, *last_round; /* all, oldest first */
};

/* Returns the most memory that a fleet takes, with its queue. */
size_t fleet_bytes_max(const struct fleet_config *config);
/* Returns what it takes now. */
size_t fleet_bytes(const struct fleet *fleet);

/* Returns 0 or FC_ENOMEM. Sets config->clears->refreshed. */
int fleet_init(struct fleet *fleet, const struct fleet_config *config);

/* Cancels all operations and frees everything. No session is parked. The client holds no lease.
 * Idempotent. */
void fleet_deinit(struct fleet *fleet);

/* Sets other options, for what begins from now on. */
void fleet_set_options(struct fleet *fleet, const struct fleet_options *options);

/* Sets the wall clock, for stamps. Call it at the start and now and then, because it may be set. */
void fleet_set_wall(struct fleet *fleet, uint64_t now_ns, uint64_t unix_ns);

/* Returns a stamp for a write: the wall clock, but above every stamp that was made or seen. */
uint64_t fleet_stamp(struct fleet *fleet, uint64_t now_ns);

enum fleet_answer {
  FLEET_GO_ON,  /* the request goes on without the tier: it acquires the local lease, or computes */
  FLEET_WAITS,  /* a fill asks the tier: see below */
  FLEET_STORED, /* the value is in the store now: look again */
};

/* Begins a fill of a key that is not stored, unless it has one. `digest` is that of the lease table
 * (fc_key_digest with the lease table's seed). Parks no session. FLEET_WAITS: the key's fill is
 * asking the tier; fleet_wait parks a session on it. */
enum fleet_answer fleet_begin(struct fleet *fleet, struct namespace *ns, uint64_t digest,
                              const struct fc_key *key, uint64_t now_ns);

/* Parks the waiter, which is not parked, if the key's fill is asking the tier: FLEET_WAITS, and
 * config.resume follows within the deadline (four deadlines if a large reply is arriving). Else
 * FLEET_GO_ON. A session that was resumed looks into the store, and does not begin a fill again for
 * the same request: its caller keeps note. */
enum fleet_answer fleet_wait(struct fleet *fleet, struct fleet_waiter *waiter,
                             const struct namespace *ns, uint64_t digest, const struct fc_key *key,
                             uint64_t now_ns);

/* Does both. */
enum fleet_answer fleet_miss(struct fleet *fleet, struct fleet_waiter *waiter, struct namespace *ns,
                             uint64_t digest, const struct fc_key *key, uint64_t now_ns);

/* The waiter's session is gone: it is parked no more, and not resumed. Idempotent. */
void fleet_leave(struct fleet *fleet, struct fleet_waiter *waiter);

/* A local put was stored (FC_STORED): queues it for the tier. Call it before leases_put. `value` is
 * copied. */
void fleet_put(struct fleet *fleet, const struct namespace *ns, uint64_t digest,
               const struct fc_key *key, const struct store_put_info *info, const void *value,
               uint32_t size, uint64_t now_ns);

/* For leases->on_change: each change of each lease, also of those that the fleet's own calls cause.
 * Changes no lease. */
void fleet_lease_changed(struct fleet *fleet, const struct lease *lease, enum lease_change change,
                         uint64_t now_ns);

/* Returns whether the key has a REMOTE fill: its local lease is of another node's computation. */
bool fleet_is_remote(const struct fleet *fleet, const struct lease *lease);

/* Does what is due. Call it at fleet_next_ns (UINT64_MAX: never), which calls of other functions
 * change. A late call does no harm. */
void fleet_tick(struct fleet *fleet, uint64_t now_ns);
uint64_t fleet_next_ns(const struct fleet *fleet);

/* Begins the end: resumes all waiters, releases the fleet leases, begins no fill any more, and
 * sends what is queued. The caller lets the loop run until fleet_is_idle, or a deadline. */
void fleet_stop(struct fleet *fleet, uint64_t now_ns);
bool fleet_is_idle(const struct fleet *fleet);

struct fleet_gauges fleet_gauges(const struct fleet *fleet, uint64_t now_ns);

/* Checks all lists and counts. For tests. */
void fleet_check(const struct fleet *fleet);

#endif
