#include "daemon/boot.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/leases/lease_records.h"
#include "daemon/memory_check.h"
#include "daemon/os/crash_count.h"
#include "daemon/os/dead_regions.h"
#include "daemon/server_internal.h"
#include "daemon/server_snapshot.h"
#include "daemon/store/adopt.h"
#include "proto/errors.h"

/* ---- memory ---- */

/* Checks the memory. The text for a failure, and the debug log, name dead regions, whose memory is
 * not available. */
static int check_memory(struct server *server, struct error_text *error) {
  char text[DEAD_REGIONS_TEXT_SIZE];
  struct fc_region_uses dead;
  struct error_text short_of;
  int rc = memory_check(&server->memory, fd_store_received_bytes(&server->fd_store), "", &short_of);
  if (rc == 0 && !server->log.verbose)
    return 0;
  dead_regions_find("", &server->fd_store, &dead);
  dead_regions_describe(&dead, text);
  if (rc < 0)
    return error_text_set(error, rc, "%s%s%s", short_of.text, text[0] != '\0' ? "; " : "", text);
  if (text[0] != '\0')
    log_line(&server->log, LOG_LEVEL_DEBUG, "%s", text);
  return 0;
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

static void survival_report(void *arg, struct survival_report *report) {
  const struct server *server = arg;
  *report = (struct survival_report){.cache_id = server->cache_id};
  server_snapshot_report(server, report);
}

/* Adds this daemon to those of the cache. */
static void add_boot(struct server *server, uint64_t boot_id) {
  if (server->n_boots == SNAPSHOT_BOOTS_MAX)
    memmove(server->boots, server->boots + 1, --server->n_boots * sizeof server->boots[0]);
  server->boots[server->n_boots++] = boot_id;
}

static int restore_snapshot(struct server *server, uint64_t boot_id, uint64_t random,
                            struct error_text *error) {
  server->cache_id = random == 0 ? 1 : random;
  int rc = server_snapshot_open(server, false, error);
  if (rc == 0)
    add_boot(server, boot_id);
  return rc;
}

static int make_catalog(struct server *server, struct error_text *error) {
  struct catalog_sizes sizes = {
      .areas[CATALOG_LEASES] = {sizeof(struct lease_record), LEASE_RECORDS_MAX}};
  store_catalog_sizes(&sizes);
  return catalog_create(&server->catalog, &sizes, server->region.arena_size / CATALOG_CHUNK_BYTES,
                        server->region.index_fd >= 0, error);
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

int boot_cache(struct server *server, struct error_text *error) {
  const struct options *options = server->options;
  struct memory_settings settings = {.max_bytes = options->max_bytes,
                                     .client_budget = options->client_budget,
                                     .max_value = options->max_value,
                                     .max_clients = options->max_clients,
                                     .max_namespaces = options->max_namespaces,
                                     .max_leases = options->max_leases,
                                     .shares = server->shares};
  memory_total_bounds(&settings, &server->memory);
  check_received(server);
  int rc = check_memory(server, error);
  if (rc < 0)
    return rc;
  fd_store_drop_received(&server->fd_store);
  uint64_t random[5];
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return error_text_set(error, FC_EREFUSED, "getrandom failed: try again");
  uint64_t boot_id = random[1] == 0 ? 1 : random[1];
  rc = region_writer_init(&server->region, options->max_bytes, options->max_value, boot_id,
                          server->shares, error);
  if (rc < 0)
    return rc;
  if (server->shares && server->region.index_fd < 0)
    log_line(&server->log, LOG_LEVEL_WARNING, "%s", error->text);
  rc = make_catalog(server, error);
  if (rc < 0)
    return rc;
  rc = store_init(&server->store, &server->region, &server->catalog, options->max_bytes,
                  options->max_value, random[0], random[2]);
  if (rc < 0)
    return error_text_set(error, rc, "%s", fc_error_text(rc));
  namespace_table_init(&server->namespaces, &server->store, options->max_namespaces);
  rc = restore_snapshot(server, boot_id, random[4], error);
  if (rc < 0)
    return rc;
  totals_begin(&server->totals, client_clock_now().real_ns);
  users_set_refused(&server->users, server->totals.share_refused);
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
      .survival_report = survival_report,
      .survival_arg = server,
      .boots = server->boots,
      .n_boots = server->n_boots,
      .totals = &server->totals,
      .region = server->region.index_fd >= 0 ? &server->region : NULL,
      .ring_pool_bytes = rings_pool_bytes(options->client_budget, options->max_clients),
      .leases = leases_limits_of(options->max_leases, options->lease_max_ms),
      .lease_records = open_lease_records(server),
      .secret = random[3] == 0 ? 1 : random[3],
  };
  server_snapshot_control(server, &config.control);
  dispatch_init(&server->dispatch, &config);
  adopt_leases(server);
  return 0;
}

void boot_end_cache(struct server *server) {
  namespace_table_deinit(&server->namespaces);
  dispatch_deinit(&server->dispatch);
  store_deinit(&server->store);
  region_writer_deinit(&server->region);
  catalog_deinit(&server->catalog);
  users_deinit(&server->users);
}
