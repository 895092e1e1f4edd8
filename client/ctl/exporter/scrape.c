#include "client/ctl/exporter/scrape.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/metrics/metrics_read.h"
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

/* Reads the metrics over the connection. After a restart of the daemon the connection is dead,
 * which only a request shows: a second attempt is with a new one. */
static int read_again(struct scrape *scrape, FILE *out) {
  int result = metrics_read(scrape->admin, out);

  if (result != FC_EUNAVAILABLE)
    return result;
  result = admin_reconnect(scrape->admin);
  return result == 0 ? metrics_read(scrape->admin, out) : result;
}

/* Connects if needed, and reads. Prints the metrics, or that the daemon is down. */
static void print_daemon(struct scrape *scrape, FILE *out) {
  struct fcache_error error = {0};
  int result = 0;

  if (!scrape->admin)
    result = admin_open(scrape->socket, NULL, SCRAPE_DEADLINE_MS, &scrape->admin, &error);
  if (result == 0) {
    result = read_again(scrape, out);
    (void)snprintf(error.text, sizeof error.text, "%s", admin_error(scrape->admin));
  }
  note(scrape, result == 0, *error.text ? error.text : fc_error_text(result));
  if (result != 0)
    metrics_print_down(out);
}

char *scrape_metrics(void *arg, size_t *size) {
  struct scrape *scrape = arg;
  char *text = NULL;
  bool failed;
  FILE *out = open_memstream(&text, size);

  if (!out)
    return NULL;
  print_daemon(scrape, out);
  failed = ferror(out);
  failed |= fclose(out) != 0;
  if (failed) {
    free(text);
    return NULL;
  }
  return text;
}
