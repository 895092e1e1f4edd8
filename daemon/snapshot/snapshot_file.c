/* The file of a run: its preambles and records, and its name. In any thread, one at a time, except
 * that several threads may write pieces. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/snapshot/snapshot_internal.h"

/* Writes all pieces. They are used up. Returns 0 or an errno. */
int snapshot_file_write(int fd, struct iovec *pieces, uint32_t n, uint64_t offset) {
  while (n > 0) {
    ssize_t done = pwritev(fd, pieces, (int)n, (off_t)offset);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return done < 0 ? errno : EIO;
    offset += (uint64_t)done;
    for (; n > 0 && (size_t)done >= pieces->iov_len; pieces++, n--)
      done -= (ssize_t)pieces->iov_len;
    if (n > 0) {
      pieces->iov_base = (uint8_t *)pieces->iov_base + done;
      pieces->iov_len -= (size_t)done;
    }
  }
  return 0;
}

void snapshot_run_fail(struct snapshot_run *run, int error, const char *step) {
  if (run->error != 0 || error == 0)
    return;
  run->error = error;
  run->step = step;
}

static void encode_head(const struct snapshot_run *run, bool is_last, struct fc_buf *buf) {
  const struct store *store = run->snapshot->config.cache.store;
  struct timespec wall = {0};
  (void)clock_gettime(CLOCK_REALTIME, &wall); /* 0 would only make entries look older */
  struct image_info info = {
      .salt = run->salt,
      .cache_id = *run->snapshot->config.cache.cache_id,
      .last_stamp = store->saved->last_stamp,
      .generation = store->saved->generation,
      .clock_ns = snapshot_clock_ns(),
      .wall_ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec,
      .max_bytes = store->max_bytes,
      .records = is_last ? run->records : 0,
      .charge = store->bytes,
      .records_at = run->records_at,
      .is_last = is_last,
  };
  fc_buf_reset(buf);
  snapshot_head_encode(run->snapshot, &info, buf);
}

/* Encodes the first preamble twice: its size, which is the offset of the records, is in it. */
void snapshot_file_begin(struct snapshot_run *run) {
  struct run_batch *batch = &run->batches[0];
  encode_head(run, false, &run->first);
  run->records_at = run->first.size;
  encode_head(run, false, &run->first);
  batch->pieces[0] = (struct iovec){run->first.data, run->first.size};
  batch->n_pieces = 1;
  batch->bytes = run->first.size;
  snapshot_run_fail(run, run->first.failed ? ENOMEM : 0, "written");
}

void snapshot_file_end(struct snapshot_run *run) {
  uint8_t end[IMAGE_END_BYTES] = {0};
  encode_head(run, true, &run->last);
  image_end_encode(run->salt, run->offset, end);
  (void)fc_buf_append(&run->last, end, sizeof end); /* a failure is in run->last.failed */
  run->last_at = run->offset;
  run->offset += run->last.size;
}

/* ---- the end: sync, then the file gets its name ---- */

void snapshot_file_sync(struct snapshot_run *run) {
  if (run->error != 0 || run->aborted)
    return;
  struct iovec piece = {run->last.data, run->last.size};
  snapshot_run_fail(
      run, run->last.failed ? ENOMEM : snapshot_file_write(run->fd, &piece, 1, run->last_at),
      "written");
  if (run->error == 0)
    snapshot_run_fail(run, fsync(run->fd) == 0 ? 0 : errno, "synced");
}

/* Gives the file its name. The records of the clears that began before the walk are then obsolete.
 * If they cannot be removed, they select nothing in the new image. */
void snapshot_file_commit(struct snapshot_run *run) {
  struct snapshot *snapshot = run->snapshot;
  if (run->error == 0 && !run->aborted)
    snapshot_run_fail(run, state_dir_rename(&snapshot->dir, STATE_SNAPSHOT_NEW, STATE_SNAPSHOT),
                      "renamed");
  if (run->error != 0 || run->aborted) {
    (void)state_dir_remove(&snapshot->dir, STATE_SNAPSHOT_NEW); /* the next one replaces it */
    return;
  }
  snapshot_run_fail(run, state_dir_sync(&snapshot->dir), "renamed");
  uint64_t first = snapshot->n_on_disk - snapshot->journal.n;
  uint64_t n = run->cut > first ? run->cut - first : 0;
  if (FC_CATALOG_MUTANT == 18)
    n = snapshot->journal.n;
  if (run->error == 0)
    snapshot->journal_error = clear_journal_cut(&snapshot->journal, &snapshot->dir,
                                                n < snapshot->journal.n ? n : snapshot->journal.n);
}
