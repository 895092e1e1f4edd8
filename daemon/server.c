#include "daemon/server.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/allocator.h"
#include "daemon/boot.h"
#include "daemon/os/crash_count.h"
#include "daemon/os/descriptors.h"
#include "daemon/os/robust_futex.h"
#include "daemon/os/thread_pool.h"
#include "daemon/refusal.h"
#include "daemon/region/catalog.h"
#include "daemon/server_internal.h"
#include "daemon/server_reload.h"
#include "daemon/server_snapshot.h"
#include "daemon/server_tier.h"
#include "daemon/survival.h"
#include "proto/errors.h"

#define RESTART_PAUSE_S 1
#define NOTIFY_WAIT_MS 5000u /* for a service manager that is busy */

/* ---- events ---- */

static void on_stop_signal(uv_signal_t *handle, int signum) {
  struct server *server = handle->data;
  log_line(&server->log, LOG_LEVEL_DEBUG, "signal %d: stopping", signum);
  server_stop(server);
}

static void on_hup_signal(uv_signal_t *handle, int signum) {
  (void)signum;
  struct reload_report report;
  struct error_text error; /* is in the log already */
  (void)server_reload(handle->data, &report, &error);
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
  server->dispatch.totals->refused++;
  log_once(&server->log, &server->accept_failure_logged, LOG_LEVEL_WARNING,
           "cannot accept a connection: %s", uv_strerror(status));
}

/* ---- start ---- */

static struct listener_options listener_options_of(const struct options *options) {
  return (struct listener_options){.path = options->socket,
                                   .has_group = options->has_socket_group,
                                   .group = options->socket_group.gid};
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
struct peer_admins server_admins(struct server *server) {
  struct peer_admins admins = {.own_uid = geteuid(),
                               .has_group = server->options->has_admin_group,
                               .group = server->options->admin_group.gid};
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
      .admins = server_admins(server),
  };
  int rc = conns_init(&server->conns, &server->loop, &server->dispatch, &server->users, &limits,
                      &server->log);
  if (rc < 0)
    return rc;
  conns_watch_adopted(&server->conns);
  conns_run_background(&server->conns);
  server->conns.on_shutdown = server_stop;
  server->conns.on_empty = server_drained;
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
      start_timers(server) < 0 || survival_run(server) < 0 || start_connections(server) < 0)
    return error_text_set(error, FC_EREFUSED,
                          "cannot set up the event loop: out of descriptors, memory or "
                          "fs.epoll.max_user_watches");
  server->trace.totals = &server->totals->trace;
  start_threads(server);
  if (server_snapshot_run(server) < 0)
    return error_text_set(error, FC_EREFUSED, "no snapshots: out of descriptors");
  int rc = server_tier_start(server, error);
  return rc < 0 ? rc : start_trace(server, error);
}

/* What was pushed comes first: the service manager reads in order. Its queue may be full of that,
 * so READY=1 waits. Both fail without a service manager. */
static void announce_ready(struct server *server) {
  (void)fd_store_flush(&server->fd_store, NOTIFY_WAIT_MS);
  server->fd_store.wait_ms = 0; /* from now on, the loop must not wait */
  (void)sd_notify_send_fd(&server->notify, SD_NOTIFY_READY, -1, NOTIFY_WAIT_MS);
  crash_count_ready();
}

static int serve(struct server *server) {
  refusal_cancel();
  server_block_signals(false);
  log_line(&server->log, LOG_LEVEL_DEBUG, "serving at %s", server->listener.path);
  announce_ready(server);
  (void)uv_run(&server->loop, UV_RUN_DEFAULT); /* returns when the last handle is closed */
  server_snapshot_end(server);
  /* After the trace and the snapshot: the next daemon may append to the same file, and uses the
   * same state folder. */
  listener_close(&server->listener);
  if (server->trace_stuck)
    _exit(0); /* the trace's memory is still in use, see trace.h */
  conns_deinit(&server->conns);
  server_tier_deinit(server);
  boot_end_cache(server);
  (void)uv_loop_close(&server->loop); /* no handle is left */
  fd_store_deinit(&server->fd_store);
  sd_notify_deinit(&server->notify);
  return EXIT_SUCCESS;
}

