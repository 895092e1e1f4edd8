/* Clears, which are acknowledged when the journal has them. */
#include <errno.h>
#include <string.h>

#include "daemon/snapshot/snapshot_internal.h"

#define REFUSED UINT64_MAX /* a ticket */
#define PENDING_BYTES ((uint64_t)SNAPSHOT_CLEARS_PENDING_MAX * CLEAR_JOURNAL_RECORD_BYTES)

/* Returns false if there is nothing to restore from, so that no record is needed. */
static bool needs_record(const struct snapshot *snapshot) {
  return snapshot->is_open && (snapshot->has_file || snapshot->run != NULL) &&
         FC_CATALOG_MUTANT != 13;
}

/* A delete joins a record that waits for the disk. A record from before a walk goes when the walk
 * has ended, and must not have a delete that came later. */
static uint64_t add(struct snapshot *snapshot, struct clear_journal_record *record) {
  const struct snapshot_cache *cache = &snapshot->config.cache;
  bool may_join = snapshot->records.size > 0 &&
                  (snapshot->run == NULL || snapshot->n_clears > snapshot->run->cut);
  if (snapshot->records.size + snapshot->writing.size >= PENDING_BYTES)
    return REFUSED;
  record->cache_id = *cache->cache_id;
  record->stamp = cache->store->saved->last_stamp;
  record->generation = cache->store->saved->generation;
  snapshot->n_clears += clear_journal_append(&snapshot->records, record, may_join);
  snapshot->clears++;
  snapshot_pump(snapshot);
  return snapshot->n_clears;
}

uint64_t snapshot_clear(struct snapshot *snapshot, struct fc_str name_space, struct fc_str view,
                        struct fc_str op) {
  struct clear_journal_record record = {.name_space = name_space, .view = view, .op = op};
  return needs_record(snapshot) ? add(snapshot, &record) : 0;
}

uint64_t snapshot_delete(struct snapshot *snapshot, struct fc_str name_space,
                         const struct fc_key *key) {
  struct clear_journal_record record = {.is_delete = true};
  if (!needs_record(snapshot))
    return 0;
  record.key = clear_journal_key(name_space, key);
  return add(snapshot, &record);
}

enum snapshot_clear_state snapshot_clear_state(const struct snapshot *snapshot, uint64_t ticket) {
  if (ticket <= snapshot->n_on_disk || FC_CATALOG_MUTANT == 14)
    return SNAPSHOT_CLEAR_DONE;
  return ticket == REFUSED || snapshot->journal_broken ? SNAPSHOT_CLEAR_FAILED
                                                       : SNAPSHOT_CLEAR_WAIT;
}

void snapshot_clears_take(struct snapshot *snapshot) {
  (void)fc_buf_append(&snapshot->writing, snapshot->records.data, snapshot->records.size);
  snapshot->writing.failed |= snapshot->records.failed;
  snapshot->n_writing = snapshot->n_clears;
  fc_buf_free(&snapshot->records); /* usually it has one record, and may have had many */
}

/* Without a snapshot, no record is needed. */
static int remove_snapshot(struct snapshot *snapshot) {
  int error = state_dir_remove(&snapshot->dir, STATE_SNAPSHOT);
  return error != 0 ? error : state_dir_sync(&snapshot->dir);
}

void snapshot_clears_write(struct snapshot *snapshot) {
  int error = snapshot->writing.failed
                  ? ENOMEM
                  : clear_journal_write(&snapshot->journal, &snapshot->dir, &snapshot->writing);
  snapshot->journal_error = error;
  snapshot->journal_removed = error != 0 && remove_snapshot(snapshot) == 0;
  if (snapshot->journal_removed) /* if they stay, they select nothing in later images */
    (void)clear_journal_cut(&snapshot->journal, &snapshot->dir, snapshot->journal.n);
}

static void log_failure(struct snapshot *snapshot) {
  log_once(snapshot->config.log, &snapshot->logged_journal, LOG_LEVEL_WARNING,
           "clears cannot be recorded in %s/%s: %s: %s", snapshot->dir.path, STATE_CLEARS,
           snapshot->journal_error == EFBIG ? "it is full" : strerror(snapshot->journal_error),
           snapshot->journal_removed
               ? "the snapshot was removed, so that it restores nothing that was cleared"
               : "clears are refused: check the folder and its disk");
}

void snapshot_clears_written(struct snapshot *snapshot) {
  snapshot->journal_broken = snapshot->journal_error != 0 && !snapshot->journal_removed;
  if (snapshot->journal_error == 0)
    snapshot->logged_journal = false;
  else
    log_failure(snapshot);
  if (snapshot->journal_error != 0 && snapshot->run != NULL)
    snapshot->run->aborted = true; /* its walk may have passed the entries that the clears remove */
  if (!snapshot->journal_broken) { /* else they are written again with those of the next clear */
    snapshot->has_file = snapshot->has_file && !snapshot->journal_removed;
    snapshot->n_on_disk = snapshot->n_writing;
    fc_buf_free(&snapshot->writing);
  }
  if (snapshot->config.clears_written != NULL)
    snapshot->config.clears_written(snapshot->config.arg);
}
