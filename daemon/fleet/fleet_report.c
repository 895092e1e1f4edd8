#include "daemon/fleet/fleet_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/fleet/fleet.h"

static void set_gauges(const struct fleet *fleet, uint64_t now_ns, struct tier_report *report) {
  struct fleet_gauges gauges = fleet_gauges(fleet, now_ns);
  report->fills[TIER_FILL_ASKING] = gauges.asking;
  report->fills[TIER_FILL_LEASING] = gauges.leasing;
  report->fills[TIER_FILL_OFFERED] = gauges.offered;
  report->fills[TIER_FILL_HELD] = gauges.held;
  report->fills[TIER_FILL_REMOTE] = gauges.remote;
  report->waits = gauges.parked;
  report->queue_entries = gauges.queue_items;
  report->queue_bytes = gauges.queue_bytes;
  report->queue_bytes_max = fleet->queue.bytes_max;
  report->queue_age_ns = gauges.queue_age_ns;
}

static void set_counts(const struct fleet_counts *counts, struct tier_report *report) {
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
  report->drops[TIER_DROP_CLEARED] = counts->dropped_cleared;
  report->drops[TIER_DROP_STOP] = counts->dropped_stop;
}

static void set_clears(const struct fleet_clears *clears, struct tier_report *report) {
  const struct tier_version *saved = clears->config.saved;
  report->clear_version = fleet_clears_newest(clears);
  report->clears_learned = clears->learned;
  if (saved != NULL && saved->id != 0)
    (void)snprintf(report->id, sizeof report->id, "%016" PRIx64, saved->id); /* fits */
}

void fleet_report(const struct fleet *fleet, uint64_t now_ns, struct tier_report *report) {
  set_gauges(fleet, now_ns, report);
  set_counts(&fleet->counts, report);
  set_clears(fleet->config.clears, report);
}
