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
#include "daemon/os/listen.h"
#include "daemon/os/robust_futex.h"
#include "daemon/os/sd_notify.h"
#include "daemon/os/thread_pool.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"

#define DRAIN_MAX_MS 2000u /* for clients to take their last replies, and the trace its lines */

struct server {
  const struct options *options;
  struct log log;
  struct notify notify;
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
  uv_timer_t drain_bound;
  uv_work_t pool_ready;
  struct fault no_pool; /* why there are no threads, and so no trace */
  bool shares;          /* clients may map the region */
  bool said_unaccepted;
  bool stopping, emptied;
  bool trace_stuck;
};

/* While no handler is installed, at the start and from the end of the loop on, a signal to stop
 * would end us with the socket or the lock file left behind: it is held back. Threads inherit the
 * mask, so all of them are made while it is held: one that is not blocked there would take it. */
static void hold_stop_signals(bool hold) {
  sigset_t signals;
  (void)sigemptyset(&signals); /* these fail for invalid numbers alone */
  (void)sigaddset(&signals, SIGTERM);
  (void)sigaddset(&signals, SIGINT);
  (void)sigaddset(&signals, SIGHUP);
  (void)pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
}

/* ---- the end: stop accepting, answer, close, write the trace ---- */

static void close_handle(uv_handle_t *handle) {
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

static void trace_done(struct trace *trace, void *arg, bool flushed) {
  (void)trace;
  struct server *server = arg;
  server->trace_stuck = !flushed;
  hold_stop_signals(true); /* another one changes nothing any more */
  close_handle((uv_handle_t *)&server->on_term);
  close_handle((uv_handle_t *)&server->on_int);
  close_handle((uv_handle_t *)&server->on_hup);
  if (!flushed) /* a write hangs in the kernel: the loop would wait for it for ever */
    uv_stop(&server->loop);
}

static void emptied(void *arg) {
  struct server *server = arg;
  if (server->emptied)
    return;
  server->emptied = true;
  conns_close(&server->conns);
  rings_pay_all(&server->dispatch.rings); /* the trace may lose what it has no room for by now */
  ticker_close(&server->watchdog);
  close_handle((uv_handle_t *)&server->drain_bound);
  trace_close(&server->trace, trace_done, server);
}

static void drained_too_long(uv_timer_t *timer) {
  struct server *server = timer->data;
  if (server->conns.count > 0) /* else the trace is slow, and says itself what it loses */
    log_line(&server->log, LOG_LEVEL_WARNING,
             "%u clients did not take their last replies: closing their connections",
             server->conns.count);
  emptied(server);
}

static void stop(void *arg) {
  struct server *server = arg;
  if (server->stopping)
    return;
  server->stopping = true;
  (void)notify_send(&server->notify, NOTIFY_STOPPING);
  region_retire(&server->region); /* what clients still ask for, they ask by message */
  acceptor_close(&server->acceptor);
  listener_end(&server->listener);
  (void)uv_timer_start(&server->drain_bound, drained_too_long, DRAIN_MAX_MS, 0);
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
  (void)rings_drain_all(&server->dispatch.rings); /* what was before it belongs to the old file */
  trace_reopen(&server->trace);
}

static void on_watchdog(void *arg) {
  struct server *server = arg;
  (void)notify_send(&server->notify, NOTIFY_WATCHDOG);
}

static void on_connection(uv_stream_t *stream, int status) {
  struct server *server = stream->data;
  if (status == 0) {
    server->said_unaccepted = false;
    conns_accept(&server->conns, stream);
    return;
  }
  server->dispatch.refused++;
  log_once(&server->log, &server->said_unaccepted, LOG_LEVEL_WARNING,
           "a client could not be accepted: %s", uv_strerror(status));
}

/* ---- the beginning ---- */

/* Memory that other regions keep is no longer free, so it is in the check already: here it is
 * named. */
static int check_memory(struct server *server, struct fault *fault) {
  char text[DEAD_REGIONS_TEXT_SIZE];
  struct fc_region_uses dead;
  struct fault why;
  int rc = memory_check(&server->memory, "", &why);
  if (rc == 0 && !server->log.verbose)
    return 0;
  dead_regions_find("", &dead);
  dead_regions_describe(&dead, text);
  if (rc < 0)
    return fault_set(fault, rc, "%s%s%s", why.text, text[0] != '\0' ? "; " : "", text);
  if (text[0] != '\0')
    log_line(&server->log, LOG_LEVEL_DEBUG, "%s", text);
  return 0;
}

static struct listener_options where_of(const struct options *options) {
  return (struct listener_options){.path = options->socket,
                                   .has_group = options->has_socket_group,
                                   .group = options->socket_group};
}

static struct memory_amounts memory_in_use(const struct server *server) {
  const struct conns *conns = &server->conns;
  return (struct memory_amounts){{
      [MEMORY_REGION] = server->region.arena_offset + server->region.promised_bytes,
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

/* Those of connections and messages are set by conns_init. */
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

static int start_cache(struct server *server, struct fault *fault) {
  const struct options *options = server->options;
  struct memory_settings settings = {.max_bytes = options->max_bytes,
                                     .client_budget = options->client_budget,
                                     .max_value = options->max_value,
                                     .max_clients = options->max_clients,
                                     .max_namespaces = options->max_namespaces,
                                     .max_leases = options->max_leases,
                                     .shares = server->shares};
  memory_total_bounds(&settings, &server->memory);
  int rc = check_memory(server, fault);
  if (rc < 0)
    return rc;
  uint64_t random[4];
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return fault_set(fault, FC_EREFUSED, "the kernel gave no random numbers: try again");
  uint64_t boot_id = random[1] == 0 ? 1 : random[1];
  rc = region_init(&server->region, options->max_bytes, options->max_value, boot_id, server->shares,
                   fault);
  if (rc < 0)
    return rc;
  if (server->shares && server->region.fd < 0)
    log_line(&server->log, LOG_LEVEL_WARNING, "%s", fault->text);
  rc = store_init(&server->store, &server->region, options->max_bytes, options->max_value,
                  random[0], random[2]);
  if (rc < 0)
    return fault_set(fault, rc, "%s", fc_error_text(rc));
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
  region_deinit(&server->region);
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
  server->drain_bound.data = server;
  if (uv_timer_init(&server->loop, &server->drain_bound) < 0 ||
      ticker_init(&server->watchdog, &server->loop, on_watchdog, server) < 0)
    return FC_EREFUSED;
  if (server->notify.watchdog_ms > 0)
    ticker_start(&server->watchdog, (unsigned)server->notify.watchdog_ms);
  return 0;
}

/* In a user namespace that shows strangers under our own number, their power would be ours. */
static struct peer_admins admins_of(struct server *server) {
  struct peer_admins admins = {.own_uid = geteuid(),
                               .has_group = server->options->has_admin_group,
                               .group = server->options->admin_group};
  id_map_read(&admins.ids, "");
  if (!id_map_knows_uid(&admins.ids, admins.own_uid))
    log_line(&server->log, LOG_LEVEL_WARNING,
             "uid %ld is that of every user outside this user namespace: clients with it get no "
             "administrator's rights; run fcached as another user, or use --admin-group",
             (long)admins.own_uid);
  if (admins.has_group && !id_map_knows_gid(&admins.ids, admins.group))
    log_line(&server->log, LOG_LEVEL_WARNING,
             "--admin-group: gid %ld is that of every group outside this user namespace: its "
             "members get no administrator's rights; give another group",
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
  server->conns.on_empty = emptied;
  server->conns.arg = server;
  struct listener_options where = where_of(options);
  struct acceptor_config config = {.loop = &server->loop,
                                   .listener = &server->listener,
                                   .where = &where,
                                   .conns = &server->conns,
                                   .log = &server->log,
                                   .on_connection = on_connection,
                                   .arg = server};
  return acceptor_start(&server->acceptor, &config);
}

/* Without threads the daemon serves, and cannot trace; a trace that was asked for at start is then
 * an error (trace_on). */
static void start_pool(struct server *server) {
  if (pool_start(&server->loop, &server->pool_ready, &server->no_pool) == 0)
    return;
  server->trace.no_pool = &server->no_pool;
  if (server->options->trace == NULL)
    log_line(&server->log, LOG_LEVEL_WARNING, "serving without a trace: %s", server->no_pool.text);
}

static int start_trace(struct server *server, struct fault *fault) {
  const struct options *options = server->options;
  int rc = 0;
  if (options->trace_dir != NULL)
    rc = trace_set_dir(&server->trace, options->trace_dir, fault);
  if (rc < 0 || options->trace == NULL)
    return rc;
  rc = trace_on(&server->trace, fc_str_of(options->trace), fault);
  if (rc == 0 && options->trace_dir == NULL)
    trace_set_dir_beside(&server->trace);
  return rc;
}

static int start_loop(struct server *server, struct fault *fault) {
  if (trace_init(&server->trace, &server->loop, &server->log) < 0 || start_signals(server) < 0 ||
      start_timers(server) < 0 || start_connections(server) < 0)
    return fault_set(fault, FC_EREFUSED,
                     "the event loop could not be set up: out of descriptors, memory or "
                     "fs.epoll.max_user_watches");
  start_pool(server);
  return start_trace(server, fault);
}

static int serve(struct server *server) {
  hold_stop_signals(false);
  log_line(&server->log, LOG_LEVEL_DEBUG, "serving at %s", server->listener.path);
  (void)notify_send(&server->notify, NOTIFY_READY); /* there may be nobody to tell */
  (void)uv_run(&server->loop, UV_RUN_DEFAULT);      /* until the last handle is closed */
  listener_close(&server->listener); /* not before: the next daemon may write to the same trace */
  if (server->trace_stuck)
    _exit(0); /* as trace.h says: its memory is still in use */
  conns_deinit(&server->conns);
  end_cache(server);
  (void)uv_loop_close(&server->loop); /* nothing is left in it */
  notify_deinit(&server->notify);
  return EXIT_SUCCESS;
}

/* What needs one thread and no lock or socket that a child could keep. */
static void prepare(struct server *server) {
  struct fault why;
  allocator_set_up();
  /* A peer that left, and a trace file at its size limit, are errors to handle, not our end. */
  (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for a valid signal */
  (void)signal(SIGXFSZ, SIG_IGN);
  hold_stop_signals(true);
  descriptors_raise_limit(server->options->max_clients, CONNS_RESERVED, &server->log);
  server->shares = !server->options->no_region;
  if (server->shares && robust_prove(&why) < 0) {
    server->shares = false;
    log_line(&server->log, LOG_LEVEL_WARNING, "%s", why.text);
  }
}

static int open_loop(struct server *server, struct fault *fault) {
  int rc = descriptors_prove(fault);
  if (rc == 0 && uv_loop_init(&server->loop) < 0)
    rc = fault_set(fault, FC_EREFUSED, "no event loop: out of descriptors or memory");
  return rc;
}

int server_run(const struct options *options) {
  /* Static: libuv's handles must not move, and the scratch buffer is large. */
  static struct server server;
  struct fault fault;
  server.options = options;
  log_init(&server.log, STDERR_FILENO, options->verbose);
  listener_init(&server.listener);
  notify_init(&server.notify);
  users_init(&server.users, options->user_share);
  prepare(&server);
  struct listener_options where = where_of(options);
  int rc = listener_open(&server.listener, &where, &fault);
  if (rc == 0)
    rc = open_loop(&server, &fault);
  if (rc == 0)
    rc = start_cache(&server, &fault);
  if (rc == 0)
    rc = start_loop(&server, &fault);
  if (rc == 0)
    return serve(&server);
  log_line(&server.log, LOG_LEVEL_ERROR, "%s", fault.text);
  listener_close(&server.listener);
  return rc == FC_EINVAL ? SERVER_WRONG_USAGE : EXIT_FAILURE;
}
