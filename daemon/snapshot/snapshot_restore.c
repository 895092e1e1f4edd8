/* A restore: the preamble, the journal, then the records. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/region/region_populate.h"
#include "daemon/snapshot/restored_clears.h"
#include "daemon/snapshot/snapshot_internal.h"
#include "daemon/store/store_restore.h"
#include "proto/errors.h"
#include "proto/image/image_reader.h"

#define PROGRESS_EVERY (1u << 16) /* records */

static_assert(IMAGE_BATCH <= STORE_PREFETCH_MAX, "a batch is prefetched at once");

struct restore {
  struct snapshot *snapshot;
  struct image_reader reader;
  struct restored_clears clears;
  struct snapshot_spaces spaces;
  int64_t clock_shift_ns;
  uint64_t first_stamp; /* older entries have no room */
};

/* ---- a file that is not used ---- */

static void put_aside(struct snapshot *snapshot, const char *reason) {
  int error = state_dir_rename(&snapshot->dir, STATE_SNAPSHOT, STATE_SNAPSHOT_ASIDE);
  log_line(snapshot->config.log, LOG_LEVEL_WARNING, "the snapshot %s/%s is not restored: %s: %s%s",
           snapshot->dir.path, STATE_SNAPSHOT, reason,
           error == 0 ? "it is now called " STATE_SNAPSHOT_ASIDE : "it stays: ",
           error == 0 ? "" : strerror(error));
  snapshot->has_file = snapshot->has_file && error != 0;
}

static void log_unreadable(struct restore *restore, int rc, int error) {
  char text[160];
  if (rc == FC_EVERSION)
    (void)snprintf(text, sizeof text, "it has version %" PRIu32 ", and this daemon reads %u to %u",
                   restore->reader.info.version, IMAGE_VERSION_MIN, IMAGE_VERSION_MAX);
  else
    (void)snprintf(text, sizeof text, "%s",
                   rc == FC_EINVAL ? "it is no image, or both its preambles are damaged"
                                   : strerror(error));
  put_aside(restore->snapshot, text);
}

/* ---- the preamble ---- */

/* Returns what to add to a time of the earlier daemon's clock, so that entries are as old as they
 * were, plus the time of day since then. A clock that was set back counts as no time. */
static int64_t clock_shift(const struct image_info *info) {
  struct timespec wall = {0};
  (void)clock_gettime(CLOCK_REALTIME, &wall); /* 0 counts as a clock that was set back */
  uint64_t wall_ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec;
  uint64_t since_ns = wall_ns > info->wall_ns ? wall_ns - info->wall_ns : 0;
  return (int64_t)(snapshot_clock_ns() - info->clock_ns - since_ns);
}

static void restore_cache(struct restore *restore) {
  struct snapshot *snapshot = restore->snapshot;
  struct store *store = snapshot->config.cache.store;
  const struct image_info *info = &restore->reader.info;
  struct image_preamble preamble;
  image_reader_items(&restore->reader, &preamble);
  restore->clock_shift_ns = clock_shift(info);
  snapshot->restored.no_room +=
      snapshot_head_decode(snapshot, &preamble, restore->clock_shift_ns, &restore->spaces);
  *snapshot->config.cache.cache_id = info->cache_id;
  uint64_t last_stamp =
      info->last_stamp > restore->clears.last_stamp ? info->last_stamp : restore->clears.last_stamp;
  store->saved->last_stamp =
      last_stamp > store->saved->last_stamp ? last_stamp : store->saved->last_stamp;
  /* Generations of the earlier daemon may be newer than the image's. None of them reaches the next
   * block of 2^32, so that a worker's old generation never looks newer than a later clear. */
  uint64_t generation = info->generation > restore->clears.last_generation
                            ? info->generation
                            : restore->clears.last_generation;
  store->saved->generation = (generation | UINT32_MAX) + 1;
}

/* A clear that the image does not know makes the puts that were computed before it stale. */
static void add_to_logs(void *arg, const struct clear_journal_record *record) {
  struct restore *restore = arg;
  const struct snapshot_cache *cache = &restore->snapshot->config.cache;
  struct namespace *ns = NULL;
  if (record->is_delete) { /* the log of deletes has no exact record of an earlier daemon's */
    if (FC_CATALOG_MUTANT != 17)
      delete_log_raise(&cache->store->deletes, record->generation);
    return;
  }
  if (record->name_space.data != NULL) {
    ns = namespace_table_find(cache->namespaces, record->name_space);
    if (ns == NULL)
      return;
  }
  struct clear_log *log = ns == NULL ? &cache->store->saved->clears : &ns->clears;
  if (record->generation > log->newest && FC_CATALOG_MUTANT != 17)
    clear_log_add(log, record->generation, record->view, record->op);
}

