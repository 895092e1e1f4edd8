/* server_internal.h - the daemon's state, shared by server*.c, boot*.c and survival.c. */
#ifndef FC_DAEMON_SERVER_INTERNAL_H
#define FC_DAEMON_SERVER_INTERNAL_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/config/config.h"
#include "daemon/leases/lease_records.h"
#include "daemon/memory_total.h"
#include "daemon/net/acceptor.h"
#include "daemon/net/conns.h"
#include "daemon/os/fd_store.h"
#include "daemon/os/listener.h"
#include "daemon/os/sd_notify.h"
#include "daemon/snapshot/snapshot.h"
#include "daemon/tier/tier_io.h"
#include "daemon/trace/trace.h"

/* See server_tier.h. */
struct server_tier {
  bool on;
  bool flushing; /* the daemon ends as soon as the fleet is idle */
  struct tier_urls urls;
  struct tier_io *io; /* owned */
  struct fleet_clears clears;
  struct fleet fleet;
  struct ticker timer;
  uint64_t timer_ns; /* when it ticks; UINT64_MAX: it is not set */
  bool lost_logged;  /* that an op was lost */
  uv_prepare_t turn; /* runs before the loop waits */
};

struct server {
  struct config *config;                   /* as it was read the last time; borrowed */
  struct options running;                  /* as they are applied */
  const struct options *options;           /* &running */
  const struct command_line *command_line; /* borrowed */
  struct log log;
  struct sd_notify notify;
  struct fd_store fd_store;
  struct listener listener;
  struct memory_amounts memory; /* bounds */
  struct catalog catalog;
  struct region region;
  struct totals *totals; /* in the catalog */
  struct ticker flusher; /* runs while changes or a barrier of the descriptor store are pending */
  int barrier_fd;        /* -1: none, see fd_store_barrier */
  uint64_t barrier_ns;   /* its start, uv_hrtime */
  bool released_more;    /* since the barrier */
  struct store store;
  uint64_t resized_from; /* max_bytes before the latest change at run time; 0: none */
  struct namespace_table namespaces;
  struct lease_records lease_records;
  struct latency latency;
  struct dispatch dispatch;
  struct trace trace;
  struct users users;
  struct snapshot snapshot;
  struct ticker snapshot_ticker;
  uint32_t n_boots; /* as in the catalog's header, for the snapshot */
  struct conns conns;
  struct server_tier tier;
  uv_loop_t loop;
  struct acceptor acceptor;
  uv_signal_t on_term, on_int, on_hup;
  struct ticker watchdog;
  uv_timer_t drain_timer;
  uv_work_t pool_ready;
  struct error_text no_pool; /* set if there are no threads, hence no trace */
  bool shares;               /* clients may map the region */
  bool accept_failure_logged;
  bool has_adopted;                    /* the memory of an earlier daemon */
  uint64_t n_adopted, n_adopt_dropped; /* entries of that memory */
  bool serves;                         /* the flusher can be used */
  bool stopping, closing;
  bool trace_stuck;
};

/* Blocks SIGTERM, SIGINT and SIGHUP while no handler is installed (at start, and after the loop),
 * or one would end the process and leave the socket or the lock file behind. Threads inherit the
 * mask: all are created while the signals are blocked, so that none of them takes one. */
void server_block_signals(bool block);

/* Raises the limit of descriptors for the options. Logs if it is too low. */
void server_raise_descriptors(struct server *server);

/* Returns the administrators that the options name. Logs what keeps clients from being one. */
struct peer_admins server_admins(struct server *server);

/* A callback; `arg` is the server. Answers the accepted requests, writes the trace and ends the
 * loop. Idempotent. */
void server_stop(void *arg);

/* A callback; `arg` is the server: no client is left. Closes all, as soon as the tier has taken the
 * last writes, or after a moment. Idempotent. */
void server_drained(void *arg);

/* A callback; `arg` is the server. Closes all connections, the trace, and the handles of the loop.
 * Idempotent. */
void server_close_all(void *arg);

#endif
