/* snapshot_internal.h - what the files of snapshot/ share. */
#ifndef FC_DAEMON_SNAPSHOT_INTERNAL_H
#define FC_DAEMON_SNAPSHOT_INTERNAL_H

#include <stdatomic.h>

#include "daemon/snapshot/snapshot.h"
#include "proto/image/image_preamble.h"

#define RUN_BATCHES 2u                  /* the pool has one while the loop fills the other */
#define BATCH_BUFFER_BYTES (256u << 10) /* heads, and small values */
#define BATCH_PIECES 512u
#define BATCH_ENTRIES 256u         /* held: large values, which are not copied */
#define BATCH_BYTES_MAX (4u << 20) /* of a batch, except for its last value */

/* Records that are written at once. The loop fills it, then the pool has it. */
struct run_batch {
  struct snapshot *snapshot;
  uint8_t *buffer; /* BATCH_BUFFER_BYTES */
  size_t used;
  struct iovec pieces[BATCH_PIECES];
  uint32_t n_pieces, n_held;
  struct entry *held[BATCH_ENTRIES];
  uint64_t offset, bytes; /* in the file */
  bool in_pool;
  int error; /* the pool's result, an errno */
  uv_work_t work;
};

/* A snapshot that is being written. */
struct snapshot_run {
  struct snapshot *snapshot;
  int fd;
  uint64_t salt, start_ns, cut; /* cut: clears up to that ticket began before the walk */
  uint32_t next;                /* number of the next entry */
  bool walked, synced;
  _Atomic bool aborted; /* set by the loop, also while the pool works on the file */
  uint64_t offset, records_at, records;
  struct fc_buf first, last; /* the preambles: see snapshot_file_begin, and snapshot_file_end */
  uint64_t last_at;
  int error;        /* errno; 0: none so far */
  const char *step; /* static: what failed */
  struct run_batch batches[RUN_BATCHES];
  uv_work_t work;
  bool in_pool;
};

uint64_t snapshot_clock_ns(void);
/* Counts a snapshot that was written, or that failed. */
void snapshot_count(struct snapshot *snapshot, bool written);

/* snapshot_walk.c. Adds entries to an empty or partly filled batch until it is full, the walk is
 * over (run->walked), or the clock is at `until_ns`. Returns true if it can be written. */
bool snapshot_walk(struct snapshot_run *run, struct run_batch *batch, uint64_t until_ns);
/* Releases the entries of a batch that was written, and empties it. */
void snapshot_batch_reset(struct run_batch *batch);

/* snapshot_file.c. Writes all pieces, which are used up. Returns 0 or an errno. */
int snapshot_file_write(int fd, struct iovec *pieces, uint32_t n, uint64_t offset);
/* Sets the error of the run, unless it has one or `error` is 0. `step` is static: "written". */
void snapshot_run_fail(struct snapshot_run *run, int error, const char *step);
/* Encode the preambles, on the loop thread: before the first record, and behind the last one. The
 * first one is written with the first batch, at offset 0, and is then freed: with many manifests it
 * is large. */
void snapshot_file_begin(struct snapshot_run *run);
void snapshot_file_end(struct snapshot_run *run);
/* Writes the last preamble and syncs the file. Then the next function gives the file its name, or
 * removes it if the run has failed. */
void snapshot_file_sync(struct snapshot_run *run);
void snapshot_file_commit(struct snapshot_run *run);

/* snapshot_write.c. Creates a run, which snapshot_pump then continues. */
int snapshot_run_begin(struct snapshot *snapshot, struct error_text *error);
/* Writes all at once, without the loop. Returns 0 or an errno. */
int snapshot_run_now(struct snapshot *snapshot);
/* Continues what waits for the folder: the end of a run, or records of clears. */
void snapshot_pump(struct snapshot *snapshot);

/* snapshot_clears.c. Move the new records to snapshot->writing; write them, in any thread; and take
 * the result. */
void snapshot_clears_take(struct snapshot *snapshot);
void snapshot_clears_write(struct snapshot *snapshot);
void snapshot_clears_written(struct snapshot *snapshot);

/* snapshot_head.c. Encodes a preamble of the cache as it is now. A failure is in buf->failed. */
void snapshot_head_encode(const struct snapshot *snapshot, const struct image_info *info,
                          struct fc_buf *buf);
/* Opens the namespaces of a preamble, and sets counters and clears of the cache. Each namespace
 * has one more client, so that it stays, until snapshot_head_release. Returns the number of
 * namespaces that found no room. */
struct snapshot_spaces {
  uint32_t n;
  struct snapshot_space {
    uint64_t id, released;
    struct namespace *ns;
    uint64_t max_entries, max_bytes;
  } spaces[NAMESPACE_LIMIT_MAX];
};
uint32_t snapshot_head_decode(struct snapshot *snapshot, struct image_preamble *preamble,
                              int64_t clock_shift_ns, struct snapshot_spaces *spaces);
struct snapshot_space *snapshot_head_find(struct snapshot_spaces *spaces, uint64_t id);
void snapshot_head_release(struct snapshot *snapshot, struct snapshot_spaces *spaces);

/* Returns a time of the daemon that wrote an image, by this daemon's clock. */
static inline uint64_t snapshot_shift_ns(uint64_t time_ns, int64_t shift_ns) {
  return shift_ns < 0 && time_ns < (uint64_t)-shift_ns ? 0 : time_ns + (uint64_t)shift_ns;
}

#endif
