/* Takes over the entries of an earlier daemon. The order matters: sources before chunks, chunks and
 * namespaces before entries, and the LRU order last. */
#include "daemon/store/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/store/store_migrate.h"
#include "daemon/store/store_restore.h"
#include "daemon/store/totals.h"
#include "proto/errors.h"

void store_catalog_sizes(struct catalog_sizes *sizes) {
  const uint64_t n = NAMESPACE_LIMIT_MAX + NAMESPACE_PENDING_DELETE_MAX;
  static_assert(NAMESPACE_LIMIT_MAX + NAMESPACE_PENDING_DELETE_MAX < ENTRY_NAME_SPACES,
                "entries name all namespaces");
  sizes->areas[CATALOG_STORE].element_bytes = sizeof(struct store_saved);
  sizes->areas[CATALOG_STORE].count = 1;
  sizes->areas[CATALOG_TOTALS].element_bytes = sizeof(struct totals);
  sizes->areas[CATALOG_TOTALS].count = 1;
  sizes->areas[CATALOG_NAMESPACES].element_bytes = sizeof(struct namespace);
  sizes->areas[CATALOG_NAMESPACES].count = n;
  sizes->areas[CATALOG_MANIFESTS].element_bytes = FC_MANIFEST_MAX;
  sizes->areas[CATALOG_MANIFESTS].count = n;
}

struct adoption {
  struct store *store;
  struct namespace_table *table;
  struct adopt_report *report;
};

/* ---- regions ---- */

/* Opens the earlier regions. One that cannot be opened is forgotten, and its entries with it. */
static void open_regions(struct adoption *adoption, int *fds, size_t n_fds) {
  struct heap *heap = &adoption->store->heap;
  struct adopt_report *report = adoption->report;
  for (uint32_t i = 0; i < CATALOG_REGIONS_MAX; i++) {
    struct catalog_region *described = &heap->catalog->header->regions[i];
    struct error_text why;
    if (i == heap->current || described->boot_id == 0)
      continue;
    if (region_source_open(&heap->sources[i], described, fds, n_fds, &why) == 0) {
      heap->n_sources++;
      report->regions++;
      continue;
    }
    if (report->regions_lost++ == 0)
      report->why = why;
    catalog_commit_u64(&described->boot_id, 0);
  }
}

/* ---- namespaces ---- */

static void adopt_namespaces(struct adoption *adoption) {
  struct store *store = adoption->store;
  struct store_saved *saved = store->saved;
  uint64_t max = catalog_count(store->catalog, CATALOG_NAMESPACES);
  saved->namespace_slots = saved->namespace_slots < max ? saved->namespace_slots : max;
  for (uint64_t i = 0; i < saved->namespace_slots; i++) {
    struct namespace *ns = catalog_at(store->catalog, CATALOG_NAMESPACES, i);
    if (ns->number == 0)
      continue;
    if (namespace_adopt(ns, store->catalog, i, saved->generation) &&
        namespace_table_adopt(adoption->table, i)) {
      adoption->report->namespaces++;
      continue;
    }
    catalog_commit_u32(&ns->number, 0);
    adoption->report->namespaces_dropped++;
  }
}

/* ---- entries ---- */

/* Returns ADOPT_CAUSES if the entry can be served, as far as its metadata says. */
static enum adopt_cause judge(const struct store *store, const struct entry *entry,
                              uint32_t number) {
  const struct heap *heap = &store->heap;
  if (entry->number != number || entry->use_stamp == 0 ||
      entry->use_stamp > store->saved->last_stamp || entry->source >= CATALOG_REGIONS_MAX ||
      heap_find_namespace(heap, entry->name_space) == NULL)
    return ADOPT_DAMAGED;
  const struct region_source *source = &heap->sources[entry->source];
  uint64_t charge = heap_charge_of(entry);
  if (source->base == NULL)
    return ADOPT_UNMAPPED;
  uint32_t segment = region_source_segment(source, entry_place(entry));
  if (segment == source->n_segments || charge <= HEAP_ENTRY_BYTES || charge > source->arena_size)
    return ADOPT_DAMAGED;
  return source->fds[segment] < 0 ? ADOPT_UNMAPPED : ADOPT_CAUSES;
}

/* Resets what only the earlier daemon knew, and counts the entry. */
static void take(struct store *store, struct entry *entry) {
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  uint64_t charge = heap_charge_of(entry);
  entry->holders = 1;
  entry->wipe = 0;
  slots_adopt_used(&store->heap.entries, entry->number);
  heap_sources_add(&store->heap, entry);
  store->entries++;
  store->bytes += charge;
  ns->entries++;
  ns->bytes += charge;
}

