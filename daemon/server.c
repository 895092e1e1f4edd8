#include "daemon/server.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/base/allocator.h"
#include "daemon/memory_check.h"
#include "daemon/net/acceptor.h"
#include "daemon/net/conns.h"
#include "daemon/os/dead_regions.h"
#include "daemon/os/descriptors.h"
#include "daemon/os/fd_store.h"
#include "daemon/os/listener.h"
#include "daemon/os/robust_futex.h"
#include "daemon/os/sd_notify.h"
#include "daemon/os/thread_pool.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"

#define DRAIN_MAX_MS 2000u /* for clients to read their last replies, and for the trace's lines */

struct server {
  const struct options *options;
  struct log log;
  struct sd_notify notify;
  struct passed_fds passed;
  struct fd_store fd_store;
  struct listener listener;
  struct memory_amounts memory; /* bounds */
  struct region region;
  struct store store;
  struct namespace_table namespaces;
  struct dispatch dispatch;
  struct trace trace;
  struct users users;
  struct conns conns;
  uv_loop_t loop;
  struct acceptor acceptor;
  uv_signal_t on_term, on_int, on_hup;
  struct ticker watchdog;
  uv_timer_t drain_timer;
  uv_work_t pool_ready;
  struct error_text no_pool; /* set if there are no threads, hence no trace */
  bool shares;               /* clients may map the region */
  bool accept_failure_logged;
  bool stopping, closing;
  bool trace_stuck;
};

/* Blocks SIGTERM, SIGINT and SIGHUP while no handler is installed (at start, and after the loop),
 * or one would end the process and leave the socket or the lock file behind. Threads inherit the
 * mask: all are created while the signals are blocked, so that none of them takes one. */
static void block_stop_signals(bool block) {
  sigset_t signals;
  (void)sigemptyset(&signals); /* these fail only for invalid numbers */
  (void)sigaddset(&signals, SIGTERM);
  (void)sigaddset(&signals, SIGINT);
  (void)sigaddset(&signals, SIGHUP);
  (void)pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
}

/* ---- stop: no new connections, last replies, trace ---- */

