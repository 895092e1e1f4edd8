/* Connects the clears of the fleet (daemon/fleet/fleet_clears.h) with the cache and the requests.
 */
#include "daemon/server_internal.h"
#include "daemon/server_tier.h"
#include "proto/name_patterns.h"

static bool selects(void *arg, struct fc_str name_space) {
  const struct server *server = arg;
  return name_patterns_select(options_tier_namespaces(server->options), name_space.data,
                              name_space.size);
}

/* A turn of the background goes on with the clear, and answers the waits that it ended. */
static bool clear(void *arg, const struct fc_select *select, uint64_t now_ns) {
  struct server *server = arg;
  bool started = dispatch_learn_clear(&server->dispatch, select, now_ns);
  conns_run_background(&server->conns); /* the end of other clears makes place for this one */
  return started;
}

static void delete_key(void *arg, struct fc_str name_space, const struct fc_key *key,
                       uint64_t now_ns) {
  struct server *server = arg;
  dispatch_learn_delete(&server->dispatch, name_space, key, now_ns);
  conns_run_background(&server->conns);
}

static void stepped(void *arg) {
  struct server *server = arg;
  dispatch_clears_recorded(&server->dispatch);
}

static uint64_t stamp(void *arg, uint64_t now_ns) {
  struct server *server = arg;
  return fleet_stamp(&server->tier.fleet, now_ns);
}

static void manifest_differs(void *arg, struct fc_str name_space, uint64_t node) {
  struct server *server = arg;
  if (namespace_table_find(&server->namespaces, name_space) == NULL)
    return;
  if (node == server->tier.clears.config.node)
    log_line(&server->log, LOG_LEVEL_WARNING,
             "a client here has another manifest for namespace %.*s than the fleet: it may compute "
             "other results under the same names. fcachectl namespaces shows this one",
             (int)name_space.size, name_space.data);
  else
    log_line(&server->log, LOG_LEVEL_WARNING,
             "node %016llx of the fleet has another manifest for namespace %.*s: its workers may "
             "compute other results under the same names",
             (unsigned long long)node, (int)name_space.size, name_space.data);
}

void server_tier_clears_start(struct server *server, uint64_t node, uint64_t seed) {
  const struct options *options = server->options;
  const struct fleet_clears_config config = {.io = tier_io_interface(server->tier.io),
                                             .log = &server->log,
                                             .saved = &server->totals->tier_version,
                                             .prefix = fc_str_of(options_tier_prefix(options)),
                                             .node = node,
                                             .seed = seed,
                                             .deadline_ns = options->tier_deadline_ms * 1000000,
                                             .writes = options->tier_mode != TIER_READ_ONLY,
                                             .selects = selects,
                                             .clear = clear,
                                             .delete = delete_key,
                                             .stepped = stepped,
                                             .stamp = stamp,
                                             .manifest_differs = manifest_differs,
                                             .arg = server};
  fleet_clears_init(&server->tier.clears, &config);
}
