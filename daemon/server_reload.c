#include "daemon/server_reload.h"

#include "daemon/boot.h"
#include "daemon/boot_memory.h"
#include "daemon/config/option_value.h"
#include "daemon/server_internal.h"
#include "daemon/server_resize.h"
#include "daemon/server_snapshot.h"
#include "daemon/server_tier.h"
#include "proto/errors.h"

struct reload {
  struct server *server;
  struct config next;       /* as the files and the command line are now */
  struct error_text *error; /* the first mistake */
};

static void on_problem(void *arg, const char *text) {
  struct reload *reload = arg;
  log_line(&reload->server->log, LOG_LEVEL_ERROR, "%s", text);
  if (reload->error->text[0] == '\0')
    (void)error_text_set(reload->error, FC_EINVAL, "%s", text); /* returns its code */
}

static bool has_changed(const struct reload *reload, const struct option_row *row) {
  return !option_equal(reload->server->options, &reload->next.options, row);
}

static bool option_has_changed(const struct reload *reload, const char *name) {
  return has_changed(reload, option_find(name));
}

/* Without shared memory the region cannot be replaced. */
static bool is_live(const struct server *server, const struct option_row *row) {
  bool can_resize = server->store.region->index_fd >= 0;
  return row->change == OPTION_LIVE && (can_resize || row != option_find("max-bytes"));
}

static bool resizes(const struct reload *reload) {
  const struct option_row *row = option_find("max-bytes");
  return has_changed(reload, row) && is_live(reload->server, row);
}

/* ---- what may fail ---- */

/* The limits that the reload would set, with the restart's options as they are. Borrows strings. */
static int check_memory(const struct reload *reload, struct error_text *error) {
  const struct server *server = reload->server;
  struct options wanted = *server->options;
  const struct options *next = &reload->next.options;
  wanted.max_bytes = resizes(reload) ? next->max_bytes : server->store.max_bytes;
  wanted.max_clients = next->max_clients;
  wanted.max_namespaces = next->max_namespaces;
  wanted.max_leases = next->max_leases;
  return boot_check_options(server, &wanted, error);
}

/* Opens the next trace file. *dir is the next trace directory, or none. */
static int open_trace(struct reload *reload, struct trace_dir *dir, struct error_text *error) {
  const struct options *next = &reload->next.options;
  trace_dir_init(dir);
  int rc = 0;
  if (option_has_changed(reload, "trace-dir") && next->trace_dir != NULL)
    rc = trace_dir_open(dir, next->trace_dir, error);
  if (rc == 0 && option_has_changed(reload, "trace") && next->trace != NULL)
    rc = trace_on(&reload->server->trace, fc_str_of(next->trace), error);
  if (rc < 0)
    trace_dir_deinit(dir);
  return rc;
}

/* Takes the directory over, and ends a trace that the configuration has no more. */
static void use_trace(struct reload *reload, const struct trace_dir *dir) {
  struct trace *trace = &reload->server->trace;
  const struct options *next = &reload->next.options;
  bool other_file = option_has_changed(reload, "trace");
  bool other_dir =
      option_has_changed(reload, "trace-dir") || (other_file && next->trace_dir == NULL);
  if (other_file && next->trace == NULL)
    trace_off(trace);
  if (!other_dir)
    return;
  trace_take_dir(trace, dir);
  if (next->trace != NULL && next->trace_dir == NULL)
    trace_set_dir_beside(trace);
}

/* The latest step that may fail is the trace's, which changes nothing then. So all is applied, or
 * nothing. */
static int apply_fallible(struct reload *reload, struct error_text *error) {
  struct server *server = reload->server;
  uint64_t max_bytes = reload->next.options.max_bytes, region_id = 0;
  struct trace_dir dir;
  int rc = check_memory(reload, error);
  if (rc == 0 && resizes(reload))
    rc = server_resize_prepare(server, max_bytes, &region_id, error);
  if (rc == 0)
    rc = open_trace(reload, &dir, error);
  if (rc < 0)
    return rc;
  use_trace(reload, &dir);
  if (resizes(reload))
    server_resize_begin(server, max_bytes, region_id);
  return 0;
}

/* ---- what cannot fail. The server has the new options. ---- */

static void apply_clients(struct server *server) {
  const struct options *options = server->options;
  struct conns_limits limits = server->conns.limits;
  limits.max_clients = options->max_clients;
  limits.hello_timeout_ns = (uint64_t)options->hello_timeout_ms * 1000000u;
  limits.stall_timeout_ns = (uint64_t)options->stall_timeout_ms * 1000000u;
  limits.admins = server_admins(server);
  conns_set_limits(&server->conns, &limits);
  server->dispatch.max_clients = options->max_clients;
  rings_set_pool(&server->dispatch.rings,
                 rings_pool_bytes(options->client_budget, options->max_clients),
                 options->max_clients);
  server_raise_descriptors(server);
}

static void apply(struct server *server) {
  const struct options *options = server->options;
  struct leases_limits leases = leases_limits_of(options->max_leases, options->lease_max_ms);
  server->log.verbose = options->verbose;
  users_set_share(&server->users, options->user_share);
  boot_set_user_limits(server);
  namespace_table_set_limit(&server->namespaces, options->max_namespaces);
  leases_set_limits(&server->dispatch.leases, &leases);
  apply_clients(server);
  server_snapshot_set_interval(server);
  server_tier_apply(server);
  boot_memory_bounds(options, server->shares, &server->memory);
  conns_run_background(&server->conns); /* dropped namespaces have entries */
}