/* ---- the newest entries that fit ---- */

#define STEPS 4096u

/* Sums the charges of the records by their stamps, in equal steps from `first` on. */
static int sum_charges(struct restore *restore, uint64_t first, uint64_t width,
                       uint64_t sums[STEPS]) {
  struct image_read batch[IMAGE_BATCH];
  int n;
  memset(sums, 0, STEPS * sizeof sums[0]);
  image_reader_rewind(&restore->reader, true);
  while ((n = image_reader_next(&restore->reader, batch)) > 0) {
    for (int i = 0; i < n; i++) {
      const struct image_record *record = &batch[i].record;
      uint64_t step = (record->stamp - first) / width;
      if (record->stamp >= first && step < STEPS)
        sums[step] += heap_charge(&record->key, record->value_size);
    }
  }
  return n;
}

/* Finds the lowest stamp from which on all entries fit, up to one step of a hundredth of max_bytes.
 */
static int choose_first_stamp(struct restore *restore) {
  static uint64_t sums[STEPS];
  uint64_t room = restore->snapshot->config.cache.store->max_bytes;
  uint64_t first = 0, width = restore->reader.info.last_stamp / STEPS + 1;
  for (;;) {
    int rc = sum_charges(restore, first, width, sums);
    if (rc < 0)
      return rc;
    uint64_t step = STEPS;
    while (step > 0 && sums[step - 1] <= room)
      room -= sums[--step];
    restore->first_stamp = first + step * width;
    if (step == 0 || width == 1 ||
        sums[step - 1] <= restore->snapshot->config.cache.store->max_bytes / 100)
      return 0;
    first += (step - 1) * width; /* the step that does not fit is divided */
    width = width / STEPS + 1;
  }
}

/* ---- records ---- */

static void restore_record(struct restore *restore, const struct image_read *read) {
  struct snapshot *snapshot = restore->snapshot;
  const struct image_record *record = &read->record;
  const struct snapshot_space *space = snapshot_head_find(&restore->spaces, record->name_space);
  struct store_restore_info info = {
      .digest = read->digest,
      .compute_ns = record->compute_ns,
      .stamp = record->stamp,
      .last_use_ns = snapshot_shift_ns(record->last_use_ns, restore->clock_shift_ns),
      .hits = record->hits,
      .origin = record->origin};
  if (space == NULL || record->stamp < restore->first_stamp) {
    snapshot->restored.no_room++;
    return;
  }
  if (restored_clears_select(&restore->clears, space->ns->name, &record->key, record->stamp)) {
    snapshot->restored.cleared++;
    return;
  }
  int rc = store_restore(snapshot->config.cache.store, space->ns, &record->key, read->value,
                         record->value_size, &info);
  snapshot->restored.entries += rc == FC_STORED;
  snapshot->restored.duplicates += rc == FC_KEPT;
  snapshot->restored.no_room += rc < 0;
}

static int restore_records(struct restore *restore) {
  struct snapshot *snapshot = restore->snapshot;
  struct image_read batch[IMAGE_BATCH];
  uint64_t digests[IMAGE_BATCH], reported = 0;
  int n;
  if (restore->reader.info.charge > snapshot->config.cache.store->max_bytes) {
    int rc = choose_first_stamp(restore);
    if (rc < 0)
      return rc;
  }
  image_reader_rewind(&restore->reader, false);
  while ((n = image_reader_next(&restore->reader, batch)) > 0) {
    for (int i = 0; i < n; i++)
      digests[i] = batch[i].digest;
    store_prefetch_chains(snapshot->config.cache.store, digests, (size_t)n);
    for (int i = 0; i < n; i++)
      restore_record(restore, &batch[i]);
    if (snapshot->config.progress != NULL && restore->reader.records - reported > PROGRESS_EVERY) {
      reported = restore->reader.records;
      snapshot->config.progress(snapshot->config.arg);
    }
  }
  snapshot->restored.damaged = restore->reader.damaged;
  snapshot->restored.no_room += restore->reader.too_large;
  return n;
}

