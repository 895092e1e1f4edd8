#include "tests/support/scripted_tier.h"

#include <stdio.h>
#include <string.h>

void scripted_tier_init(struct scripted_tier *tier) {
  memset(tier, 0, sizeof *tier);
  tier->report.url = "redis://cache:6379";
  tier->report.mode = "read-write";
  tier->report.prefix = "fcached:";
  tier->report.namespaces = "*";
  (void)snprintf(tier->report.id, sizeof tier->report.id, "f00d"); /* fits */
  tier->server.role = "single";
  for (int class = 0; class < TIER_CLASSES; class ++)
    tier->server.breakers[class].error = "";
}

static void report(void *arg, uint64_t now_ns, struct tier_report *out) {
  struct scripted_tier *tier = arg;

  tier->now_ns = now_ns;
  *out = tier->report;
}

/* Serials have gaps, as servers come and go. */
static uint64_t serial_of(uint64_t i) {
  return 3 * i + 1;
}

static bool next_server(void *arg, uint64_t after, struct tier_server_report *server) {
  static char address[32];
  const struct scripted_tier *tier = arg;
  uint64_t i = 0;

  while (i < tier->n_servers && serial_of(i) <= after)
    i++;
  if (i == tier->n_servers)
    return false;
  (void)snprintf(address, sizeof address, "10.0.0.1:%u", (unsigned)i); /* fits */
  *server = tier->server;
  server->serial = serial_of(i);
  server->address = address;
  return true;
}

struct tier_source scripted_tier_source(struct scripted_tier *tier) {
  return (struct tier_source){report, next_server, tier};
}
