#include "client/lib/admin/admin_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/lib/api/clear.h"
#include "client/lib/api/delete.h"
#include "client/lib/api/stats.h"
#include "client/lib/conn/request.h"
#include "client/lib/util/clock.h"
#include "proto/errors.h"

#define DEADLINE_DEFAULT_MS 250u /* 0 would mean no deadline */

static int fail_open(struct admin *admin, int code, struct fcache_error *error) {
  if (error != NULL) {
    error->code = code;
    (void)snprintf(error->text, sizeof error->text, "%s",
                   admin != NULL ? admin->connection.error
                                 : fc_error_text(code)); /* may cut the text */
  }
  admin_close(admin);
  return code;
}

int admin_open_options(const struct connection_options *options, struct admin **out,
                       struct fcache_error *error) {
  *out = NULL;
  struct admin *admin = calloc(1, sizeof *admin);
  if (admin == NULL)
    return fail_open(NULL, FC_ENOMEM, error);
  int rc = connection_init(&admin->connection, options);
  if (rc == 0)
    rc = connection_open(&admin->connection);
  if (rc < 0)
    return fail_open(admin, rc, error);
  *out = admin;
  return 0;
}

int admin_open(const char *socket, const char *name_space, uint32_t deadline_ms, struct admin **out,
               struct fcache_error *error) {
  struct connection_options options = {
      .socket = socket,
      .name_space = name_space,
      .deadline_ns = (uint64_t)(deadline_ms != 0 ? deadline_ms : DEADLINE_DEFAULT_MS) * CLOCK_MS_NS,
      .quiet = true, /* the tool prints the error itself */
  };
  return admin_open_options(&options, out, error);
}

int admin_reconnect(struct admin *admin) {
  return connection_open(&admin->connection);
}

void admin_close(struct admin *admin) {
  if (admin == NULL)
    return;
  connection_deinit(&admin->connection);
  free(admin);
}

const char *admin_error(const struct admin *admin) {
  return admin->connection.error;
}

const char *admin_server(const struct admin *admin) {
  return admin->connection.server;
}

const char *admin_socket(const struct admin *admin) {
  return admin->connection.path;
}

static int call_simple(struct admin *admin, enum fc_type type) {
  struct fc_reply reply;
  if (!admin_is_up(admin))
    return FC_EUNAVAILABLE;
  uint32_t id = request_begin(&admin->connection, type);
  (void)fc_encode_simple(&admin->connection.request, type, id); /* request_call checks `failed` */
  return request_call(&admin->connection, id, NULL, 0, &reply);
}

int admin_ping(struct admin *admin, uint64_t *rtt_ns) {
  uint64_t start_ns = clock_now_ns();
  int rc = call_simple(admin, FC_PING);
  *rtt_ns = clock_now_ns() - start_ns;
  return rc;
}

int admin_shutdown(struct admin *admin) {
  return call_simple(admin, FC_SHUTDOWN);
}

int admin_stats(struct admin *admin, const char *name_space, fcache_stat_fn *fn, void *arg) {
  struct fc_str name = name_space == NULL ? (struct fc_str){0} : fc_str_of(name_space);
  return admin_is_up(admin) ? stats_request(&admin->connection, name, fn, arg) : FC_EUNAVAILABLE;
}

int admin_clear(struct admin *admin, const struct fc_clear *clear, uint64_t *removed) {
  return admin_is_up(admin) ? clear_request(&admin->connection, clear, removed) : FC_EUNAVAILABLE;
}

int admin_delete(struct admin *admin, const struct fc_delete *request, bool *existed) {
  return admin_is_up(admin) ? delete_request(&admin->connection, request, existed)
                            : FC_EUNAVAILABLE;
}

int admin_list(struct admin *admin, const struct fc_select *select, uint64_t limit,
               pages_entry_fn *fn, void *arg) {
  struct pages pages = {
      .type = FC_LIST, .select = *select, .limit = limit, .fn.entry = fn, .arg = arg};
  return admin_is_up(admin) ? pages_list(&admin->connection, &pages) : FC_EUNAVAILABLE;
}

int admin_check_supported(struct admin *admin, enum connection_feature feature, const char *what) {
  return admin_is_up(admin) ? connection_check_supported(&admin->connection, feature, what)
                            : FC_EUNAVAILABLE;
}

int admin_list_places(struct admin *admin, const struct fc_select *select, pages_entry_fn *fn,
                      void *arg) {
  struct pages pages = {
      .type = FC_LIST, .select = *select, .order = FC_ORDER_PLACE, .fn.entry = fn, .arg = arg};
  int rc = admin_check_supported(admin, CONNECTION_SNAPSHOTS, "list by place");
  return rc < 0 ? rc : pages_list(&admin->connection, &pages);
}

