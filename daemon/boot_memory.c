#include "daemon/boot_memory.h"

#include <assert.h>

#include "daemon/memory_check.h"
#include "daemon/os/dead_regions.h"
#include "daemon/server_internal.h"
#include "daemon/server_tier.h"
#include "proto/errors.h"

void boot_memory_bounds(const struct options *options, bool shares, struct memory_amounts *bounds) {
  struct memory_settings settings = {.max_bytes = options->max_bytes,
                                     .client_budget = options->client_budget,
                                     .max_value = options->max_value,
                                     .max_clients = options->max_clients,
                                     .max_namespaces = options->max_namespaces,
                                     .max_leases = options->max_leases,
                                     .tier_bytes = server_tier_bytes_max(options),
                                     .shares = shares,
                                     .snapshots = options->state != NULL};
  memory_total_bounds(&settings, bounds);
}

/* The text for a failure, and the debug log, name dead regions, whose memory is
 * not available. */
int boot_check_memory(struct server *server, struct error_text *error) {
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

/* Without the daemon's own part, of which only the bound is known. */
static struct memory_amounts memory_in_use(const struct server *server) {
  const struct conns *conns = &server->conns;
  return (struct memory_amounts){{
      [MEMORY_REGION] =
          server->region.index_bytes + server->region.committed_bytes + server->region.other_bytes,
      [MEMORY_MESSAGES] =
          conns->frames.used_bytes + conns->frames.spare_bytes + conns->replies.used_bytes,
      [MEMORY_SOCKETS] =
          conns->allocated * memory_total_socket_bytes() + conns->send_buffers.used_bytes,
      [MEMORY_RINGS] = server->dispatch.rings.used_bytes,
      [MEMORY_CLIENTS] = conns->allocated * memory_total_client_bytes(),
      [MEMORY_NAMESPACES] = namespace_table_bytes(&server->namespaces),
      [MEMORY_LEASES] = leases_bytes(&server->dispatch.leases),
      [MEMORY_TRACE] = server->trace.buffer_bytes,
      [MEMORY_TIER] = server_tier_bytes(server),
  }};
}

/* While entries move out of a larger region, that one bounds the memory. */
static void bounds_now(const struct server *server, struct memory_amounts *bounds) {
  struct options options = *server->options;
  bool moving = store_is_resizing(&server->store) || store_is_migrating(&server->store);
  options.max_bytes = server->store.max_bytes;
  if (moving && server->resized_from > options.max_bytes)
    options.max_bytes = server->resized_from;
  boot_memory_bounds(&options, server->shares, bounds);
}

int boot_check_options(const struct server *server, const struct options *options,
                       struct error_text *error) {
  const struct memory_amounts held = memory_in_use(server);
  struct memory_amounts bounds, now;
  boot_memory_bounds(options, server->shares, &bounds);
  bounds_now(server, &now);
  if (memory_total_sum(&bounds) <= memory_total_sum(&now))
    return 0;
  return memory_check(&bounds, memory_total_sum(&held), "", error);
}

void boot_memory_report(void *arg, struct memory_report *report) {
  static_assert(MEMORY_PARTS <= MEMORY_REPORT_PARTS_MAX, "all parts fit in a report");
  const struct server *server = arg;
  struct memory_amounts used = memory_in_use(server), bounds;
  bounds_now(server, &bounds);
  used.bytes[MEMORY_DAEMON] = bounds.bytes[MEMORY_DAEMON];
  *report = (struct memory_report){.used_bytes = memory_total_sum(&used),
                                   .bound_bytes = memory_total_sum(&bounds)};
  for (int part = 0; part < MEMORY_PARTS; part++)
    if (part != MEMORY_TIER || server->tier.on)
      report->parts[report->n++] = (struct memory_report_part){
          memory_part_name((enum memory_part)part), used.bytes[part], bounds.bytes[part]};
}