static void close_handle(uv_handle_t *handle) {
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

static void trace_done(struct trace *trace, void *arg, bool flushed) {
  (void)trace;
  struct server *server = arg;
  server->trace_stuck = !flushed;
  block_stop_signals(true); /* no effect any more */
  close_handle((uv_handle_t *)&server->on_term);
  close_handle((uv_handle_t *)&server->on_int);
  close_handle((uv_handle_t *)&server->on_hup);
  if (!flushed) /* a write hangs in the kernel: the loop would never end */
    uv_stop(&server->loop);
}

static void close_all(void *arg) {
  struct server *server = arg;
  if (server->closing)
    return;
  server->closing = true;
  conns_close(&server->conns);
  ticker_close(&server->watchdog);
  close_handle((uv_handle_t *)&server->drain_timer);
  trace_close(&server->trace, trace_done, server);
}

static void drain_timed_out(uv_timer_t *timer) {
  struct server *server = timer->data;
  log_line(&server->log, LOG_LEVEL_WARNING,
           "%u clients did not read their last replies, or wait for a slow trace: closing their "
           "connections",
           server->conns.count);
  close_all(server);
}

static void stop(void *arg) {
  struct server *server = arg;
  if (server->stopping)
    return;
  server->stopping = true;
  (void)sd_notify_send(&server->notify, SD_NOTIFY_STOPPING);
  region_writer_retire(&server->region); /* clients send their next requests as messages */
  acceptor_close(&server->acceptor);
  listener_end(&server->listener);
  (void)uv_timer_start(&server->drain_timer, drain_timed_out, DRAIN_MAX_MS, 0);
  conns_drain(&server->conns);
}

/* ---- events ---- */

static void on_stop_signal(uv_signal_t *handle, int signum) {
  struct server *server = handle->data;
  log_line(&server->log, LOG_LEVEL_DEBUG, "signal %d: stopping", signum);
  stop(server);
}

static void on_hup_signal(uv_signal_t *handle, int signum) {
  (void)signum;
  struct server *server = handle->data;
  rings_drain_all(&server->dispatch.rings); /* lookups before the signal belong in the old file */
  trace_reopen(&server->trace);
}

static void on_watchdog(void *arg) {
  struct server *server = arg;
  (void)sd_notify_send(&server->notify, SD_NOTIFY_WATCHDOG);
}

static void on_connection(uv_stream_t *stream, int status) {
  struct server *server = stream->data;
  if (status == 0) {
    server->accept_failure_logged = false;
    conns_accept(&server->conns, stream);
    return;
  }
  server->dispatch.refused++;
  log_once(&server->log, &server->accept_failure_logged, LOG_LEVEL_WARNING,
           "cannot accept a connection: %s", uv_strerror(status));
}

/* ---- start ---- */

/* Checks the memory. The text for a failure, and the debug log, name dead regions, whose memory is
 * not available. */
static int check_memory(struct server *server, struct error_text *error) {
  char text[DEAD_REGIONS_TEXT_SIZE];
  struct fc_region_uses dead;
  struct error_text short_of;
  int rc = memory_check(&server->memory, "", &short_of);
  if (rc == 0 && !server->log.verbose)
    return 0;
  dead_regions_find("", &dead);
  dead_regions_describe(&dead, text);
  if (rc < 0)
    return error_text_set(error, rc, "%s%s%s", short_of.text, text[0] != '\0' ? "; " : "", text);
  if (text[0] != '\0')
    log_line(&server->log, LOG_LEVEL_DEBUG, "%s", text);
  return 0;
}

static struct listener_options listener_options_of(const struct options *options) {
  return (struct listener_options){.path = options->socket,
                                   .has_group = options->has_socket_group,
                                   .group = options->socket_group};
}

static struct memory_amounts memory_in_use(const struct server *server) {
  const struct conns *conns = &server->conns;
  return (struct memory_amounts){{
      [MEMORY_REGION] = server->region.arena_offset + server->region.committed_bytes,
      [MEMORY_MESSAGES] =
          conns->frames.used_bytes + conns->frames.spare_bytes + conns->replies.used_bytes,
      [MEMORY_SOCKETS] =
          conns->allocated * memory_total_socket_bytes() + conns->send_buffers.used_bytes,
      [MEMORY_RINGS] = server->dispatch.rings.used_bytes,
      [MEMORY_CLIENTS] = conns->allocated * memory_total_client_bytes(),
      [MEMORY_NAMESPACES] = namespace_table_bytes(&server->namespaces),
      [MEMORY_LEASES] = leases_bytes(&server->dispatch.leases),
      [MEMORY_TRACE] = server->trace.buffer_bytes,
      [MEMORY_DAEMON] = server->memory.bytes[MEMORY_DAEMON],
  }};
}

/* For the stats: see struct dispatch_config. */
static void memory_report(void *arg, struct memory_report *report) {
  static_assert(MEMORY_PARTS <= MEMORY_REPORT_PARTS_MAX, "all parts fit in a report");
  const struct server *server = arg;
  const struct memory_amounts *bounds = &server->memory, used = memory_in_use(server);
  *report = (struct memory_report){.used_bytes = memory_total_sum(&used),
                                   .bound_bytes = memory_total_sum(bounds),
                                   .n = MEMORY_PARTS};
  for (int part = 0; part < MEMORY_PARTS; part++)
    report->parts[part] = (struct memory_report_part){memory_part_name((enum memory_part)part),
                                                      used.bytes[part], bounds->bytes[part]};
}

/* conns_init sets the limits of connections and messages. */
static void set_user_limits(struct server *server) {
  const struct options *options = server->options;
  users_set_limit(&server->users, USER_NAMESPACES, options->max_namespaces);
  users_set_limit(&server->users, USER_MANIFEST_BYTES,
                  (uint64_t)options->max_namespaces * FC_MANIFEST_MAX);
  users_set_limit(&server->users, USER_RING_BYTES,
                  rings_pool_bytes(options->client_budget, options->max_clients));
  users_set_limit(&server->users, USER_LEASES, options->max_leases);
  users_set_limit(&server->users, USER_WAITS, options->max_leases);
}

static int start_cache(struct server *server, struct error_text *error) {
  const struct options *options = server->options;
  struct memory_settings settings = {.max_bytes = options->max_bytes,
                                     .client_budget = options->client_budget,
                                     .max_value = options->max_value,
                                     .max_clients = options->max_clients,
                                     .max_namespaces = options->max_namespaces,
                                     .max_leases = options->max_leases,
                                     .shares = server->shares};
  memory_total_bounds(&settings, &server->memory);
  int rc = check_memory(server, error);
  if (rc < 0)
    return rc;
  uint64_t random[4];
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return error_text_set(error, FC_EREFUSED, "getrandom failed: try again");
  uint64_t boot_id = random[1] == 0 ? 1 : random[1];
  rc = region_writer_init(&server->region, options->max_bytes, options->max_value, boot_id,
                          server->shares, error);
  if (rc < 0)
    return rc;
  if (server->shares && server->region.fd < 0)
    log_line(&server->log, LOG_LEVEL_WARNING, "%s", error->text);
  rc = store_init(&server->store, &server->region, options->max_bytes, options->max_value,
                  random[0], random[2]);
  if (rc < 0)
    return error_text_set(error, rc, "%s", fc_error_text(rc));
  namespace_table_init(&server->namespaces, &server->store, options->max_namespaces);
  set_user_limits(server);
  struct dispatch_config config = {
      .store = &server->store,
      .namespaces = &server->namespaces,
      .trace = &server->trace,
      .log = &server->log,
      .users = &server->users,
      .boot_id = boot_id,
      .max_clients = options->max_clients,
      .frames_bytes = &server->conns.frames.used_bytes,
      .replies_bytes = &server->conns.replies.used_bytes,
      .memory_report = memory_report,
      .memory_arg = server,
      .region_fd = server->region.fd,
      .ring_pool_bytes = rings_pool_bytes(options->client_budget, options->max_clients),
      .leases = leases_limits_of(options->max_leases, options->lease_max_ms),
      .secret = random[3],
  };
  dispatch_init(&server->dispatch, &config);
  return 0;
}

static void end_cache(struct server *server) {
  namespace_table_deinit(&server->namespaces);
  dispatch_deinit(&server->dispatch);
  store_deinit(&server->store);
  region_writer_deinit(&server->region);
  users_deinit(&server->users);
}

static int start_signals(struct server *server) {
  uv_signal_t *handles[] = {&server->on_term, &server->on_int, &server->on_hup};
  int numbers[] = {SIGTERM, SIGINT, SIGHUP};
  uv_signal_cb callbacks[] = {on_stop_signal, on_stop_signal, on_hup_signal};
  for (size_t i = 0; i < 3; i++) {
    handles[i]->data = server;
    if (uv_signal_init(&server->loop, handles[i]) < 0 ||
        uv_signal_start(handles[i], callbacks[i], numbers[i]) < 0)
      return FC_EREFUSED;
  }
  return 0;
}

static int start_timers(struct server *server) {
  server->drain_timer.data = server;
  if (uv_timer_init(&server->loop, &server->drain_timer) < 0 ||
      ticker_init(&server->watchdog, &server->loop, on_watchdog, server) < 0)
    return FC_EREFUSED;
  if (server->notify.watchdog_ms > 0)
    ticker_start(&server->watchdog, (unsigned)server->notify.watchdog_ms);
  return 0;
}

/* In a user namespace where unmapped users have the daemon's own uid, it would make them
 * administrators: id_map excludes it. */
static struct peer_admins admins_of(struct server *server) {
  struct peer_admins admins = {.own_uid = geteuid(),
                               .has_group = server->options->has_admin_group,
                               .group = server->options->admin_group};
  id_map_read(&admins.ids, "");
  if (!id_map_knows_uid(&admins.ids, admins.own_uid))
    log_line(&server->log, LOG_LEVEL_WARNING,
             "every user outside this user namespace has uid %ld: clients with it are no "
             "administrators; run fcached as another user, or use --admin-group",
             (long)admins.own_uid);
  if (admins.has_group && !id_map_knows_gid(&admins.ids, admins.group))
    log_line(
        &server->log, LOG_LEVEL_WARNING,
        "--admin-group: every group outside this user namespace has gid %ld: its members are no "
        "administrators; give another group",
        (long)admins.group);
  return admins;
}

static int start_connections(struct server *server) {
  const struct options *options = server->options;
  struct conns_limits limits = {
      .max_clients = options->max_clients,
      .hello_timeout_ns = (uint64_t)options->hello_timeout_ms * 1000000u,
      .stall_timeout_ns = (uint64_t)options->stall_timeout_ms * 1000000u,
      .budget_bytes = options->client_budget,
      .admins = admins_of(server),
  };
  int rc = conns_init(&server->conns, &server->loop, &server->dispatch, &server->users, &limits,
                      &server->log);
  if (rc < 0)
    return rc;
  server->conns.on_shutdown = stop;
  server->conns.on_empty = close_all;
  server->conns.arg = server;
  struct listener_options listen_options = listener_options_of(options);
  struct acceptor_config config = {.loop = &server->loop,
                                   .listener = &server->listener,
                                   .options = &listen_options,
                                   .conns = &server->conns,
                                   .log = &server->log,
                                   .on_connection = on_connection,
                                   .arg = server};
  return acceptor_start(&server->acceptor, &config);
}

/* Without threads the daemon serves but cannot trace: --trace is then an error of trace_on. */
static void start_threads(struct server *server) {
  if (thread_pool_start(&server->loop, &server->pool_ready, &server->no_pool) == 0)
    return;
  server->trace.no_pool = &server->no_pool;
  if (server->options->trace == NULL)
    log_line(&server->log, LOG_LEVEL_WARNING, "traces are not possible: %s", server->no_pool.text);
}

static int start_trace(struct server *server, struct error_text *error) {
  const struct options *options = server->options;
  int rc = 0;
  if (options->trace_dir != NULL)
    rc = trace_set_dir(&server->trace, options->trace_dir, error);
  if (rc < 0 || options->trace == NULL)
    return rc;
  rc = trace_on(&server->trace, fc_str_of(options->trace), error);
  if (rc == 0 && options->trace_dir == NULL)
    trace_set_dir_beside(&server->trace);
  return rc;
}

static int start_loop(struct server *server, struct error_text *error) {
  if (trace_init(&server->trace, &server->loop, &server->log) < 0 || start_signals(server) < 0 ||
      start_timers(server) < 0 || start_connections(server) < 0)
    return error_text_set(error, FC_EREFUSED,
                          "cannot set up the event loop: out of descriptors, memory or "
                          "fs.epoll.max_user_watches");
  start_threads(server);
  return start_trace(server, error);
}

static int serve(struct server *server) {
  block_stop_signals(false);
  log_line(&server->log, LOG_LEVEL_DEBUG, "serving at %s", server->listener.path);
  (void)sd_notify_send(&server->notify, SD_NOTIFY_READY); /* fails without a service manager */
  (void)uv_run(&server->loop, UV_RUN_DEFAULT); /* returns when the last handle is closed */
  listener_close(
      &server->listener); /* after the trace: the next daemon may append to the same file */
  if (server->trace_stuck)
    _exit(0); /* the trace's memory is still in use, see trace.h */
  conns_deinit(&server->conns);
  end_cache(server);
  (void)uv_loop_close(&server->loop); /* no handle is left */
  fd_store_deinit(&server->fd_store);
  sd_notify_deinit(&server->notify);
  return EXIT_SUCCESS;
}

/* Runs while the process has one thread and no lock or socket: robust_futex_check forks. */
static void prepare(struct server *server) {
  struct error_text futex_error;
  allocator_configure();
  /* Writes to a closed peer or to a trace file at its size limit return errors instead. */
  (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for a valid signal */
  (void)signal(SIGXFSZ, SIG_IGN);
  block_stop_signals(true);
  descriptors_raise_limit(server->options->max_clients, CONNS_RESERVED, &server->log);
  server->shares = !server->options->no_region;
  if (server->shares && robust_futex_check(&futex_error) < 0) {
    server->shares = false;
    log_line(&server->log, LOG_LEVEL_WARNING, "%s", futex_error.text);
  }
}

static int open_loop(struct server *server, struct error_text *error) {
  int rc = descriptors_check(error);
  if (rc == 0 && uv_loop_init(&server->loop) < 0)
    rc = error_text_set(error, FC_EREFUSED, "no event loop: out of descriptors or memory");
  return rc;
}

/* Takes the socket and the memory that the service manager passed, and closes the rest. */
static int open_socket(struct server *server, struct error_text *error) {
  struct listener_options options = listener_options_of(server->options);
  options.passed = &server->passed;
  int rc = listener_open(&server->listener, &options, error);
  if (rc == 0 && fd_store_receive(&server->fd_store, &server->passed) < 0)
    rc = error_text_set(error, FC_ENOMEM, "no memory for the descriptors of the service manager");
  passed_fds_deinit(&server->passed);
  return rc;
}

int server_run(const struct options *options) {
  /* static: libuv's handles must not move, and the scratch buffer is large */
  static struct server server;
  struct error_text error;
  server.options = options;
  log_init(&server.log, STDERR_FILENO, options->verbose);
  listener_init(&server.listener);
  int rc = passed_fds_receive(&server.passed, &error); /* first: the numbers are known */
  sd_notify_init(&server.notify);
  fd_store_init(&server.fd_store, &server.notify);
  users_init(&server.users, options->user_share);
  prepare(&server);
  if (rc == 0)
    rc = open_socket(&server, &error);
  if (rc == 0)
    rc = open_loop(&server, &error);
  if (rc == 0)
    rc = start_cache(&server, &error);
  if (rc == 0)
    rc = start_loop(&server, &error);
  if (rc == 0)
    return serve(&server);
  log_line(&server.log, LOG_LEVEL_ERROR, "%s", error.text);
  listener_close(&server.listener);
  return rc == FC_EINVAL ? SERVER_WRONG_USAGE : EXIT_FAILURE;
}
