/* What the fleet and the tier report of themselves, for requests/. */
#include "daemon/server_internal.h"
#include "daemon/server_tier.h"

static const char *const mode_names[] = {[TIER_READ_WRITE] = "read-write",
                                         [TIER_READ_ONLY] = "read-only",
                                         [TIER_WRITE_ONLY] = "write-only"};

static void report_fleet(const struct fleet *fleet, uint64_t now_ns, struct tier_report *report) {
  struct fleet_gauges now = fleet_gauges(fleet, now_ns);
  const struct fleet_counts *counts = &fleet->counts;
  report->fills[TIER_FILL_ASKING] = now.asking;
  report->fills[TIER_FILL_LEASING] = now.leasing;
  report->fills[TIER_FILL_OFFERED] = now.offered;
  report->fills[TIER_FILL_HELD] = now.held;
  report->fills[TIER_FILL_REMOTE] = now.remote;
  report->waits = now.parked;
  report->queue_entries = now.queue_items;
  report->queue_bytes = now.queue_bytes;
  report->queue_bytes_max = fleet->queue.bytes_max;
  report->queue_age_ns = now.queue_age_ns;
  report->fills_begun = counts->fills;
  report->fills_failed = counts->failed;
  report->fills_late = counts->late;
  report->skipped_down = counts->skipped_down;
  report->skipped_full = counts->skipped_full;
  report->remote_fills = counts->remote;
  report->remote_hits = counts->remote_found;
  report->leases_taken = counts->leases_taken;
  report->leases_lost = counts->leases_lost;
  report->drops[TIER_DROP_FULL] = counts->dropped_full;
  report->drops[TIER_DROP_OLD] = counts->dropped_age;
  report->drops[TIER_DROP_REFUSED] = counts->dropped_refused;
  report->drops[TIER_DROP_STOP] = counts->dropped_stop;
}

static void report(void *arg, uint64_t now_ns, struct tier_report *report) {
  const struct server *server = arg;
  const struct options *options = server->options;
  report->url = options->tier;
  report->mode = mode_names[options->tier_mode];
  report->prefix = options_tier_prefix(options);
  report->namespaces = options_tier_namespaces(options);
  report->id = "";
  report->clear_version = fleet_clears_newest(&server->tier.clears);
  report_fleet(&server->tier.fleet, now_ns, report);
}

static bool next_server(void *arg, uint64_t after, struct tier_server_report *report) {
  const struct server *server = arg;
  return tier_io_next_server(server->tier.io, after, report);
}

void server_tier_source(struct server *server, struct tier_source *source) {
  if (server->options->tier != NULL)
    *source = (struct tier_source){.report = report, .next_server = next_server, .arg = server};
}