static void log_restored(const struct restore *restore) {
  const struct snapshot *snapshot = restore->snapshot;
  const struct snapshot_restored *restored = &snapshot->restored;
  bool lost = restored->damaged + restored->no_room > 0 || restore->reader.error != 0 ||
              !restore->reader.has_last;
  log_line(snapshot->config.log, lost ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
           "restored %" PRIu64 " entries from %s/%s in %" PRIu64 " ms: dropped %" PRIu64
           " cleared, %" PRIu64 " damaged, %" PRIu64 " without room%s%s%s",
           restored->entries, snapshot->dir.path, STATE_SNAPSHOT, restored->duration_ns / 1000000u,
           restored->cleared, restored->damaged, restored->no_room,
           restore->reader.has_last ? "" : "; the end of the file is missing",
           restore->reader.error != 0 ? "; a read failed: " : "",
           restore->reader.error != 0 ? strerror(restore->reader.error) : "");
}

/* ---- the whole ---- */

/* Reads the journal of a cache. Returns false if a clear may be missing. */
static bool read_journal(struct snapshot *snapshot, uint64_t cache_id, clear_journal_fn *fn,
                         void *arg) {
  clear_journal_close(&snapshot->journal);
  int error = clear_journal_open(&snapshot->journal, &snapshot->dir, cache_id, fn, arg);
  snapshot->n_clears = snapshot->n_on_disk = snapshot->journal.n;
  return error == 0 && !snapshot->journal.damaged;
}

static void ignore_record(void *arg, const struct clear_journal_record *record) {
  (void)arg;
  (void)record;
}

static int restore_from(struct restore *restore) {
  struct snapshot *snapshot = restore->snapshot;
  uint64_t start_ns = snapshot_clock_ns(), cache_id = restore->reader.info.cache_id;
  if (!read_journal(snapshot, cache_id, restored_clears_add, &restore->clears) ||
      restore->clears.failed) {
    put_aside(snapshot, "a record of a clear in " STATE_CLEARS
                        " is damaged, so entries that were cleared could come back");
    return 0;
  }
  restore_cache(restore);
  (void)read_journal(snapshot, cache_id, add_to_logs, restore); /* it was read before */
  struct region_populate populate;
  region_populate_start(&populate, snapshot->config.cache.store->region,
                        restore->reader.info.charge);
  int rc = restore_records(restore);
  region_populate_end(&populate);
  if (rc == 0)
    rc = store_sort_lru(snapshot->config.cache.store, NULL);
  snapshot_head_release(snapshot, &restore->spaces);
  snapshot->restored.duration_ns = snapshot_clock_ns() - start_ns;
  if (rc == 0)
    log_restored(restore);
  return rc;
}

int snapshot_restore(struct snapshot *snapshot) {
  static struct restore restore; /* a table of namespaces is too large for the stack */
  if (!snapshot->is_open)
    return 0;
  restore = (struct restore){.snapshot = snapshot};
  restored_clears_init(&restore.clears, *snapshot->config.cache.cache_id);
  int fd = state_dir_open_file(&snapshot->dir, STATE_SNAPSHOT, O_RDONLY), rc = 0;
  if (fd < 0 && errno != ENOENT) {
    put_aside(snapshot, strerror(errno));
  } else if (fd >= 0) {
    rc = image_reader_open(&restore.reader, fd, snapshot->config.cache.store->max_value);
    if (rc == 0) {
      rc = restore_from(&restore);
    } else if (rc != FC_ENOMEM) {
      log_unreadable(&restore, rc, restore.reader.error);
      rc = 0;
    }
    image_reader_close(&restore.reader);
    (void)close(fd); /* it was only read */
  }
  if (snapshot->journal.fd < 0) /* nothing was restored: the records mean nothing */
    (void)read_journal(snapshot, 0, ignore_record, NULL);
  restored_clears_deinit(&restore.clears);
  return rc;
}

void snapshot_adopted(struct snapshot *snapshot) {
  struct image_reader reader;
  if (!snapshot->is_open)
    return;
  int fd = state_dir_open_file(&snapshot->dir, STATE_SNAPSHOT, O_RDONLY);
  if (fd >= 0) {
    int rc = image_reader_open(&reader, fd, 0);
    if (rc == 0 && reader.info.cache_id != *snapshot->config.cache.cache_id)
      put_aside(snapshot, "it is of another cache than the memory of the earlier daemon");
    image_reader_close(&reader);
    (void)close(fd); /* it was only read */
  }
  /* A damaged record stays damaged until the next snapshot makes it obsolete. */
  (void)read_journal(snapshot, 0, ignore_record, NULL);
}