void server_raise_descriptors(struct server *server) {
  struct descriptors_need need = {.max_clients = server->options->max_clients,
                                  .reserved = CONNS_RESERVED};
  if (server->options->tier != NULL)
    need.reserved += TIER_SERVERS_MAX;
  if (server->shares) {
    need.memory = FC_REGION_FDS_MAX + 1; /* and the catalog */
    need.memory_max = CATALOG_REGIONS_MAX * FC_REGION_FDS_MAX + 1;
    need.passed = FC_REGION_PASSED_MAX;
  }
  descriptors_raise_limit(&need, &server->log);
}

/* Runs while the process has one thread and no lock or socket: robust_futex_check forks. */
static void prepare(struct server *server) {
  struct error_text futex_error;
  allocator_configure();
  /* Writes to a closed peer or to a trace file at its size limit return errors instead. */
  (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for a valid signal */
  (void)signal(SIGXFSZ, SIG_IGN);
  server_block_signals(true);
  server->shares = !server->options->no_region;
  if (server->shares && robust_futex_check(&futex_error) < 0) {
    server->shares = false;
    log_line(&server->log, LOG_LEVEL_WARNING, "%s", futex_error.text);
  }
  server_raise_descriptors(server);
}

static int open_loop(struct server *server, struct error_text *error) {
  int rc = descriptors_check(error);
  if (rc == 0 && uv_loop_init(&server->loop) < 0)
    rc = error_text_set(error, FC_EREFUSED, "no event loop: out of descriptors or memory");
  return rc;
}

/* Takes the socket and the memory that the service manager passed, and closes the rest. */
static int open_socket(struct server *server, struct passed_fds *passed, struct error_text *error) {
  struct listener_options options = listener_options_of(server->options);
  options.passed = passed;
  int rc = listener_open(&server->listener, &options, error);
  if (rc == 0 && fd_store_receive(&server->fd_store, passed) < 0)
    rc = error_text_set(error, FC_ENOMEM, "no memory for the descriptors of the service manager");
  passed_fds_deinit(passed);
  return rc;
}

/* A service manager starts the daemon again soon, for the sake of one that was killed. A start that
 * fails for a lasting reason must not repeat as fast. SIGTERM, SIGINT and SIGHUP are blocked. */
static void delay_restart(void) {
  struct timespec pause = {.tv_sec = RESTART_PAUSE_S};
  sigset_t signals;
  (void)sigemptyset(&signals); /* these fail only for invalid numbers */
  (void)sigaddset(&signals, SIGTERM);
  (void)sigaddset(&signals, SIGINT);
  (void)sigtimedwait(&signals, NULL, &pause); /* a stop ends the wait */
}

/* Names the files, so that a setting in one that is not read is found. */
static void log_config(struct server *server) {
  char files[CONFIG_FILES_TEXT_SIZE];
  log_line(&server->log, server->config->n_files > 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
           "configuration: %s", config_files_text(server->config, files));
}

int server_run(struct config *config, const struct command_line *command_line,
               struct passed_fds *passed) {
  /* static: libuv's handles must not move, and the scratch buffer is large */
  static struct server server;
  struct error_text error;
  server.config = config;
  server.options = &server.running;
  if (!options_copy(&server.running, &config->options))
    return EXIT_FAILURE; /* out of memory, of which no line is certain either */
  server.command_line = command_line;
  log_init(&server.log, STDERR_FILENO, config->options.verbose);
  log_config(&server);
  listener_init(&server.listener);
  bool managed = passed->n > 0;
  sd_notify_init(&server.notify);
  fd_store_init(&server.fd_store, &server.notify);
  users_init(&server.users, config->options.user_share);
  prepare(&server);
  int rc = open_socket(&server, passed, &error);
  if (rc == 0)
    rc = open_loop(&server, &error);
  if (rc == 0)
    rc = boot_cache(&server, &error);
  if (rc == 0)
    rc = start_loop(&server, &error);
  if (rc == 0) {
    int status = serve(&server);
    options_deinit(&server.running);
    return status;
  }
  log_line(&server.log, LOG_LEVEL_ERROR, "%s", error.text);
  listener_close(&server.listener);
  options_deinit(&server.running);
  if (rc != FC_EINVAL && managed)
    delay_restart();
  return rc == FC_EINVAL ? SERVER_WRONG_USAGE : EXIT_FAILURE;
}