int admin_kill(struct admin *admin, uint64_t client_id, bool *killed) {
  struct fc_reply reply;
  int rc = admin_check_supported(admin, CONNECTION_RINGS, "kill");
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(&admin->connection, FC_KILL);
  (void)fc_encode_kill(&admin->connection.request, id,
                       client_id); /* request_call checks `failed` */
  rc = request_call(&admin->connection, id, NULL, 0, &reply);
  if (rc == 0)
    *killed = reply.killed;
  return rc;
}

static int list_pages(struct admin *admin, enum connection_feature feature, const char *what,
                      const struct pages *pages) {
  int rc = admin_check_supported(admin, feature, what);
  return rc < 0 ? rc : pages_list(&admin->connection, pages);
}

int admin_leases(struct admin *admin, const char *name_space, uint64_t limit, pages_lease_fn *fn,
                 void *arg) {
  struct pages pages = {.type = FC_LEASES,
                        .select.name_space = fc_str_of(name_space),
                        .limit = limit,
                        .fn.lease = fn,
                        .arg = arg};
  return list_pages(admin, CONNECTION_LEASES, "leases", &pages);
}

int admin_clients(struct admin *admin, const char *name_space, uint64_t limit, pages_client_fn *fn,
                  void *arg) {
  struct pages pages = {.type = FC_CLIENTS,
                        .select.name_space = fc_str_of(name_space),
                        .limit = limit,
                        .fn.client = fn,
                        .arg = arg};
  return list_pages(admin, CONNECTION_LEASES, "clients", &pages);
}

int admin_namespaces(struct admin *admin, const char *name_space, uint64_t limit,
                     pages_namespace_fn *fn, void *arg) {
  struct pages pages = {.type = FC_NAMESPACES,
                        .select.name_space = fc_str_of(name_space),
                        .limit = limit,
                        .fn.name_space = fn,
                        .arg = arg};
  return list_pages(admin, CONNECTION_MANIFESTS, "namespaces", &pages);
}

int admin_usage(struct admin *admin, enum fc_usage_by by, pages_usage_fn *fn, void *arg) {
  struct pages pages = {.type = FC_USAGE, .by = by, .fn.usage = fn, .arg = arg};
  return list_pages(admin, CONNECTION_TOOLS, "usage", &pages);
}

static void copy_text(char *to, size_t size, struct fc_str text) {
  (void)snprintf(to, size, "%.*s", (int)text.size, text.data == NULL ? "" : text.data);
}

int admin_snapshot(struct admin *admin, enum fc_snapshot_action action,
                   struct admin_snapshot *out) {
  struct fc_reply reply;
  int rc = admin_check_supported(admin, CONNECTION_SNAPSHOTS, "snapshot");
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(&admin->connection, FC_SNAPSHOT);
  (void)fc_encode_snapshot(&admin->connection.request, id,
                           action); /* request_call checks `failed` */
  rc = request_call(&admin->connection, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  const struct fc_snapshot_reply *snapshot = &reply.snapshot;
  *out = (struct admin_snapshot){.started = snapshot->started,
                                 .running = snapshot->running,
                                 .ended = snapshot->ended,
                                 .entries = snapshot->entries,
                                 .bytes = snapshot->bytes,
                                 .duration_ns = snapshot->duration_ns};
  copy_text(out->path, sizeof out->path, snapshot->path);
  copy_text(out->error, sizeof out->error, snapshot->error);
  return 0;
}

int admin_set(struct admin *admin, const char *name, const char *value, struct fc_set_reply *out) {
  struct fc_set set = {fc_str_of(name), fc_str_of(value)};
  struct fc_reply reply;
  int rc = admin_check_supported(admin, CONNECTION_SNAPSHOTS, "set");
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(&admin->connection, FC_SET);
  (void)fc_encode_set(&admin->connection.request, id, &set); /* request_call checks `failed` */
  rc = request_call(&admin->connection, id, NULL, 0, &reply);
  if (rc == 0)
    *out = reply.set;
  return rc;
}

int admin_trace(struct admin *admin, enum fc_trace_action action, const char *path, bool mkdir,
                struct admin_trace *out) {
  struct fc_reply reply;
  struct fc_trace trace = {.action = action, .mkdir = mkdir};
  if (path != NULL)
    trace.path = fc_str_of(path);
  if (!admin_is_up(admin))
    return FC_EUNAVAILABLE;
  uint32_t id = request_begin(&admin->connection, FC_TRACE);
  (void)fc_encode_trace(&admin->connection.request, id, &trace); /* request_call checks `failed` */
  int rc = request_call(&admin->connection, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  *out = (struct admin_trace){
      .on = reply.trace.on, .lines = reply.trace.lines, .lost = reply.trace.lost};
  copy_text(out->path, sizeof out->path, reply.trace.path);
  return 0;
}
