/* dispatch.h - executes requests: decodes the body of a frame, calls the handler of its message,
 * and sends replies through the session's sink. Sessions, store, leases, rings and trace meet here.
 *
 * Knows neither sockets nor the loop. One thread. */
#ifndef FC_DAEMON_DISPATCH_H
#define FC_DAEMON_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/leases/processes.h"
#include "daemon/requests/control.h"
#include "daemon/requests/reply_sink.h"
#include "daemon/requests/session.h"
#include "daemon/rings/rings.h"
#include "daemon/store/counters.h"
#include "daemon/store/namespace_table.h"
#include "daemon/store/store_clear.h"
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
  const struct users *users;
  uint64_t boot_id;
  unsigned max_clients;
  const size_t *frames_bytes, *replies_bytes; /* memory of messages, for the stats */
  void (*memory_report)(void *arg, struct memory_report *report); /* NULL: no memory stats */
  void *memory_arg;
  struct control control; /* of snapshots and settings; zeroed: the daemon has none */
  int region_fd;          /* to hand to clients; -1: clients cannot map the region */
  size_t ring_pool_bytes; /* of all rings together */
  struct leases_limits leases;
  uint64_t secret; /* random; no client can find it out */
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
  uint64_t boot_id, secret;
  uint64_t started_ns; /* CLOCK_MONOTONIC */
  unsigned max_clients;
  int region_fd;
  uint64_t unlisted_limit_bytes; /* see reclaim.h */

  unsigned slices[SLICE_KINDS]; /* slices that may be executed now; set by the caller */
  struct clear_queue clears_queued;
  struct rings rings;
  struct leases leases;
  struct processes processes;
  struct session *first_session, *last_session; /* in the order of their welcomes */
  struct fc_buf reply; /* of the request in progress; kept to reuse its memory */

  struct counters counters; /* of the whole daemon */
  unsigned clients;         /* sessions in the list */
  uint64_t connections;     /* welcomes */
  uint64_t refused;         /* connections and hellos that were not accepted */
  uint64_t dropped;         /* connections closed for an error, a deadline or by an administrator */
  uint64_t clears;
  uint64_t settings_ignored; /* limits and manifests of hellos that may not set them */
  uint64_t puts_kept, puts_stale, puts_too_big;
  uint64_t hits_socket; /* recorded hits by message; those of rings are in `rings` */
};

/* Installs the store's before_evict until dispatch_deinit. Allows any number of slices. The struct
 * must not move afterwards. */
void dispatch_init(struct dispatch *dispatch, const struct dispatch_config *config);
void dispatch_deinit(struct dispatch *dispatch); /* asserts that no session is left */

enum dispatch_result {
  DISPATCH_DONE = 0,
  /* Not finished, or no room for the reply: dispatch the same frame again. If the session waits for
   * the trace, not before rings_sweep has run. */
  DISPATCH_RETRY,
  /* No slice is left for the next step: dispatch the same frame again when `slices` of
   * session->slice_kind is above 0. */
  DISPATCH_NO_SLICE,
  DISPATCH_CLOSE,    /* an error was sent: close the connection after it */
  DISPATCH_SHUTDOWN, /* done: stop the daemon */
};

/* Executes the request in `body`. If sink->peer_gone, requests that only read are dropped, and a
 * clear is queued. */
enum dispatch_result dispatch_frame(struct dispatch *dispatch, struct session *session,
                                    struct reply_sink *sink, const uint8_t *body, uint32_t size);

/* Counts a connection as refused or as dropped, and logs the reason. */
void dispatch_count_refused(struct dispatch *dispatch, const struct session *session,
                            const char *reason);
void dispatch_count_dropped(struct dispatch *dispatch, const struct session *session,
                            const char *reason);

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

/* Ends leases and waits whose time is over. Call it at dispatch_next_ns (CLOCK_MONOTONIC;
 * UINT64_MAX: no lease has a deadline). */
void dispatch_expire_leases(struct dispatch *dispatch);
static inline uint64_t dispatch_next_ns(const struct dispatch *dispatch) {
  return dispatch->leases.n == 0 ? UINT64_MAX : leases_next_ns(&dispatch->leases);
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
