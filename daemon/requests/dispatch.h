/* dispatch.h - the one place where requests, sessions, the store and the trace
 * meet: decodes a frame's body, does what it asks, sends the replies.
 *
 * No socket and no loop: replies go to a sink, time is read from the clock once
 * at the start and once at the end of what is recorded. One thread. */
#ifndef FC_DAEMON_DISPATCH_H
#define FC_DAEMON_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/leases/processes.h"
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
struct memory_amounts;

/* What is known of all of the daemon's memory, for the stats. */
struct memory_report {
  const struct memory_amounts *bounds; /* borrowed; NULL: nothing is known */
  void (*in_use)(void *arg, struct memory_amounts *used);
  void *arg;
};

/* Clears whose client has left: carried out all the same (clear_requests.c). At most
 * CLEAR_REQUESTS_QUEUED_MAX that have not started, none of which covers another, behind those that have. */
#define CLEAR_REQUESTS_QUEUED_MAX 256u
struct clear_queue {
  struct clear_job *first;
  uint32_t n; /* not started */
};

struct dispatch {
  struct store *store;                /* borrowed */
  struct namespace_table *namespaces; /* borrowed */
  struct trace *trace;                /* borrowed */
  struct log *log;                    /* borrowed */
  const struct users *users;          /* borrowed, for the stats */
  struct clear_queue orphans;
  unsigned slices[SLICE_KINDS]; /* that may be done now: see DISPATCH_NO_SLICE; the caller's to set */
  uint64_t boot_id, secret;
  uint64_t started_ns; /* monotonic */
  unsigned max_clients;
  const size_t *frames_bytes, *replies_bytes; /* in flight; borrowed, for the stats */
  struct memory_report memory;
  struct counters counters; /* of the whole daemon */
  unsigned clients;         /* handshake_done, now */
  uint64_t connections;     /* handshake_done, ever */
  uint64_t refused;         /* turned away: too many clients, a hello that could not be accepted */
  uint64_t dropped; /* cut for breaking the protocol or a deadline, or by an administrator */
  uint64_t clears;
  uint64_t settings_ignored; /* limits and manifests of hellos that may not set them */
  uint64_t puts_kept, puts_stale, puts_too_big;
  uint64_t hits_socket; /* recorded hits that were answered; those that clients served: `rings` */
  struct rings rings;
  struct leases leases;
  struct processes processes;                   /* of the handshake_done */
  struct session *first_session, *last_session; /* the handshake_done, in the order of their welcomes */
  int region_fd;       /* to hand to clients; -1: there is no region that they could map */
  struct fc_buf reply; /* made anew for each reply; kept for its memory */
};

struct dispatch_config {
  struct store *store;
  struct namespace_table *namespaces;
  struct trace *trace;
  struct log *log;
  const struct users *users;
  uint64_t boot_id;
  unsigned max_clients;
  const size_t *frames_bytes, *replies_bytes;
  struct memory_report memory;
  int region_fd;          /* borrowed; -1: none */
  size_t ring_pool_bytes; /* of all rings together */
  struct leases_limits leases;
  uint64_t secret; /* random; no client can know it */
};

/* Sets the store's before_evict, until dispatch_deinit. Any number of slices may be done until the
 * caller says otherwise. The struct must not be moved after. */
void dispatch_init(struct dispatch *dispatch, const struct dispatch_config *config);
void dispatch_deinit(struct dispatch *dispatch);

enum dispatch_result {
  DISPATCH_DONE = 0,
  /* Not done, or no room for the reply: hand the same frame in again; where the session waits for
   * the trace, not before rings_sweep was called. */
  DISPATCH_RETRY,
  /* Not begun, or not done, because its next slice has no turn: hand the same frame in again when
   * `slices` of session->slice_kind has one. */
  DISPATCH_NO_SLICE,
  DISPATCH_CLOSE,    /* an error was sent; the connection ends after it */
  DISPATCH_SHUTDOWN, /* done; the daemon is to stop */
};

/* Where the sink is peer_gone, requests that only read are dropped, and a clear is queued. */
enum dispatch_result dispatch_frame(struct dispatch *dispatch, struct session *session,
                                    struct reply_sink *sink, const uint8_t *body, uint32_t size);

/* Counts a connection as refused or as dropped, and logs why. */
void dispatch_count_refused(struct dispatch *dispatch, const struct session *session, const char *reason);
void dispatch_count_dropped(struct dispatch *dispatch, const struct session *session, const char *reason);

/* Sends an error that answers no request. */
void dispatch_send_final_error(struct dispatch *dispatch, struct reply_sink *sink, int code, const char *text);

/* The largest body that this session may send now, in bytes. */
uint32_t dispatch_max_body(const struct dispatch *dispatch, const struct session *session);

/* What the session waits for is answered, as its sink has room. */
void dispatch_send_deferred(struct dispatch *dispatch, struct session *session);

/* Leases and waits that have had their time end; the time is now, or not before dispatch_next_ns
 * (CLOCK_MONOTONIC; UINT64_MAX: never, as things stand). */
void dispatch_expire_leases(struct dispatch *dispatch);
static inline uint64_t dispatch_next_ns(const struct dispatch *dispatch) {
  return leases_next_ns(&dispatch->leases);
}

/* NULL, or why the session's connection is to be dropped: what is wrong with its ring, or no memory
 * for an answer that it waits for. */
const char *dispatch_session_error(const struct session *session);

/* The session has no leases and waits any more: it sends no more requests, so it can provide
 * nothing, and is to be told of nothing. Idempotent. */
void dispatch_release_leases(struct dispatch *dispatch, struct session *session);

/* The session's client is gone. Idempotent. */
void dispatch_client_gone(struct dispatch *dispatch, struct session *session);

/* Work that is no request's: namespaces that were dropped, clears whose client left, answers
 * to very many waits that ended together. Does a slice of it; true while some is left. */
bool dispatch_background_step(struct dispatch *dispatch);
bool dispatch_has_background_work(const struct dispatch *dispatch);

#endif
