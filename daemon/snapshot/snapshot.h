/* snapshot.h - saves the cache to an image in the state folder, and restores it at start.
 *
 * A snapshot walks over all entries in slices of SNAPSHOT_SLICE_NS of the loop's time, and the
 * thread pool writes them. It is no cut: an entry that exists throughout the walk is in it, and one
 * that is put or evicted meanwhile may be. Clears are ordered by stamps instead: the clear journal
 * has the clears that began after the walk did, and a restore drops the entries that they select
 * (docs/decisions/0085). The last snapshot stays until the next one is complete and on disk.
 *
 * Order of the calls: snapshot_open; snapshot_restore or snapshot_adopted; snapshot_run; then any,
 * and at the end snapshot_close, one more run of the loop, snapshot_at_stop, and snapshot_deinit.
 * Without a state folder, snapshot_open is not called, the struct is zero, and the other calls have
 * no effect. Loop thread only. */
#ifndef FC_DAEMON_SNAPSHOT_H
#define FC_DAEMON_SNAPSHOT_H

#include <uv.h>

#include "daemon/base/log.h"
#include "daemon/snapshot/clear_journal.h"
#include "daemon/store/namespace_table.h"
#include "proto/histogram.h"

#define SNAPSHOT_SLICE_NS 100000u
#define SNAPSHOT_BOOTS_MAX 64u
#define SNAPSHOT_INTERVALS_LATE 3u /* an older snapshot is logged */
/* Clears whose records are not on disk yet. Further ones fail: see snapshot_clear_state. */
#define SNAPSHOT_CLEARS_PENDING_MAX 2048u

/* The parts of the cache that are saved and restored. Borrowed. */
struct snapshot_cache {
  struct store *store;
  struct namespace_table *namespaces;
  uint64_t *totals; /* the daemon's counters that outlive it; NULL: none */
  uint32_t n_totals;
  uint64_t *cache_id; /* random, for the cache's life; set by snapshot_restore */
  uint64_t *boots;    /* boot ids of the cache's daemons, newest last: SNAPSHOT_BOOTS_MAX */
  uint32_t *n_boots;
};

struct snapshot_config {
  const char *dir;
  uint64_t interval_ms; /* 0: no timer */
  struct snapshot_cache cache;
  struct log *log;
  uint64_t *total_written, *total_failed; /* counters of the cache's life, raised; NULL: none */
  struct fc_histogram *step_times;        /* of its parts of the loop's turns; NULL: none */
  /* Called now and then while it restores, or writes at a stop. NULL: none. */
  void (*progress)(void *arg);
  /* Called when the state of clears may have changed: see snapshot_clear_state. NULL: none. */
  void (*clears_written)(void *arg);
  void *arg; /* of both */
};

/* The result of snapshot_restore. */
struct snapshot_restored {
  uint64_t entries;    /* restored */
  uint64_t duplicates; /* another record of the key had a newer stamp */
  uint64_t cleared;    /* dropped: a clear in the journal selects them */
  uint64_t damaged;    /* dropped: their bytes changed, or were cut */
  uint64_t no_room;    /* dropped: max_bytes, max_value or max_namespaces is smaller */
  uint64_t duration_ns;
};

struct snapshot_run;

struct snapshot {
  /* read by all */
  struct snapshot_config config;
  struct snapshot_restored restored;
  uint64_t number;                      /* of snapshots that were started by this daemon */
  uint64_t running, ended;              /* numbers; 0: none */
  uint64_t written, failed;             /* snapshots */
  uint64_t entries, bytes, duration_ns; /* of the latest that was written */
  uint64_t last_ns;        /* CLOCK_MONOTONIC: the end of that, or of the start. 0: none */
  uint64_t clears;         /* recorded in the journal, and deletes */
  struct error_text error; /* of the latest that ended; "": it succeeded */

