/* What the fleet and the tier report of themselves, for requests/. */
#include "daemon/server_internal.h"
#include "daemon/server_tier.h"

static const char *const mode_names[] = {[TIER_READ_WRITE] = "read-write",
                                         [TIER_READ_ONLY] = "read-only",
                                         [TIER_WRITE_ONLY] = "write-only"};

static void report(void *arg, uint64_t now_ns, struct tier_report *report) {
  const struct server *server = arg;
  const struct options *options = server->options;
  report->url = options->tier;
  report->mode = mode_names[options->tier_mode];
  report->prefix = options_tier_prefix(options);
  report->namespaces = options_tier_namespaces(options);
  fleet_report(&server->tier.fleet, now_ns, report);
}

static bool next_server(void *arg, uint64_t after, struct tier_server_report *report) {
  const struct server *server = arg;
  return tier_io_next_server(server->tier.io, after, report);
}

void server_tier_source(struct server *server, struct tier_source *source) {
  if (server->options->tier != NULL)
    *source = (struct tier_source){.report = report, .next_server = next_server, .arg = server};
}
