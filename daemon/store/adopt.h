/* adopt.h - takes over the cache of an earlier daemon from its memory: the catalog, which is used
 * in place, and its regions, which are only read (region_source.h).
 *
 * store_adopt makes all entries served: it finds them by their slots, sorts them by their stamps,
 * and counts them anew. It trusts nothing that can be derived. Afterwards store_migrate_step copies
 * the entries to the current region, segment by segment, and verifies each one. It gives a segment
 * up when no entry is left there. Until then a get is answered from the source by message, and
 * clients do not find the entry in the region that they map. Active clears and dropped namespaces
 * are finished in the background, too.
 *
 * A damaged entry is dropped and counted in store->migration. One thread. */
#ifndef FC_DAEMON_ADOPT_H
#define FC_DAEMON_ADOPT_H

#include "daemon/store/namespace_table.h"
#include "daemon/store/store.h"

/* From so many earlier regions on, store_adopt migrates all entries before it returns, because the
 * catalog has room for CATALOG_REGIONS_MAX. */
#define ADOPT_REGIONS_MAX 6u

struct adopt_report {
  uint64_t entries, bytes;        /* adopted; the charge */
  uint64_t dropped[ADOPT_CAUSES]; /* entries */
  uint64_t namespaces, namespaces_dropped;
  uint64_t chunks_lost; /* of up to ENTRIES_PER_CHUNK entries each */
  uint32_t regions, regions_lost;
  struct error_text why; /* the reason for the first lost region; empty: none */
};

/* Adopts what the catalog has (nothing, if it is new), into a store and a table that are
 * initialized and empty. Of the descriptors it takes the segments of earlier regions and sets them
 * to -1. The others remain the caller's, and are of no use, as the index of an earlier region.
 * Returns 0, or FC_ENOMEM: then the store is unusable, and the caller deinits it and makes a new
 * catalog. */
int store_adopt(struct store *store, struct namespace_table *table, int *fds, size_t n_fds,
                struct adopt_report *report);

/* Fills in the areas of the store: all but the leases. */
void store_catalog_sizes(struct catalog_sizes *sizes);

#endif