/* ---- the log ---- */

static void log_change(struct reload *reload, const struct option_row *row) {
  char before[OPTION_TEXT_SIZE], now[OPTION_TEXT_SIZE];
  struct server *server = reload->server;
  (void)option_format(server->options, row, before);
  (void)option_format(&reload->next.options, row, now);
  log_line(&server->log, LOG_LEVEL_INFO, "reload: %s: %s -> %s%s", row->name, before, now,
           is_live(server, row) ? "" : " needs a restart");
}

/* A size that fcachectl has set stays: the operator may not expect it. */
static void log_kept_size(const struct reload *reload) {
  const struct server *server = reload->server;
  const struct option_row *row = option_find("max-bytes");
  char of_file[OPTION_TEXT_SIZE], now[OPTION_TEXT_SIZE];
  struct options running = {.max_bytes = server->store.max_bytes};
  if (has_changed(reload, row) || running.max_bytes == server->options->max_bytes)
    return;
  log_line(&reload->server->log, LOG_LEVEL_INFO,
           "reload: max-bytes stays %s, as fcachectl set it: the configuration has %s as before",
           option_format(&running, row, now), option_format(server->options, row, of_file));
}

/* Logs and counts each change, and takes over the live ones from *wanted, a copy of the next
 * options. */
static struct reload_report take_over(struct reload *reload, struct options *wanted) {
  struct server *server = reload->server;
  struct reload_report report = {0};
  log_kept_size(reload);
  for (size_t i = 0; i < option_count; i++) {
    const struct option_row *row = &option_table[i];
    if (!has_changed(reload, row))
      continue;
    log_change(reload, row);
    if (is_live(server, row))
      option_swap(&server->running, wanted, row);
    *(is_live(server, row) ? &report.changed : &report.waiting) += 1;
  }
  config_deinit(server->config);
  *server->config = reload->next;
  reload->next = (struct config){0};
  return report;
}

/* All that the reload has read is in use. */
static void log_end(struct server *server, bool any) {
  char files[CONFIG_FILES_TEXT_SIZE];
  log_line(&server->log, LOG_LEVEL_INFO, "configuration read again%s: %s",
           any ? "" : ", nothing has changed", config_files_text(server->config, files));
}

/* ---- all ---- */

/* Returns 0, or the error after which nothing has changed. */
static int load(struct reload *reload, struct options *wanted) {
  struct server *server = reload->server;
  struct error_text failure;
  int rc = config_load(&reload->next, server->command_line, on_problem, reload);
  if (rc < 0)
    return rc;
  if (!options_copy(wanted, &reload->next.options))
    rc = error_text_set(&failure, FC_ENOMEM, "reload: out of memory");
  else
    rc = apply_fallible(reload, &failure);
  if (rc < 0)
    on_problem(reload, failure.text);
  return rc;
}

int server_reload(struct server *server, struct reload_report *report, struct error_text *error) {
  struct reload reload = {.server = server, .error = error};
  struct options wanted = {0};
  error->text[0] = '\0';
  if (server->stopping)
    return error_text_set(error, FC_ESHUTDOWN, "%s", fc_error_text(FC_ESHUTDOWN));
  rings_drain_all(&server->dispatch.rings); /* lookups before belong in the old trace file */
  int rc = load(&reload, &wanted);
  bool other_trace = rc == 0 && option_has_changed(&reload, "trace");
  if (rc == 0) {
    *report = take_over(&reload, &wanted);
    apply(server);
    log_end(server, report->changed + report->waiting > 0);
  } else {
    log_line(&server->log, LOG_LEVEL_ERROR, "reload: the configuration stays as it was");
  }
  if (!other_trace)
    trace_reopen(&server->trace);
  options_deinit(&wanted);
  config_deinit(&reload.next);
  return rc;
}

/* ---- requests ---- */

static int reload_request(void *arg, uint32_t *changed, uint32_t *waiting,
                          struct error_text *error) {
  struct reload_report report = {0};
  int rc = server_reload(arg, &report, error);
  *changed = report.changed;
  *waiting = report.waiting;
  return rc;
}

/* What fcachectl has set is in no file. */
static bool is_set(const struct server *server, const struct option_row *row) {
  return row == option_find("max-bytes") && server->store.max_bytes != server->options->max_bytes;
}

static uint32_t list_options(void *arg, control_option_fn *option, void *option_arg) {
  const struct server *server = arg;
  char value[OPTION_TEXT_SIZE], next[OPTION_TEXT_SIZE], source[CONFIG_SOURCE_TEXT_SIZE];
  struct options now = server->running; /* borrows its strings */
  now.max_bytes = server->store.max_bytes;
  for (size_t i = 0; i < option_count && option != NULL; i++) {
    const struct option_row *row = &option_table[i];
    bool differs = !option_equal(&now, &server->config->options, row);
    const struct control_option item = {
        .name = row->name,
        .value = option_format(&now, row, value),
        .source =
            is_set(server, row) ? "fcachectl set" : config_source_text(server->config, i, source),
        .next = differs ? option_format(&server->config->options, row, next) : "",
        .live = is_live(server, row)};
    option(option_arg, &item);
  }
  return (uint32_t)option_count;
}

void server_reload_control(struct server *server, struct control *control) {
  control->arg = server;
  control->reload = reload_request;
  control->options = list_options;
}