  /* private to this directory */
  bool is_open, has_file, closing, has_loop;
  bool journal_broken; /* the latest write failed, and the snapshot could not be removed either */
  bool logged_failed, logged_journal, logged_late;
  struct state_dir dir;
  struct clear_journal journal;
  uv_loop_t *loop;
  uv_idle_t idle;
  const struct error_text *no_pool;
  struct snapshot_run *run;
  struct fc_buf records; /* of clears that are not on disk yet */
  struct fc_buf writing; /* those that the pool writes */
  uint64_t n_clears;     /* records so far, with those that the file had: the latest ticket */
  uint64_t n_writing;    /* of them in `writing`, at most */
  uint64_t n_on_disk;    /* of them on disk, or not needed any more */
  bool dir_busy;         /* the pool uses the folder and the journal */
  bool journal_removed;  /* the pool's result: the snapshot was removed instead */
  int journal_error;     /* the pool's result */
  uv_work_t dir_work;
};

/* Opens the folder, which another daemon must not use. Returns 0 or a negative code with *error. */
int snapshot_open(struct snapshot *snapshot, const struct snapshot_config *config,
                  struct error_text *error);

/* Restores entries, namespaces, counters, stamps and generation into the empty cache, from the
 * snapshot. Blocks. A file that cannot be read is put aside with one log line, and damaged entries
 * are dropped: only FC_ENOMEM is an error. The cache's id and boot ids become those of the image.
 */
int snapshot_restore(struct snapshot *snapshot);

/* Instead of snapshot_restore, after the memory of an earlier daemon was adopted: puts aside the
 * snapshot of another cache. */
void snapshot_adopted(struct snapshot *snapshot);

/* Begins to use the loop. `no_pool` says why there are no threads, or is NULL. */
int snapshot_run(struct snapshot *snapshot, uv_loop_t *loop, const struct error_text *no_pool);

/* Starts a snapshot, or does nothing while one is running. Returns 0, or FC_EREFUSED with *error.
 * snapshot->ended becomes its number when it has ended. */
int snapshot_start(struct snapshot *snapshot, struct error_text *error);

/* To be called every interval_ms: starts a snapshot, and logs if the last one is too old. */
void snapshot_tick(struct snapshot *snapshot);

/* Records a clear that has just begun: of a namespace, which need not exist now, and of a view and
 * an op; without data: any. Returns its ticket, for snapshot_clear_state. */
uint64_t snapshot_clear(struct snapshot *snapshot, struct fc_str name_space, struct fc_str view,
                        struct fc_str op);
/* Does so for a delete. Its ticket may be that of an earlier one. */
uint64_t snapshot_delete(struct snapshot *snapshot, struct fc_str name_space,
                         const struct fc_key *key);
enum snapshot_clear_state {
  SNAPSHOT_CLEAR_WAIT,   /* the record is not on disk yet: ask again after config.clears_written */
  SNAPSHOT_CLEAR_DONE,   /* nothing can restore the removed entries */
  SNAPSHOT_CLEAR_FAILED, /* a start from the snapshot may restore it */
};
enum snapshot_clear_state snapshot_clear_state(const struct snapshot *snapshot, uint64_t ticket);

/* Returns the most memory that a snapshot in progress takes, with so many namespaces, and the
 * records of clears. */
size_t snapshot_bytes_max(uint32_t max_namespaces);

/* Ends the use of the loop: a snapshot that is running fails. The struct must stay until the loop
 * has run once more. Idempotent. */
void snapshot_close(struct snapshot *snapshot);

/* Writes a snapshot at once, after the loop has ended. Returns 0, or FC_EREFUSED, which is logged.
 */
int snapshot_at_stop(struct snapshot *snapshot);

/* Returns how old the latest complete snapshot of this daemon is, or UINT64_MAX. */
uint64_t snapshot_age_ns(const struct snapshot *snapshot);

/* Returns true if there is a timer, and neither a complete snapshot nor the start of this daemon in
 * the last SNAPSHOT_INTERVALS_LATE intervals. */
bool snapshot_is_late(const struct snapshot *snapshot);

/* Closes the folder. Idempotent. */
void snapshot_deinit(struct snapshot *snapshot);

#endif
