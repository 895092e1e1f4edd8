/* dispatch.h - executes requests: decodes the body of a frame, calls the handler of its message,
 * and sends replies through the session's sink. Sessions, store, leases, rings and trace meet here.
 *
 * Knows neither sockets nor the loop. One thread. */
#ifndef FC_DAEMON_DISPATCH_H
#define FC_DAEMON_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/fleet/fleet_report.h"
#include "daemon/latency/latency.h"
#include "daemon/leases/lease_owners.h"
#include "daemon/leases/processes.h"
#include "daemon/requests/control.h"
#include "daemon/requests/reply_sink.h"
#include "daemon/requests/session.h"
#include "daemon/rings/rings.h"
#include "daemon/store/namespace_table.h"
#include "daemon/store/store_clear.h"
#include "daemon/store/totals.h"
#include "daemon/usage/usage.h"
#include "daemon/watch/watch.h"
#include "proto/wire/message.h"

struct log;
struct trace;
struct clear_job;

/* The daemon's memory for the stats, by part. */
#define MEMORY_REPORT_PARTS_MAX 16u
struct memory_report {
  uint64_t used_bytes, bound_bytes; /* of all parts */
  uint32_t n;
  struct memory_report_part {
    const char *name; /* static: "region", "messages", ... */
    uint64_t used_bytes, bound_bytes;
  } parts[MEMORY_REPORT_PARTS_MAX];
};

/* How the cache outlives its daemon, for the stats. The counters of this are in struct totals. */
struct survival_report {
  uint64_t cache_id;        /* of the catalog; 0: the memory is private to the process */
  uint64_t migrating_bytes; /* of earlier regions that still hold entries */
  bool keeps_snapshots;     /* there is a state directory. If not, the rest is not shown */
  const char
      *snapshot_result;     /* static: "none", "complete", "running" or "failed", of the last one */
  uint64_t snapshot_age_ns; /* of the last complete one; UINT64_MAX: there is none */
  bool snapshot_late;       /* for several intervals there has been none: see snapshot_is_late */
  uint64_t snapshot_interval_ns;             /* 0: no timer */
  uint64_t snapshot_ns;                      /* its duration, */
  uint64_t snapshot_entries, snapshot_bytes; /* and its content */
};

/* Clears whose clients have left (clear_requests.c). At most CLEAR_REQUESTS_QUEUED_MAX of them have
 * not started, and none of those covers another. Started ones come first. */
#define CLEAR_REQUESTS_QUEUED_MAX 256u
struct clear_queue {
  struct clear_job *first;
  uint32_t n; /* not started */
};

struct dispatch_config {
  struct store *store; /* borrowed, as every pointer here */
  struct namespace_table *namespaces;
  struct trace *trace;
  struct log *log;
  struct users *users;
  uint64_t boot_id;
  unsigned max_clients;
  const size_t *frames_bytes, *replies_bytes; /* memory of messages, for the stats */
  void (*memory_report)(void *arg, struct memory_report *report); /* NULL: no memory stats */
  void *memory_arg;
  struct control control; /* of snapshots and settings; zeroed: the daemon has none */
  /* NULL: no stats of snapshots and of memory that is taken over */
  void (*survival_report)(void *arg, struct survival_report *report);
  void *survival_arg;
  struct tier_source tier; /* zeroed: the daemon has no tier */
  struct totals *totals;   /* of the cache, after totals_begin; NULL: those of this struct alone */
  struct latency *latency; /* NULL: times are not measured */
  const struct region *region; /* to hand to clients; NULL: clients cannot map it */
  size_t ring_pool_bytes;      /* of all rings together */
  struct leases_limits leases;
  uint64_t secret; /* random; no client can find it out. Unused if the totals have one */
  struct lease_records *lease_records; /* NULL: leases end with the daemon */
  /* Boot ids of the earlier daemons of this cache, whose epochs are valid in puts. `boot_id` need
   * not be among them. NULL: none. */
  const uint64_t *boots;
  uint64_t n_boots;
};

