/* scrape.h - reads the daemon's statistics for the exporter, over one connection that lasts.
 *
 * A daemon that is absent, stopped or replaced is no error: the metrics say fcached_up 0, and the
 * next scrape connects again. One thread at a time. */
#ifndef FC_CTL_SCRAPE_H
#define FC_CTL_SCRAPE_H

#include <stddef.h>

#include "client/lib/admin/admin.h"

/* Of a request to the daemon. Shorter than the timeout of Prometheus, 10 s, so that a stopped
 * daemon is seen as down, and not the exporter. */
#define SCRAPE_DEADLINE_MS 2000u

struct scrape {
  const char *socket;  /* borrowed; NULL: the default places */
  struct admin *admin; /* NULL: never connected */
  /* Receives a line when the daemon stops replying, and when it replies again. */
  void (*log)(const char *line);
  enum { SCRAPE_UNKNOWN, SCRAPE_UP, SCRAPE_DOWN } state; /* of the latest scrape */
};

void scrape_deinit(struct scrape *scrape); /* idempotent */

/* Returns the metrics, which the caller frees, or NULL without memory. An http_metrics_fn: `arg` is
 * the struct scrape. */
char *scrape_metrics(void *arg, size_t *size);

#endif