static void adopt_entries_of(struct adoption *adoption, uint32_t chunk) {
  struct store *store = adoption->store;
  for (uint32_t i = chunk == 0 ? 1 : 0; i < ENTRIES_PER_CHUNK; i++) {
    uint32_t number = chunk << ENTRY_BITS | i;
    struct entry *entry = heap_entry(&store->heap, number);
    if (entry->name_space != 0) {
      enum adopt_cause cause = judge(store, entry, number);
      if (cause == ADOPT_CAUSES) {
        take(store, entry);
        continue;
      }
      adoption->report->dropped[cause]++;
    }
    if (entry->state != 0 || entry->number != 0) /* of no use, or being written or removed */
      memset(entry, 0, sizeof *entry);
  }
}

static void adopt_entries(struct adoption *adoption) {
  struct heap *heap = &adoption->store->heap;
  for (uint32_t chunk = 0; chunk < heap->entries.n_chunks; chunk++)
    if (heap->entries.chunks[chunk] != NULL)
      adopt_entries_of(adoption, chunk);
  slots_adopted(&heap->entries);
}

/* Of two slots with the same stamp, the entry was being moved from one to the other. The bytes in
 * the region name one of them. */
static void drop_duplicates(struct adoption *adoption) {
  struct store *store = adoption->store;
  struct entry *entry = store_oldest(store, NULL), *newer;
  for (; entry != NULL && (newer = store_newer(store, NULL, entry)) != NULL; entry = newer) {
    if (newer->use_stamp != entry->use_stamp)
      continue;
    uint64_t named = region_writer_load(&entry_placed(entry)->origin) >> 32;
    struct entry *dropped = named == entry->number ? newer : entry;
    newer = named == entry->number ? entry : newer;
    store_remove(store, dropped);
    adoption->report->dropped[ADOPT_DUPLICATE]++;
  }
}

/* ---- clears ---- */

/* Returns false if the record makes no sense. */
static bool resume_clear(struct store *store, struct saved_clear *saved,
                         struct store_clear *clear) {
  struct namespace *ns = heap_find_namespace(&store->heap, saved->name_space);
  if (saved->view_size > FC_NAME_MAX || saved->op_size > FC_NAME_MAX ||
      (saved->name_space != 0 && (ns == NULL || ns->seed != saved->seed || ns->pending_delete)))
    return false;
  memcpy(clear->view_data, saved->view, saved->view_size);
  memcpy(clear->op_data, saved->op, saved->op_size);
  clear->ns = saved->name_space == 0 ? NULL : ns;
  clear->saved = saved;
  if (!saved->any_view)
    clear->view = (struct fc_str){clear->view_data, saved->view_size};
  if (!saved->any_op)
    clear->op = (struct fc_str){clear->op_data, saved->op_size};
  clear->last_stamp = saved->last_stamp;
  store_clear_resume(store, clear);
  return true;
}

static int resume_clears(struct store *store) {
  struct store_migration *migration = &store->migration;
  migration->clears = calloc(STORE_CLEARS_MAX, sizeof *migration->clears);
  if (migration->clears == NULL)
    return FC_ENOMEM;
  for (unsigned i = 0; i < STORE_CLEARS_MAX; i++) {
    struct saved_clear *saved = &store->saved->active_clears[i];
    if (saved->in_use == 0)
      continue;
    if (FC_CATALOG_MUTANT != 12 &&
        resume_clear(store, saved, &migration->clears[migration->n_clears]))
      migration->n_clears++;
    else
      catalog_commit_u32(&saved->in_use, 0);
  }
  return 0;
}

/* ---- all ---- */

int store_adopt(struct store *store, struct namespace_table *table, int *fds, size_t n_fds,
                struct adopt_report *report) {
  struct adoption adoption = {.store = store, .table = table, .report = report};
  uint64_t duplicates = 0;
  *report = (struct adopt_report){0};
  check_eq(store->entries, 0);
  if (store->heap.entries.n_chunks > 0) /* the catalog is new */
    return 0;
  if (FC_CATALOG_MUTANT == 4)
    store->saved->generation = 1;
  if (FC_CATALOG_MUTANT == 6)
    store->saved->last_stamp /= 2;
  clear_log_adopt(&store->saved->clears, store->saved->generation);
  delete_log_adopt(&store->deletes, store->saved->generation);
  open_regions(&adoption, fds, n_fds);
  report->chunks_lost = heap_adopt_chunks(&store->heap);
  adopt_namespaces(&adoption);
  if (!heap_sources_begin(&store->heap))
    return FC_ENOMEM;
  adopt_entries(&adoption);
  if (store_sort_lru(store, &duplicates) != 0)
    return FC_ENOMEM;
  if (duplicates > 0 && FC_CATALOG_MUTANT != 7)
    drop_duplicates(&adoption);
  if (resume_clears(store) != 0)
    return FC_ENOMEM;
  namespace_table_trim(table);
  report->entries = store->entries;
  report->bytes = store->bytes;
  store->migration.adopted = store->entries;
  store_migrate_begin(store);
  if (report->regions >= ADOPT_REGIONS_MAX)
    store_migrate_all(store);
  return 0;
}
