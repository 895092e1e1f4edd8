#include "client/lib/admin/admin.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/lib/api/clear.h"
#include "client/lib/api/stats.h"
#include "client/lib/conn/request.h"
#include "proto/errors.h"

#define DEADLINE_DEFAULT_MS 250u /* 0 would be none at all for a socket */

struct admin {
  struct link link;
};

static int fail_open(struct admin *admin, int code, struct fcache_error *error) {
  if (error != NULL) {
    error->code = code;
    (void)snprintf(error->text, sizeof error->text, "%s",
                   admin != NULL ? admin->link.error : fc_error_text(code)); /* cut where longer */
  }
  admin_close(admin);
  return code;
}

int admin_open(const char *socket, const char *name_space, uint32_t deadline_ms, struct admin **out,
               struct fcache_error *error) {
  struct link_options options = {
      .socket = socket,
      .name_space = name_space,
      .deadline_ns = (uint64_t)(deadline_ms != 0 ? deadline_ms : DEADLINE_DEFAULT_MS) * 1000000u,
      .quiet = true, /* the tool says itself what went wrong */
  };
  *out = NULL;
  struct admin *admin = calloc(1, sizeof *admin);
  if (admin == NULL)
    return fail_open(NULL, FC_ENOMEM, error);
  int rc = link_init(&admin->link, &options);
  if (rc == 0)
    rc = link_open(&admin->link);
  if (rc < 0)
    return fail_open(admin, rc, error);
  *out = admin;
  return 0;
}

void admin_close(struct admin *admin) {
  if (admin == NULL)
    return;
  link_deinit(&admin->link);
  free(admin);
}

const char *admin_error(const struct admin *admin) {
  return admin->link.error;
}

const char *admin_server(const struct admin *admin) {
  return admin->link.server;
}

/* A tool does not reconnect: what it saw so far may not be true of another daemon. */
static bool up(const struct admin *admin) {
  return admin->link.state == LINK_UP;
}

static int ask_simple(struct admin *admin, enum fc_type type) {
  struct fc_reply reply;
  if (!up(admin))
    return FC_EUNAVAILABLE;
  uint32_t id = link_begin(&admin->link, type);
  (void)fc_encode_simple(&admin->link.request, type, id); /* the exchange looks at `failed` */
  return link_exchange(&admin->link, id, NULL, 0, &reply);
}

int admin_ping(struct admin *admin, uint64_t *rtt_ns) {
  uint64_t start_ns = channel_clock_ns();
  int rc = ask_simple(admin, FC_PING);
  *rtt_ns = channel_clock_ns() - start_ns;
  return rc;
}

int admin_shutdown(struct admin *admin) {
  return ask_simple(admin, FC_SHUTDOWN);
}

int admin_stats(struct admin *admin, const char *name_space, fcache_stat_fn *fn, void *arg) {
  struct fc_str name = name_space == NULL ? (struct fc_str){0} : fc_str_of(name_space);
  return up(admin) ? stats_ask(&admin->link, name, fn, arg) : FC_EUNAVAILABLE;
}

int admin_clear(struct admin *admin, const struct fc_select *select, uint64_t *removed) {
  return up(admin) ? clear_ask(&admin->link, select, removed) : FC_EUNAVAILABLE;
}

int admin_list(struct admin *admin, const struct fc_select *select, uint64_t limit,
               pages_entry_fn *fn, void *arg) {
  struct pages pages = {
      .type = FC_LIST, .select = *select, .limit = limit, .fn.entry = fn, .arg = arg};
  return up(admin) ? pages_ask(&admin->link, &pages) : FC_EUNAVAILABLE;
}

static int too_old(struct admin *admin, const char *what) {
  return link_fault(&admin->link, FC_EVERSION,
                    "this daemon is older than the command and does not %s: update it", what);
}

int admin_kill(struct admin *admin, uint64_t client_id, bool *killed) {
  struct fc_reply reply;
  if (!up(admin))
    return FC_EUNAVAILABLE;
  if (!link_has_users(&admin->link))
    return too_old(admin, "close connections");
  uint32_t id = link_begin(&admin->link, FC_KILL);
  (void)fc_encode_kill(&admin->link.request, id, client_id); /* the exchange looks at `failed` */
  int rc = link_exchange(&admin->link, id, NULL, 0, &reply);
  if (rc == 0)
    *killed = reply.killed;
  return rc;
}

/* A daemon that does not know the request would close the connection over it. */
static int ask_new(struct admin *admin, bool (*has)(const struct link *link), const char *what,
                   const struct pages *pages) {
  if (!up(admin))
    return FC_EUNAVAILABLE;
  if (!has(&admin->link))
    return too_old(admin, what);
  return pages_ask(&admin->link, pages);
}

int admin_leases(struct admin *admin, const char *name_space, uint64_t limit, pages_lease_fn *fn,
                 void *arg) {
  struct pages pages = {.type = FC_LEASES,
                        .select.name_space = fc_str_of(name_space),
                        .limit = limit,
                        .fn.lease = fn,
                        .arg = arg};
  return ask_new(admin, link_has_leases, "tell its leases", &pages);
}

int admin_clients(struct admin *admin, const char *name_space, uint64_t limit, pages_client_fn *fn,
                  void *arg) {
  struct pages pages = {.type = FC_CLIENTS,
                        .select.name_space = fc_str_of(name_space),
                        .limit = limit,
                        .fn.client = fn,
                        .arg = arg};
  return ask_new(admin, link_has_leases, "tell its clients", &pages);
}

int admin_namespaces(struct admin *admin, const char *name_space, uint64_t limit,
                     pages_namespace_fn *fn, void *arg) {
  struct pages pages = {.type = FC_NAMESPACES,
                        .select.name_space = fc_str_of(name_space),
                        .limit = limit,
                        .fn.name_space = fn,
                        .arg = arg};
  return ask_new(admin, link_has_manifests, "tell its namespaces", &pages);
}

int admin_trace(struct admin *admin, enum fc_trace_action action, const char *path,
                struct admin_trace *out) {
  struct fc_reply reply;
  struct fc_trace trace = {.action = action};
  if (path != NULL)
    trace.path = fc_str_of(path);
  if (!up(admin))
    return FC_EUNAVAILABLE;
  uint32_t id = link_begin(&admin->link, FC_TRACE);
  (void)fc_encode_trace(&admin->link.request, id, &trace); /* the exchange looks at `failed` */
  int rc = link_exchange(&admin->link, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  *out = (struct admin_trace){
      .on = reply.trace.on, .lines = reply.trace.lines, .lost = reply.trace.lost};
  (void)snprintf(out->path, sizeof out->path, "%.*s", (int)reply.trace.path.size,
                 reply.trace.path.data == NULL ? "" : reply.trace.path.data);
  return 0;
}
