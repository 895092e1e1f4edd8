/* clear_journal.h - the file of the clears and deletes since the snapshot. They are acknowledged
 * only after their record is on disk, so no restore brings back a removed entry.
 *
 * The record of a clear has the clear's names and the highest stamp of the entries that it removed.
 * A record of deletes has up to CLEAR_JOURNAL_KEYS of them: hashes of the keys, with their stamps.
 * Deletes that wait for the disk together share one. A full file is compacted: records of deletes
 * that follow each other become one. A record is written twice, side by side, so that a damaged
 * byte loses no clear. A record that is not complete at the end of the file was never acknowledged.
 * Each has the id of its cache: those of a former cache mean nothing. docs/image.md shows the
 * bytes.
 *
 * The caller appends in one thread and writes in another, never at the same time. */
#ifndef FC_DAEMON_CLEAR_JOURNAL_H
#define FC_DAEMON_CLEAR_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/snapshot/state_dir.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/wire/buf.h"

#define CLEAR_JOURNAL_RECORD_BYTES 2048u /* both copies */
#define CLEAR_JOURNAL_MAX 16384u         /* records; see clear_journal_append */
#define CLEAR_JOURNAL_KEYS 40u           /* deletes of one record */

/* One clear, of which a name without data means any, or one delete, which has no names. */
struct clear_journal_record {
  uint64_t cache_id;
  uint64_t stamp;      /* it removed entries up to this one */
  uint64_t generation; /* of the store, after it; of a delete, or after a later one */
  struct fc_str name_space, view, op;
  bool is_delete;
  struct fc_hash key; /* of a delete: clear_journal_key */
};

/* Returns the hash by which the journal names a key. It depends on nothing but its arguments. */
struct fc_hash clear_journal_key(struct fc_str name_space, const struct fc_key *key);

struct clear_journal {
  int fd;       /* -1: not open */
  uint64_t n;   /* records in the file */
  bool damaged; /* a record in the file could not be read */
};

void clear_journal_init(struct clear_journal *journal);

/* Opens the journal, or makes it. Calls `fn` for each record of cache `cache_id` (0: of any). Its
 * names are borrowed. Cuts an incomplete record at the end. Returns 0 or an errno. */
typedef void clear_journal_fn(void *arg, const struct clear_journal_record *record);
int clear_journal_open(struct clear_journal *journal, const struct state_dir *dir,
                       uint64_t cache_id, clear_journal_fn *fn, void *arg);
void clear_journal_close(struct clear_journal *journal); /* idempotent */

/* Appends a record to `buf`, for clear_journal_write. A delete joins the last record of `buf` if
 * `may_join` and that has deletes and a place left. Returns whether a record was added. */
bool clear_journal_append(struct fc_buf *buf, const struct clear_journal_record *record,
                          bool may_join);

/* Writes records to the end of the file and syncs it. Compacts a full file before, so `n` may
 * become less. Returns 0 or an errno, EFBIG if it has CLEAR_JOURNAL_MAX: then the file has the
 * records that it had before. */
int clear_journal_write(struct clear_journal *journal, const struct state_dir *dir,
                        const struct fc_buf *records);

/* Removes the first `n` records. Returns 0 or an errno: then they are still there. */
int clear_journal_cut(struct clear_journal *journal, const struct state_dir *dir, uint64_t n);

#endif
