#include "daemon/snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "daemon/snapshot/snapshot_internal.h"
#include "proto/errors.h"
#include "proto/image/image_space.h"

uint64_t snapshot_clock_ns(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- start and end ---- */

int snapshot_open(struct snapshot *snapshot, const struct snapshot_config *config,
                  struct error_text *error) {
  struct stat status;
  *snapshot = (struct snapshot){.config = *config};
  clear_journal_init(&snapshot->journal);
  int rc = state_dir_open(&snapshot->dir, config->dir, error);
  if (rc < 0)
    return rc;
  snapshot->is_open = true;
  snapshot->has_file = fstatat(snapshot->dir.fd, STATE_SNAPSHOT, &status, 0) == 0;
  snapshot->last_ns = snapshot_clock_ns();
  if (snapshot->dir.read_only)
    log_line(
        config->log, LOG_LEVEL_WARNING,
        "the state folder %s cannot be written to: there are no new snapshots: change its mode",
        config->dir);
  else
    (void)state_dir_remove(&snapshot->dir, STATE_SNAPSHOT_NEW); /* else the next one replaces it */
  return 0;
}

int snapshot_run(struct snapshot *snapshot, uv_loop_t *loop, const struct error_text *no_pool) {
  if (!snapshot->is_open)
    return 0;
  snapshot->loop = loop;
  snapshot->no_pool = no_pool;
  snapshot->idle.data = snapshot;
  if (uv_idle_init(loop, &snapshot->idle) < 0)
    return FC_EREFUSED;
  snapshot->has_loop = true;
  return 0;
}

void snapshot_close(struct snapshot *snapshot) {
  if (!snapshot->has_loop)
    return;
  snapshot->has_loop = false;
  if (snapshot->run != NULL)
    snapshot->run->aborted = true;
  uv_close((uv_handle_t *)&snapshot->idle, NULL);
  snapshot_pump(snapshot);
}

int snapshot_at_stop(struct snapshot *snapshot) {
  struct error_text error;
  if (!snapshot->is_open)
    return 0;
  check_eq(snapshot->run != NULL, false);
  int rc = snapshot_run_begin(snapshot, &error);
  if (rc == 0)
    return snapshot_run_now(snapshot) == 0 ? 0 : FC_EREFUSED;
  snapshot_count(snapshot, false);
  log_line(snapshot->config.log, LOG_LEVEL_WARNING, "%s", error.text);
  return rc;
}

void snapshot_deinit(struct snapshot *snapshot) {
  if (!snapshot->is_open)
    return;
  check_eq(snapshot->run != NULL, false);
  clear_journal_close(&snapshot->journal);
  state_dir_close(&snapshot->dir);
  fc_buf_free(&snapshot->records);
  fc_buf_free(&snapshot->writing);
  snapshot->is_open = false;
}

/* ---- snapshots ---- */

/* A preamble, of which there is one at a time, has all namespaces. While records of clears move
 * from one buffer to the other, both have them. */
size_t snapshot_bytes_max(uint32_t max_namespaces) {
  return sizeof(struct snapshot_run) + (size_t)RUN_BATCHES * BATCH_BUFFER_BYTES +
         (size_t)max_namespaces * IMAGE_SPACE_BYTES_MAX +
         2 * (size_t)SNAPSHOT_CLEARS_PENDING_MAX * CLEAR_JOURNAL_RECORD_BYTES;
}

uint64_t snapshot_age_ns(const struct snapshot *snapshot) {
  return snapshot->written == 0 ? UINT64_MAX : snapshot_clock_ns() - snapshot->last_ns;
}

void snapshot_count(struct snapshot *snapshot, bool written) {
  uint64_t *total = written ? snapshot->config.total_written : snapshot->config.total_failed;
  *(written ? &snapshot->written : &snapshot->failed) += 1;
  if (total != NULL)
    *total += 1;
}

int snapshot_start(struct snapshot *snapshot, struct error_text *error) {
  if (!snapshot->is_open)
    return error_text_set(error, FC_EREFUSED,
                          "this daemon has no state folder: start it with --state DIR");
  if (!snapshot->has_loop || snapshot->no_pool != NULL)
    return error_text_set(error, FC_EREFUSED, "no snapshot: %s",
                          snapshot->no_pool != NULL ? snapshot->no_pool->text
                                                    : "the daemon is stopping");
  if (snapshot->run != NULL)
    return 0;
  int rc = snapshot_run_begin(snapshot, error);
  if (rc < 0) {
    snapshot_count(snapshot, false);
    snapshot->error = *error;
    return rc;
  }
  snapshot_pump(snapshot);
  return 0;
}

bool snapshot_is_late(const struct snapshot *snapshot) {
  uint64_t limit_ns = SNAPSHOT_INTERVALS_LATE * snapshot->config.interval_ms * 1000000u;
  return limit_ns > 0 && snapshot_clock_ns() - snapshot->last_ns > limit_ns;
}

static void warn_if_late(struct snapshot *snapshot) {
  if (!snapshot_is_late(snapshot))
    return;
  uint64_t age_s = (snapshot_clock_ns() - snapshot->last_ns) / 1000000000u;
  log_once(
      snapshot->config.log, &snapshot->logged_late, LOG_LEVEL_WARNING,
      "the last snapshot in %s is %llu s old, more than %u intervals: check the folder and its "
      "disk, or raise --snapshot-interval",
      snapshot->dir.path, (unsigned long long)age_s, SNAPSHOT_INTERVALS_LATE);
}

void snapshot_tick(struct snapshot *snapshot) {
  struct error_text error;
  if (!snapshot->is_open || !snapshot->has_loop || snapshot->config.interval_ms == 0)
    return;
  warn_if_late(snapshot);
  if (snapshot_start(snapshot, &error) < 0)
    log_once(snapshot->config.log, &snapshot->logged_failed, LOG_LEVEL_WARNING, "%s", error.text);
}
