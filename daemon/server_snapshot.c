#include "daemon/server_snapshot.h"

#include <stdio.h>

#include "daemon/server_internal.h"
#include "proto/errors.h"
#include "proto/limits.h"

static void on_progress(void *arg) {
  struct server *server = arg;
  sd_notify_extend(&server->notify);
}

static void on_clears_written(void *arg) {
  struct server *server = arg;
  dispatch_clears_recorded(&server->dispatch);
}

int server_snapshot_open(struct server *server, bool adopted, struct error_text *error) {
  const struct options *options = server->options;
  struct snapshot_config config = {
      .dir = options->state,
      .interval_ms = options->snapshot_interval_ms,
      .cache = {.store = &server->store,
                .namespaces = &server->namespaces,
                .totals = (uint64_t *)server->totals,
                .n_totals = sizeof *server->totals / sizeof(uint64_t),
                .cache_id = &server->catalog.header->cache_id,
                .boots = server->catalog.header->boots,
                .n_boots = &server->n_boots},
      .log = &server->log,
      .total_written = &server->totals->snapshots_written,
      .total_failed = &server->totals->snapshots_failed,
      .step_times = &server->latency.kinds[LATENCY_SNAPSHOT],
      .progress = on_progress,
      .clears_written = on_clears_written,
      .arg = server,
  };
  if (options->state == NULL)
    return 0;
  int rc = snapshot_open(&server->snapshot, &config, error);
  if (rc < 0)
    return rc;
  if (adopted) {
    snapshot_adopted(&server->snapshot);
    return 0;
  }
  rc = snapshot_restore(&server->snapshot);
  if (rc < 0)
    return error_text_set(error, rc, "the snapshot was not restored: %s", fc_error_text(rc));
  return 0;
}

static void on_tick(void *arg) {
  struct server *server = arg;
  snapshot_tick(&server->snapshot);
}

int server_snapshot_run(struct server *server) {
  const struct options *options = server->options;
  if (options->state == NULL)
    return 0;
  if (snapshot_run(&server->snapshot, &server->loop,
                   server->no_pool.text[0] == '\0' ? NULL : &server->no_pool) < 0 ||
      ticker_init(&server->snapshot_ticker, &server->loop, on_tick, server) < 0)
    return FC_EREFUSED;
  server_snapshot_set_interval(server);
  return 0;
}

void server_snapshot_set_interval(struct server *server) {
  const struct options *options = server->options;
  if (options->state == NULL)
    return;
  server->snapshot.config.interval_ms = options->snapshot_interval_ms;
  if (options->snapshot_interval_ms > 0)
    ticker_start(&server->snapshot_ticker, options->snapshot_interval_ms);
  else
    ticker_stop(&server->snapshot_ticker);
}

void server_snapshot_close(struct server *server) {
  if (server->options->state == NULL)
    return;
  ticker_close(&server->snapshot_ticker);
  snapshot_close(&server->snapshot);
}

void server_snapshot_end(struct server *server) {
  if (server->options->state == NULL)
    return;
  (void)snapshot_at_stop(&server->snapshot); /* a failure is in the log */
  snapshot_deinit(&server->snapshot);
}

/* ---- requests ---- */

static int start(void *arg, struct error_text *error) {
  struct server *server = arg;
  return snapshot_start(&server->snapshot, error);
}

static void query(void *arg, struct control_snapshot *out) {
  const struct server *server = arg;
  const struct snapshot *snapshot = &server->snapshot;
  static char path[FC_PATH_MAX + sizeof STATE_SNAPSHOT + 1];
  (void)snprintf(path, sizeof path, "%s/%s", server->options->state, STATE_SNAPSHOT);
  *out = (struct control_snapshot){.running = snapshot->running,
                                   .ended = snapshot->ended,
                                   .entries = snapshot->entries,
                                   .bytes = snapshot->bytes,
                                   .duration_ns = snapshot->duration_ns,
                                   .error = snapshot->error.text,
                                   .path = path};
}

static uint64_t record_clear(void *arg, const struct fc_select *select) {
  struct server *server = arg;
  return snapshot_clear(&server->snapshot, select->name_space, select->view, select->op);
}

static uint64_t record_delete(void *arg, const struct fc_delete *delete) {
  struct server *server = arg;
  return snapshot_delete(&server->snapshot, delete->name_space, &delete->key);
}

static int state_of_clear(void *arg, uint64_t ticket) {
  const struct server *server = arg;
  enum snapshot_clear_state state = snapshot_clear_state(&server->snapshot, ticket);
  if (state == SNAPSHOT_CLEAR_FAILED)
    return FC_EREFUSED;
  return state == SNAPSHOT_CLEAR_DONE;
}

void server_snapshot_control(struct server *server, struct control *control) {
  control->arg = server;
  if (server->options->state == NULL)
    return;
  control->snapshot_start = start;
  control->snapshot_query = query;
  control->clear_record = record_clear;
  control->delete_record = record_delete;
  control->clear_state = state_of_clear;
}

void server_snapshot_report(const struct server *server, struct survival_report *report) {
  const struct snapshot *snapshot = &server->snapshot;
  report->keeps_snapshots = server->options->state != NULL;
  report->snapshot_result = snapshot->running != 0            ? "running"
                            : snapshot->error.text[0] != '\0' ? "failed"
                            : snapshot->written > 0           ? "complete"
                                                              : "none";
  report->snapshot_age_ns = snapshot_age_ns(snapshot);
  report->snapshot_late = snapshot_is_late(snapshot);
  report->snapshot_interval_ns = snapshot->config.interval_ms * 1000000u;
  report->snapshot_ns = snapshot->duration_ns;
  report->snapshot_entries = snapshot->entries;
  report->snapshot_bytes = snapshot->bytes;
}
