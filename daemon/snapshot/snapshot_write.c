/* A run: batches of records go to the file through the thread pool, then the file is synced and
 * replaces the former one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/check.h"
#include "daemon/snapshot/snapshot_internal.h"
#include "proto/errors.h"

/* ---- begin ---- */

static void free_run(struct snapshot_run *run) {
  for (size_t i = 0; i < RUN_BATCHES; i++)
    free(run->batches[i].buffer);
  fc_buf_free(&run->first);
  fc_buf_free(&run->last);
  if (run->fd >= 0)
    (void)close(run->fd); /* it was synced, or is not used */
  free(run);
}

static struct snapshot_run *new_run(struct snapshot *snapshot) {
  struct snapshot_run *run = calloc(1, sizeof *run);
  if (run == NULL)
    return NULL;
  run->fd = -1;
  run->snapshot = snapshot;
  run->start_ns = snapshot_clock_ns();
  run->next = 1;
  run->cut = snapshot->n_clears;
  bool good = getrandom(&run->salt, sizeof run->salt, 0) == (ssize_t)sizeof run->salt;
  for (size_t i = 0; i < RUN_BATCHES; i++) {
    run->batches[i].snapshot = snapshot;
    run->batches[i].buffer = malloc(BATCH_BUFFER_BYTES);
    good = good && run->batches[i].buffer != NULL;
  }
  if (good)
    return run;
  free_run(run);
  return NULL;
}

int snapshot_run_begin(struct snapshot *snapshot, struct error_text *error) {
  struct snapshot_run *run = new_run(snapshot);
  if (run == NULL)
    return error_text_set(error, FC_ENOMEM, "no memory for a snapshot: try again later");
  run->fd = state_dir_create(&snapshot->dir, STATE_SNAPSHOT_NEW);
  if (run->fd < 0) {
    int code = errno;
    free_run(run);
    return error_text_set(error, FC_EREFUSED, "no snapshot: %s/%s cannot be made: %s",
                          snapshot->dir.path, STATE_SNAPSHOT_NEW, strerror(code));
  }
  snapshot_file_begin(run);
  snapshot->config.cache.store->keep_slots = FC_CATALOG_MUTANT != 24;
  snapshot->run = run;
  snapshot->running = ++snapshot->number;
  return 0;
}

/* ---- batches ---- */

static void write_batch(struct run_batch *batch) {
  batch->error =
      snapshot_file_write(batch->snapshot->run->fd, batch->pieces, batch->n_pieces, batch->offset);
}

static void settle_batch(struct run_batch *batch) {
  struct snapshot_run *run = batch->snapshot->run;
  snapshot_run_fail(run, batch->error, "written");
  if (batch->offset == 0)
    fc_buf_free(&run->first);
  snapshot_batch_reset(batch);
}

static void pool_batch(uv_work_t *work) {
  write_batch(work->data);
}

static void after_batch(uv_work_t *work, int status) {
  struct run_batch *batch = work->data;
  (void)status; /* never cancelled */
  batch->in_pool = false;
  settle_batch(batch);
  snapshot_pump(batch->snapshot);
}

static void place_batch(struct snapshot_run *run, struct run_batch *batch) {
  batch->offset = run->offset;
  run->offset += batch->bytes;
}

/* The batch that is being filled is the first one that the pool does not have. Returns NULL if the
 * pool has all of them. */
static struct run_batch *free_batch(struct snapshot_run *run) {
  struct run_batch *unused = NULL;
  for (size_t i = 0; i < RUN_BATCHES; i++) {
    struct run_batch *batch = &run->batches[i];
    if (!batch->in_pool && (unused == NULL || batch->bytes > unused->bytes))
      unused = batch;
  }
  return unused;
}

static bool pool_has_batches(const struct snapshot_run *run) {
  for (size_t i = 0; i < RUN_BATCHES; i++)
    if (run->batches[i].in_pool)
      return true;
  return false;
}

static void end_walk(struct snapshot_run *run) {
  for (size_t i = 0; i < RUN_BATCHES; i++)
    if (!run->batches[i].in_pool)
      snapshot_batch_reset(&run->batches[i]);
  run->snapshot->config.cache.store->keep_slots = false;
  run->walked = true;
}

static void step(struct snapshot *snapshot) {
  struct snapshot_run *run = snapshot->run;
  struct run_batch *batch = free_batch(run);
  uint64_t start_ns = snapshot_clock_ns();
  if (run->error != 0 || run->aborted) {
    end_walk(run);
  } else if (batch != NULL && snapshot_walk(run, batch, start_ns + SNAPSHOT_SLICE_NS) &&
             batch->bytes > 0) {
    place_batch(run, batch);
    batch->in_pool = true;
    batch->work.data = batch;
    (void)uv_queue_work(snapshot->loop, &batch->work, pool_batch, after_batch);
  }
  if (snapshot->config.step_times != NULL)
    fc_histogram_add(snapshot->config.step_times, snapshot_clock_ns() - start_ns);
  if (run->walked || batch == NULL)
    snapshot_pump(snapshot);
}

/* ---- results ---- */

static void count_success(struct snapshot *snapshot, const struct snapshot_run *run) {
  snapshot_count(snapshot, true);
  snapshot->has_file = true;
  snapshot->entries = run->records;
  snapshot->bytes = run->offset;
  snapshot->last_ns = snapshot_clock_ns();
  snapshot->duration_ns = snapshot->last_ns - run->start_ns;
  snapshot->error.text[0] = '\0';
  snapshot->logged_failed = snapshot->logged_late = false;
  log_line(snapshot->config.log, LOG_LEVEL_DEBUG, "snapshot: %llu entries, %llu bytes, %llu ms",
           (unsigned long long)run->records, (unsigned long long)run->offset,
           (unsigned long long)(snapshot->duration_ns / 1000000u));
}

