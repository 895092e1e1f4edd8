/* store_migrate.h - moves the entries of earlier regions to the current one, in slices, and
 * finishes the clears of an earlier daemon. adopt.h explains it. */
#ifndef FC_DAEMON_STORE_MIGRATE_H
#define FC_DAEMON_STORE_MIGRATE_H

#include "daemon/store/store_clear.h"
#include "daemon/store/store_entries.h"

/* Bytes that one slice copies, and slots that it looks at. docs/decisions/0082 has the times of
 * slices. The slow ones let the kernel zero a MiB of new memory. A larger value takes longer. */
#define STORE_MIGRATE_BYTES (64u << 10)
#define STORE_MIGRATE_SLOTS (8u << 10)

/* Migrates a slice of entries, or finishes a slice of an earlier daemon's clears. Returns true if
 * there is more to do now. False: nothing is left, or the rest waits (store_migrate_is_ready). */
bool store_migrate_step(struct store *store);

/* Returns true while an entry is in an earlier region, or one of its clears is active. */
static inline bool store_is_migrating(const struct store *store) {
  return store->heap.n_sources > 0 || store->migration.n_clears > 0;
}

/* Returns false while a migration waits for a held entry or for room, or is paused. */
static inline bool store_migrate_is_ready(const struct store *store) {
  return store->migration.n_clears > 0 ||
         (store->heap.n_sources > 0 && !store->migration.paused &&
          (!store->migration.waiting || store->migration.releases != store->heap.source_releases));
}

/* Returns the memory of earlier regions that was not given up yet. */
uint64_t store_migrating_bytes(const struct store *store);

/* Sets how much memory the migration may take beyond the budget, after the sources changed. */
void store_migrate_begin(struct store *store);

/* Migrates entries until the memory of a segment was given up. Returns false if that is not
 * possible. A put that finds no room calls it before it evicts, because the entries that it would
 * evict may lie in a source, where they leave no hole. */
bool store_migrate_for_room(struct store *store);

/* Migrates all entries. Those that find no room are dropped. */
void store_migrate_all(struct store *store);

#endif
