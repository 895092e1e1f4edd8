#include "daemon/server_internal.h"
#include "daemon/server_snapshot.h"
#include "daemon/server_tier.h"
#include "daemon/survival.h"

#include <signal.h>

#define DRAIN_MAX_MS 2000u /* for clients to read their last replies, and for the trace's lines */
#define FLUSH_MAX_MS 500u  /* for the tier to take the last writes */

void server_block_signals(bool block) {
  sigset_t signals;
  (void)sigemptyset(&signals); /* these fail only for invalid numbers */
  (void)sigaddset(&signals, SIGTERM);
  (void)sigaddset(&signals, SIGINT);
  (void)sigaddset(&signals, SIGHUP);
  (void)pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
}

static void close_handle(uv_handle_t *handle) {
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

static void trace_done(struct trace *trace, void *arg, bool flushed) {
  (void)trace;
  struct server *server = arg;
  server->trace_stuck = !flushed;
  server_block_signals(true); /* no effect any more */
  close_handle((uv_handle_t *)&server->on_term);
  close_handle((uv_handle_t *)&server->on_int);
  close_handle((uv_handle_t *)&server->on_hup);
  if (!flushed) /* a write hangs in the kernel: the loop would never end */
    uv_stop(&server->loop);
}

void server_close_all(void *arg) {
  struct server *server = arg;
  if (server->closing)
    return;
  server->closing = true;
  conns_close(&server->conns);
  server_tier_close(server);
  ticker_close(&server->watchdog);
  survival_close(server);
  close_handle((uv_handle_t *)&server->drain_timer);
  server_snapshot_close(server);
  trace_close(&server->trace, trace_done, server);
}

static void flush_timed_out(uv_timer_t *timer) {
  server_close_all(timer->data);
}

void server_drained(void *arg) {
  struct server *server = arg;
  if (server->closing)
    return;
  if (server_tier_flush(server))
    (void)uv_timer_start(&server->drain_timer, flush_timed_out, FLUSH_MAX_MS, 0); /* never fails */
  else
    server_close_all(server);
}

static void drain_timed_out(uv_timer_t *timer) {
  struct server *server = timer->data;
  log_line(&server->log, LOG_LEVEL_WARNING,
           "%u clients did not read their last replies, or wait for a slow trace: closing their "
           "connections",
           server->conns.count);
  server_close_all(server);
}

void server_stop(void *arg) {
  struct server *server = arg;
  if (server->stopping)
    return;
  server->stopping = true;
  (void)sd_notify_send(&server->notify, SD_NOTIFY_STOPPING);
  region_writer_retire(&server->region); /* clients send their next requests as messages */
  conns_stop_leases(&server->conns);
  acceptor_close(&server->acceptor);
  listener_end(&server->listener);
  (void)uv_timer_start(&server->drain_timer, drain_timed_out, DRAIN_MAX_MS, 0);
  conns_drain(&server->conns);
}
