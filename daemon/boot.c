#include "daemon/boot.h"

#include <sys/random.h>

#include "daemon/boot_memory.h"
#include "daemon/os/crash_count.h"
#include "daemon/server_internal.h"
#include "daemon/server_reload.h"
#include "daemon/server_resize.h"
#include "daemon/server_snapshot.h"
#include "daemon/server_tier.h"
#include "daemon/store/store_migrate.h"
#include "daemon/survival.h"
#include "proto/errors.h"

void boot_set_user_limits(struct server *server) {
  const struct options *options = server->options;
  users_set_limit(&server->users, USER_NAMESPACES, options->max_namespaces);
  users_set_limit(&server->users, USER_MANIFEST_BYTES,
                  (uint64_t)options->max_namespaces * FC_MANIFEST_MAX);
  users_set_limit(&server->users, USER_RING_BYTES,
                  rings_pool_bytes(options->client_budget, options->max_clients));
  users_set_limit(&server->users, USER_LEASES, options->max_leases);
  users_set_limit(&server->users, USER_WAITS, options->max_leases);
  users_set_limit(&server->users, USER_USAGE_ROWS, USAGE_ROWS_MAX);
  users_set_limit(&server->users, USER_WATCHERS, WATCH_MAX);
}

/* Drops memory that made the daemons before crash, or that this one cannot adopt. */
static void check_received(struct server *server) {
  struct fd_store *store = &server->fd_store;
  if (crash_count_begin(store) && fd_store_has_received(store)) {
    log_line(&server->log, LOG_LEVEL_WARNING,
             "the daemons before crashed %u times in a row soon after their start, or did not get "
             "as far as to serve %u times: their memory is dropped",
             CRASH_COUNT_CRASHES_MAX, CRASH_COUNT_STARTS_MAX);
    fd_store_drop_received(store);
  }
}

/* For the stats: see struct dispatch_config. */
static void survival_report(void *arg, struct survival_report *report) {
  const struct server *server = arg;
  *report = (struct survival_report){.migrating_bytes = store_migrating_bytes(&server->store)};
  if (server->catalog.fd >= 0)
    report->cache_id = server->catalog.header->cache_id;
  server_snapshot_report(server, report);
}

static bool commit_lease_records(void *arg, uint32_t n) {
  struct server *server = arg;
  return catalog_commit(&server->catalog, CATALOG_LEASES, n);
}

/* Returns the lease records, or NULL if their head has no memory. */
static struct lease_records *open_lease_records(struct server *server) {
  if (!commit_lease_records(server, 1))
    return NULL;
  lease_records_init(&server->lease_records, catalog_at(&server->catalog, CATALOG_LEASES, 0),
                     LEASE_RECORDS_MAX, commit_lease_records, server);
  return &server->lease_records;
}

static void adopt_leases(struct server *server) {
  struct lease_owners_report report = dispatch_adopt_leases(&server->dispatch);
  if (report.adopted + report.dropped > 0)
    log_line(&server->log, LOG_LEVEL_DEBUG,
             "%u leases of the daemon before go on, %u have ended with it", report.adopted,
             report.dropped);
}

static void start_dispatch(struct server *server, uint64_t boot_id, uint64_t secret) {
  const struct options *options = server->options;
  const struct catalog_header *header = server->catalog.header;
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
      .memory_report = boot_memory_report,
      .memory_arg = server,
      .survival_report = survival_report,
      .survival_arg = server,
      .totals = server->totals,
      .latency = &server->latency,
      .region = server->region.index_fd >= 0 ? &server->region : NULL,
      .ring_pool_bytes = rings_pool_bytes(options->client_budget, options->max_clients),
      .leases = leases_limits_of(options->max_leases, options->lease_max_ms),
      .secret = secret,
      .lease_records = open_lease_records(server),
      .boots = header->boots,
      .n_boots = header->n_boots,
  };
  server_snapshot_control(server, &config.control);
  server_resize_control(server, &config.control);
  server_reload_control(server, &config.control);
  server_tier_source(server, &config.tier);
  dispatch_init(&server->dispatch, &config);
}

/* After dispatch_init, which has begun the counters of this daemon. */
static void count_taken_over(struct server *server) {
  const struct snapshot_restored *restored = &server->snapshot.restored;
  struct totals *totals = server->totals;
  totals->adopted_entries += server->n_adopted;
  totals->adopt_dropped += server->n_adopt_dropped;
  totals->restored_entries += restored->entries;
  totals->restore_dropped += restored->damaged + restored->no_room;
}

int boot_cache(struct server *server, struct error_text *error) {
  uint64_t random[2];
  boot_memory_bounds(server->options, server->shares, &server->memory);
  check_received(server);
  int rc = boot_check_memory(server, error);
  if (rc < 0)
    return rc;
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return error_text_set(error, FC_EREFUSED, "getrandom failed: try again");
  uint64_t boot_id = random[0] == 0 ? 1 : random[0];
  rc = survival_fill(server, boot_id, error);
  if (rc == 0)
    rc = server_snapshot_open(server, server->has_adopted, error);
  if (rc < 0)
    return rc;
  survival_begin(server, boot_id);
  totals_begin(server->totals, client_clock_now().real_ns);
  users_set_refused(&server->users, server->totals->share_refused);
  boot_set_user_limits(server);
  namespace_table_charge(&server->namespaces, &server->users);
  start_dispatch(server, boot_id, random[1] == 0 ? 1 : random[1]);
  count_taken_over(server);
  adopt_leases(server);
  return 0;
}

void boot_end_cache(struct server *server) {
  namespace_table_leave(&server->namespaces);
  dispatch_deinit(&server->dispatch);
  store_deinit(&server->store);
  region_writer_deinit(&server->region);
  catalog_deinit(&server->catalog);
  users_deinit(&server->users);
}
