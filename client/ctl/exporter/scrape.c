#include "client/ctl/exporter/scrape.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/metrics/metrics_stats.h"
#include "proto/errors.h"

void scrape_deinit(struct scrape *scrape) {
  admin_close(scrape->admin);
  scrape->admin = NULL;
}

/* Logs a change of the state. `why`: the text of the failure. */
static void note(struct scrape *scrape, bool is_up, const char *why) {
  char line[FCACHE_ERROR_TEXT_SIZE + 64];

  if (!is_up && scrape->state != SCRAPE_DOWN) {
    (void)snprintf(line, sizeof line, "%s; the metrics say fcached_up 0", why);
    scrape->log(line);
  }
  if (is_up && scrape->state == SCRAPE_DOWN)
    scrape->log("the daemon replies again");
  scrape->state = is_up ? SCRAPE_UP : SCRAPE_DOWN;
}

/* Reads the statistics over the connection. After a restart of the daemon the connection is
 * dead, which only a request shows: a second attempt is with a new one. */
static int read_stats(struct scrape *scrape, struct stats_snapshot *snapshot) {
  int result = admin_stats(scrape->admin, NULL, stats_snapshot_add, snapshot);

  if (result == FC_EUNAVAILABLE)
    result = admin_reconnect(scrape->admin);
  else
    return result;
  return result == 0 ? admin_stats(scrape->admin, NULL, stats_snapshot_add, snapshot) : result;
}

/* Connects if needed, and reads. Returns whether the daemon replied. */
static bool read_daemon(struct scrape *scrape, struct stats_snapshot *snapshot) {
  struct fcache_error error = {0};
  int result;

  if (!scrape->admin &&
      admin_open(scrape->socket, NULL, SCRAPE_DEADLINE_MS, &scrape->admin, &error) < 0) {
    note(scrape, false, *error.text ? error.text : fc_error_text(error.code));
    return false;
  }
  result = read_stats(scrape, snapshot);
  note(scrape, result == 0, admin_error(scrape->admin));
  return result == 0;
}

char *scrape_metrics(void *arg, size_t *size) {
  struct scrape *scrape = arg;
  struct stats_snapshot snapshot;
  char *text = NULL;
  bool failed;
  FILE *out = open_memstream(&text, size);

  if (!out)
    return NULL;
  stats_snapshot_init(&snapshot);
  if (read_daemon(scrape, &snapshot))
    metrics_print(out, &snapshot);
  else
    metrics_print_down(out);
  failed = snapshot.failed || ferror(out);
  failed |= fclose(out) != 0;
  stats_snapshot_deinit(&snapshot);
  if (failed) {
    free(text);
    return NULL;
  }
  return text;
}