struct dispatch {
  struct store *store;
  struct namespace_table *namespaces;
  struct trace *trace;
  struct log *log;
  const struct users *users;
  const size_t *frames_bytes, *replies_bytes;
  void (*memory_report)(void *arg, struct memory_report *report);
  void *memory_arg;
  struct control control;
  void (*survival_report)(void *arg, struct survival_report *report);
  void *survival_arg;
  struct tier_source tier;
  uint64_t boot_id, secret;
  const uint64_t *boots; /* see struct dispatch_config */
  uint64_t n_boots;
  uint64_t started_ns;      /* CLOCK_MONOTONIC */
  uint64_t started_unix_ns; /* CLOCK_REALTIME at the same time */
  unsigned max_clients;
  const struct region *region;
  uint64_t unlisted_limit_bytes; /* see reclaim.h */

  unsigned slices[SLICE_KINDS]; /* slices that may be executed now; set by the caller */
  struct clear_queue clears_queued;
  struct rings rings;
  struct usage usage;
  struct usage_counts usage_left; /* of clients that have left, */
  uint64_t clients_left;          /* and their number */
  struct leases leases;
  struct processes processes;
  struct watch watch;
  struct fleet *fleet;                          /* borrowed; NULL: no tier */
  struct lease_client fleet_client;             /* owns the leases of other nodes' keys */
  struct lease_owners owners;                   /* of adopted leases */
  struct session *first_session, *last_session; /* in the order of their welcomes */
  struct fc_buf reply; /* of the request in progress; kept to reuse its memory */
  struct latency *latency;
  enum latency_kind kind; /* of the request in progress; LATENCY_KINDS: it is not measured */
  struct request_sent {
    uint64_t ns;     /* CLOCK_MONOTONIC, before its latest reply was sent; 0: none was */
    uint64_t bytes;  /* of its replies */
  } sent;            /* for the request in progress */
  uint64_t ended_ns; /* CLOCK_MONOTONIC, at the end of the latest dispatch_frame */

  unsigned clients;      /* sessions in the list */
  struct totals *totals; /* of the cache: the configured ones, or own_totals */
  struct totals own_totals;
  struct totals at_start; /* a copy: what this daemon adds to them is the difference */
  uint64_t evictions_at_start[EVICT_CAUSES];
  /* As counted in the totals: bytes that the arena moved, and entries that a migration dropped. */
  uint64_t moved_bytes, migration_dropped;
};

/* Installs the store's before_evict until dispatch_deinit. Allows any number of slices. The struct
 * must not move afterwards. */
void dispatch_init(struct dispatch *dispatch, const struct dispatch_config *config);
void dispatch_deinit(struct dispatch *dispatch); /* asserts that no session is left */

enum dispatch_result {
  DISPATCH_DONE = 0,
  /* Not finished, or no room for the reply: dispatch the same frame again. If the session waits for
   * the trace, not before rings_sweep has run; if it waits for a record or the fleet, not before
   * the sink's `resume` was called. To do so earlier does no harm. */
  DISPATCH_RETRY,
  /* No slice is left for the next step: dispatch the same frame again when `slices` of
   * session->slice_kind is above 0. */
  DISPATCH_NO_SLICE,
  DISPATCH_CLOSE,    /* an error was sent: close the connection after it */
  DISPATCH_SHUTDOWN, /* done: stop the daemon */
};

/* Executes the request in `body`. If sink->peer_gone, requests that only read are dropped, and a
 * clear is queued. Sets dispatch->ended_ns, so that the caller need not read the clock. */
enum dispatch_result dispatch_frame(struct dispatch *dispatch, struct session *session,
                                    struct reply_sink *sink, const uint8_t *body, uint32_t size);

/* Records of clears are on disk, or failed, or steps of the fleet have ended: resumes the sessions
 * that wait for theirs. */
void dispatch_clears_recorded(struct dispatch *dispatch);

/* Connects the fleet, whose config.client is &dispatch->fleet_client, and whose config.leases,
 * store and namespaces are the dispatcher's. It must outlive all sessions. Call it before the first
 * request, and with NULL before the fleet ends: no session is parked then, and fleet_client holds
 * no lease. */
void dispatch_set_fleet(struct dispatch *dispatch, struct fleet *fleet);

