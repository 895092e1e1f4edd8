#include "herd_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fleet_calls.h"
#include "tests/support/library.h"

#define BACK_TIMEOUT_MS 60000u
#define PROBE_NAMESPACE "probe" /* whose keys are none of the herd's */

/* ---- requests ---- */

void herd_server_count_from_now(const struct tier_server *server) {
  tier_server_do(server, "CONFIG", "RESETSTAT", NULL);
}

uint64_t herd_server_print_requests(const struct tier_server *server) {
  static const char prefix[] = "cmdstat_";
  char *info = tier_server_command(server, "INFO", "commandstats", NULL), *rest = info, *line;
  uint64_t all = 0;
  printf("  requests:");
  while ((line = strsep(&rest, "\r\n")) != NULL) {
    char *end = strchr(line, ':'), *calls = strstr(line, "calls=");
    if (strncmp(line, prefix, strlen(prefix)) != 0 || end == NULL || calls == NULL)
      continue;
    uint64_t n = strtoull(calls + strlen("calls="), NULL, 10);
    all += n;
    printf(" %.*s %llu,", (int)(end - line - (ptrdiff_t)strlen(prefix)), line + strlen(prefix),
           (unsigned long long)n);
  }
  printf(" together %llu\n", (unsigned long long)all);
  free(info);
  return all;
}

/* ---- the restart ---- */

struct probe {
  struct fcache *from, *to;
  uint32_t next_key;
};

static bool passes(void *arg) {
  struct probe *probe = arg;
  return fleet_call_passes(probe->from, probe->to, &probe->next_key);
}

void herd_server_restart(void *arg) {
  struct herd_restart *restart = arg;
  struct fleet_herd *herd = restart->herd;
  uint64_t start_ns = harness_now_ns();
  struct probe probe = {0};
  tier_server_stop(restart->server);
  tier_server_restart(restart->server);
  probe.from = library_open(herd->daemons[0].socket, PROBE_NAMESPACE, "probe", 0);
  for (uint32_t i = 1; i < herd->nodes; i++) {
    probe.to = library_open(herd->daemons[i].socket, PROBE_NAMESPACE, "probe", 0);
    if (!harness_wait_until(passes, &probe, BACK_TIMEOUT_MS))
      ck_abort_msg("node %u does not use the tier again after its restart", i);
    fcache_close(probe.to);
  }
  fcache_close(probe.from);
  restart->away_s = (double)(harness_now_ns() - start_ns) / 1e9;
}
