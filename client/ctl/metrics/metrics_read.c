#include "client/ctl/metrics/metrics_read.h"

#include <stdlib.h>

#include "client/ctl/metrics/metrics_latency.h"
#include "client/ctl/metrics/metrics_stats.h"
#include "client/lib/admin/times.h"
#include "proto/errors.h"

/* Prints the histograms to a text, which the caller frees also after an error. */
static int read_latency(struct admin *admin, char **text) {
  struct metrics_latency latency = {0};
  size_t size;
  uint64_t period_ns;
  int result;

  latency.out = open_memstream(text, &size);
  if (!latency.out)
    return FC_ENOMEM;
  result = admin_latency(admin, false, &period_ns, metrics_latency_print, &latency);
  if (fclose(latency.out) != 0)
    return FC_ENOMEM;
  return result == FC_EVERSION ? 0 : result;
}

int metrics_read(struct admin *admin, FILE *out) {
  struct stats_snapshot snapshot;
  char *latency = NULL;
  int result;

  stats_snapshot_init(&snapshot);
  result = admin_stats(admin, NULL, stats_snapshot_add, &snapshot);
  if (result == 0 && snapshot.failed)
    result = FC_ENOMEM;
  if (result == 0)
    result = read_latency(admin, &latency);
  if (result == 0) {
    metrics_print(out, &snapshot);
    (void)fputs(latency, out);
  }
  free(latency);
  stats_snapshot_deinit(&snapshot);
  return result;
}