/* For the callbacks of the fleet's clears (fleet_clears.h): what other nodes cleared and deleted.
 * The background continues the clear. */
bool dispatch_learn_clear(struct dispatch *dispatch, const struct fc_select *select,
                          uint64_t now_ns);
void dispatch_learn_delete(struct dispatch *dispatch, struct fc_str name_space,
                           const struct fc_key *key, uint64_t now_ns);

/* For the fleet's config.resume: the session of the waiter is parked no more. */
void dispatch_fill_resolved(struct fleet_waiter *waiter);

/* The session leaves the fill that it is parked on, if it is. */
void dispatch_leave_fill(struct dispatch *dispatch, struct session *session);

/* Counts a connection as refused or as dropped, and logs the reason. */
void dispatch_count_refused(struct dispatch *dispatch, const struct session *session,
                            const char *reason);
void dispatch_count_dropped(struct dispatch *dispatch, const struct session *session,
                            const char *reason);

/* Adds the bytes that compaction has moved since the last call to the totals, and the entries that
 * turned out damaged while they migrated. */
void dispatch_count_moved(struct dispatch *dispatch);

/* Sends an error with request id 0. */
void dispatch_send_final_error(struct dispatch *dispatch, struct reply_sink *sink, int code,
                               const char *text);

/* Returns the largest frame body that the session may send now, in bytes. */
uint32_t dispatch_max_body(const struct dispatch *dispatch, const struct session *session);

/* Returns the largest value that may be stored, in bytes. */
static inline uint32_t dispatch_max_value(const struct dispatch *dispatch) {
  return dispatch->store->max_value;
}

/* Sends deferred replies of the session, as its sink has room. */
void dispatch_send_deferred(struct dispatch *dispatch, struct session *session);

/* Adopts the leases of the former daemon from the lease records. Call it once the entries are
 * adopted, before the first session. */
struct lease_owners_report dispatch_adopt_leases(struct dispatch *dispatch);

/* Ends the leases of adopted owners whose processes have exited. Call it when the descriptor
 * dispatch->owners.deaths_fd (-1: none) is readable. */
void dispatch_check_deaths(struct dispatch *dispatch);

/* The daemon stops, and closes all connections next: no lease is handed over any more, and all
 * active ones keep their records for the next daemon. Adopted owners end. All waits end without a
 * reply: their clients ask the next daemon. Watchers get their unread events, and wait no more.
 * Parked requests go on without the tier, and fleet_stop is called. */
void dispatch_stop_leases(struct dispatch *dispatch);

/* Ends leases and waits whose time is over. Call it at dispatch_next_ns (CLOCK_MONOTONIC;
 * UINT64_MAX: no lease has a deadline). */
void dispatch_expire_leases(struct dispatch *dispatch);
static inline uint64_t dispatch_next_ns(const struct dispatch *dispatch) {
  return dispatch->leases.n == 0 ? UINT64_MAX : leases_next_ns(&dispatch->leases);
}

/* Resumes the watchers whose wait for events is over. Call it every DISPATCH_WATCH_MS while it
 * returns true: some wait. A request may begin a wait. */
#define DISPATCH_WATCH_MS 20u
bool dispatch_resume_watchers(struct dispatch *dispatch);
static inline bool dispatch_has_watchers(const struct dispatch *dispatch) {
  return dispatch->watch.n > 0;
}

/* Returns why the session's connection must be dropped (a static string: a corrupt ring, or a lost
 * reply), or NULL. */
const char *dispatch_session_error(const struct session *session);

/* Ends the session's leases and waits, because it sends no more requests. Idempotent. */
void dispatch_release_leases(struct dispatch *dispatch, struct session *session);

/* Releases all that the session holds: its client has disconnected. Idempotent. */
void dispatch_client_gone(struct dispatch *dispatch, struct session *session);

/* Work of no connection: entries of deleted namespaces, queued clears, and deferred replies to very
 * many waits. Executes a slice of each; returns true while some is left. */
bool dispatch_background_step(struct dispatch *dispatch);
bool dispatch_has_background_work(const struct dispatch *dispatch);

#endif