static void count_failure(struct snapshot *snapshot, const struct snapshot_run *run) {
  bool full = run->error == ENOSPC || run->error == EDQUOT;
  snapshot_count(snapshot, false);
  (void)error_text_set(&snapshot->error, FC_EREFUSED, "the snapshot in %s was not %s: %s: %s%s",
                       snapshot->dir.path, run->error == 0 ? "finished" : run->step,
                       run->error == 0 ? "the daemon stopped, or a clear could not be recorded"
                                       : strerror(run->error),
                       full ? "make room there" : "check the folder and its disk",
                       snapshot->has_file ? "; the last one stays" : "");
  log_once(snapshot->config.log, &snapshot->logged_failed, LOG_LEVEL_WARNING, "%s",
           snapshot->error.text);
}

static void end_run(struct snapshot *snapshot) {
  struct snapshot_run *run = snapshot->run;
  if (!run->walked)
    end_walk(run);
  if (run->error == 0 && !run->aborted)
    count_success(snapshot, run);
  else
    count_failure(snapshot, run);
  snapshot->ended = snapshot->running;
  snapshot->running = 0;
  snapshot->run = NULL;
  free_run(run);
}

/* ---- steps ---- */

static void pool_sync(uv_work_t *work) {
  snapshot_file_sync(work->data);
}

static void after_sync(uv_work_t *work, int status) {
  struct snapshot_run *run = work->data;
  (void)status; /* never cancelled */
  run->in_pool = false;
  run->synced = true;
  snapshot_pump(run->snapshot);
}

static void pool_commit(uv_work_t *work) {
  snapshot_file_commit(((struct snapshot *)work->data)->run);
}

static void after_commit(uv_work_t *work, int status) {
  struct snapshot *snapshot = work->data;
  (void)status; /* never cancelled */
  snapshot->dir_busy = false;
  end_run(snapshot);
  snapshot_pump(snapshot);
}

static void pool_clears(uv_work_t *work) {
  snapshot_clears_write(work->data);
}

static void after_clears(uv_work_t *work, int status) {
  struct snapshot *snapshot = work->data;
  (void)status; /* never cancelled */
  snapshot->dir_busy = false;
  snapshot_clears_written(snapshot);
  snapshot_pump(snapshot);
}

static void submit_dir_work(struct snapshot *snapshot, uv_work_cb work, uv_after_work_cb after) {
  check_eq(snapshot->dir_busy, false);
  snapshot->dir_busy = true;
  snapshot->dir_work.data = snapshot;
  (void)uv_queue_work(snapshot->loop, &snapshot->dir_work, work,
                      after); /* fails only without work */
}

static bool is_syncable(const struct snapshot_run *run) {
  return run != NULL && run->walked && !run->in_pool && !pool_has_batches(run);
}

static void on_idle(uv_idle_t *idle) {
  step(idle->data);
}

/* The loop does not wait while there is a batch to fill. */
static void continue_walk(struct snapshot *snapshot) {
  const struct snapshot_run *run = snapshot->run;
  if (run != NULL && !run->walked && free_batch(snapshot->run) != NULL)
    (void)uv_idle_start(&snapshot->idle, on_idle); /* fails only without a callback */
  else
    (void)uv_idle_stop(&snapshot->idle); /* cannot fail */
}

static void start_sync(struct snapshot *snapshot) {
  struct snapshot_run *run = snapshot->run;
  snapshot_file_end(run);
  run->in_pool = true;
  run->work.data = run;
  (void)uv_queue_work(snapshot->loop, &run->work, pool_sync, after_sync);
}

/* Without the pool: at the end, or where there are no threads. */
static void write_clears_here(struct snapshot *snapshot) {
  if (snapshot->records.size == 0 || snapshot->dir_busy)
    return;
  snapshot_clears_take(snapshot);
  snapshot_clears_write(snapshot);
  snapshot_clears_written(snapshot);
}

static void abandon_run(struct snapshot *snapshot) {
  struct snapshot_run *run = snapshot->run;
  if (run == NULL || run->in_pool || pool_has_batches(run) || snapshot->dir_busy)
    return;
  run->aborted = true;
  snapshot_file_commit(run);
  end_run(snapshot);
}

/* One function at a time changes the folder, so that no rename follows a removal by a clear. */
void snapshot_pump(struct snapshot *snapshot) {
  struct snapshot_run *run = snapshot->run;
  if (!snapshot->has_loop || snapshot->no_pool != NULL) {
    abandon_run(snapshot);
    write_clears_here(snapshot);
    return;
  }
  continue_walk(snapshot);
  if (is_syncable(run) && !run->synced)
    start_sync(snapshot);
  if (snapshot->dir_busy)
    return;
  if (is_syncable(run) && run->synced) {
    submit_dir_work(snapshot, pool_commit, after_commit);
  } else if (snapshot->records.size > 0) {
    snapshot_clears_take(snapshot);
    submit_dir_work(snapshot, pool_clears, after_clears);
  }
}

int snapshot_run_now(struct snapshot *snapshot) {
  struct snapshot_run *run = snapshot->run;
  struct run_batch *batch = &run->batches[0];
  while (!run->walked && run->error == 0) {
    (void)snapshot_walk(run, batch, UINT64_MAX);
    place_batch(run, batch);
    write_batch(batch);
    settle_batch(batch);
    if (snapshot->config.progress != NULL)
      snapshot->config.progress(snapshot->config.arg);
  }
  snapshot_file_end(run);
  snapshot_file_sync(run);
  snapshot_file_commit(run);
  int error = run->error;
  end_run(snapshot);
  return error;
}
