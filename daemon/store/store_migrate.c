/* Each segment of a source is emptied by a walk over all slots, because nothing leads from a
 * segment to its entries. A walk over a million slots takes some milliseconds, and there are at
 * most 64 segments. */
#include "daemon/store/store_migrate.h"

#include <stdlib.h>

#include "daemon/base/check.h"

static struct region_source *source_of(struct store *store) {
  return &store->heap.sources[store->migration.source];
}

uint64_t store_migrating_bytes(const struct store *store) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < CATALOG_REGIONS_MAX; i++)
    bytes += store->heap.sources[i].memory_bytes;
  return bytes;
}

void store_migrate_begin(struct store *store) {
  struct heap *heap = &store->heap;
  heap->allowance_bytes = 0;
  for (uint32_t i = 0; i < CATALOG_REGIONS_MAX; i++)
    if (heap->sources[i].base != NULL && heap->sources[i].segment_bytes > heap->allowance_bytes)
      heap->allowance_bytes = heap->sources[i].segment_bytes;
  store->migration.begun = store->migration.waiting = false;
  heap_update_budget(heap);
}

/* ---- segments that are given up ---- */

static bool has_segments(const struct region_source *source) {
  for (uint32_t k = 0; k < source->n_segments; k++)
    if (source->fds[k] >= 0)
      return true;
  return false;
}

/* The catalog forgets a file before the file is closed. */
static void release_region(struct store *store, uint32_t number) {
  struct heap *heap = &store->heap;
  struct region_source *source = &heap->sources[number];
  check_eq(source->n_entries, 0);
  catalog_commit_u64(&heap->catalog->header->regions[number].boot_id, 0);
  region_source_close(source);
  store->migration.blocked_segments[number] = 0;
  if (--heap->n_sources == 0)
    heap_sources_end(heap);
  store_migrate_begin(store);
}

static void release_segment(struct store *store, uint32_t number, uint32_t segment) {
  struct heap *heap = &store->heap;
  struct region_source *source = &heap->sources[number];
  catalog_commit_u64(&heap->catalog->header->regions[number].segment_inodes[segment], 0);
  region_source_release(source, segment);
  if (store->segment_released != NULL)
    store->segment_released(store->segment_released_arg, source->boot_id, segment);
  if (has_segments(source))
    heap_update_budget(heap);
  else
    release_region(store, number);
}

/* ---- one entry ---- */

static uint64_t drop(struct store *store, struct entry *entry, enum adopt_cause cause) {
  store->migration.dropped[cause]++;
  store_remove(store, entry);
  return 0;
}

static bool is_intact(const struct store *store, const struct namespace *ns,
                      const struct entry *entry) {
  const struct region_source *source = &store->heap.sources[entry->source];
  const struct fc_region_entry *placed = entry_placed(entry);
  return region_source_verify(source, entry_place(entry), entry->digest) &&
         (FC_CATALOG_MUTANT == 5 || region_writer_load(&placed->name_space) == ns->seed);
}

/* Makes room in the chain of the entry. Returns false if the entry is the oldest one. */
static bool make_room_in_chain(struct store *store, const struct namespace *ns,
                               const struct entry *entry) {
  if (store_chain_length(store, entry->digest) < STORE_CHAIN_MAX)
    return true;
  struct entry *victim = store_chain_victim(store, ns, entry->digest);
  if (victim->use_stamp > entry->use_stamp)
    return false;
  store_remove(store, victim);
  return true;
}

/* Copies the entry. The allowance grows with a value that is larger than a segment. */
static bool copy(struct store *store, struct entry *entry) {
  struct heap *heap = &store->heap;
  uint64_t charge = heap_charge_of(entry);
  entry_hold(entry);
  bool copied =
      heap_migrate(heap, entry, HEAP_EXISTING_HOLES) || heap_migrate(heap, entry, HEAP_COMPACT);
  if (!copied) {
    heap->allowance_bytes += charge + (1u << 20);
    heap_update_budget(heap);
    copied = heap_migrate(heap, entry, HEAP_COMPACT);
  }
  entry_release(entry);
  return copied;
}

static void link_copy(struct store *store, struct namespace *ns, struct entry *entry,
                      uint64_t old_charge) {
  struct fc_region_entry *placed = entry_placed(entry);
  uint64_t charge = heap_charge_of(entry);
  bool opened = region_writer_open(store->region, entry->digest);
  region_writer_link(store->region, entry->digest, placed);
  if (opened)
    region_writer_close(store->region, entry->digest);
  store_count_names(store, ns, entry);
  store->bytes += charge - old_charge; /* more or fewer pieces */
  ns->bytes += charge - old_charge;
}

/* Migrates or drops an entry. Returns the bytes that were copied. */
static uint64_t migrate(struct store *store, struct entry *entry) {
  struct store_migration *migration = &store->migration;
  if (entry->holders > 1 || entry->name_space == 0) { /* its bytes are being sent */
    migration->blocked = true;
    return 0;
  }
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  struct store_clear *clear = store_clear_of(store, entry);
  uint64_t charge = heap_charge_of(entry);
  if (clear != NULL || ns->pending_delete) {
    if (clear != NULL)
      clear->removed++;
    store_erase(store, entry);
    return 0;
  }
  if (!is_intact(store, ns, entry))
    return drop(store, entry, ADOPT_DAMAGED);
  struct fc_key key = entry_key(entry);
  if (store_find_in_region(store, ns, entry->digest, &key) != NULL)
    return drop(store, entry, ADOPT_DUPLICATE);
  if (!make_room_in_chain(store, ns, entry))
    return drop(store, entry, ADOPT_NO_ROOM);
  if (copy(store, entry)) {
    link_copy(store, ns, entry, charge);
    return charge;
  }
  if (migration->must_end)
    return drop(store, entry, ADOPT_NO_ROOM);
  migration->blocked = true;
  return charge;
}

/* ---- the walk ---- */

/* Chooses the segment with the fewest entries of the oldest source, so that memory is given up
 * soon. Returns false if all are blocked. */
static bool choose(struct store *store) {
  struct store_migration *migration = &store->migration;
  uint64_t least = UINT64_MAX;
  for (uint32_t i = 0; i < CATALOG_REGIONS_MAX; i++) {
    const struct region_source *source = &store->heap.sources[i];
    for (uint32_t k = 0; source->base != NULL && k < source->n_segments; k++) {
      if (source->fds[k] < 0 || (migration->blocked_segments[i] >> k & 1) != 0 ||
          source->entries[k] >= least)
        continue;
      least = source->entries[k];
      migration->source = i;
      migration->segment = k;
    }
  }
  migration->slot = 0;
  migration->unmapped = 0;
  migration->blocked = false;
  migration->begun = least != UINT64_MAX;
  return migration->begun;
}

/* Its charge is at least the bytes of the entry, from its beginning on. */
static bool is_there(const struct region_source *source, const struct entry *entry,
                     uint32_t segment) {
  uint64_t begin = source->arena_offset + segment * source->segment_bytes;
  uint64_t place = entry_place(entry), charge = heap_charge_of(entry);
  if (place < begin + source->segment_bytes && place + charge > begin)
    return true;
  return charge >= REGION_SOURCE_SPREAD_BYTES && region_source_touches(source, place, segment);
}

/* Migrates the entries of the segment among the next slots. */
static void walk(struct store *store) {
  struct store_migration *migration = &store->migration;
  const struct slots *slots = &store->heap.entries;
  uint64_t bytes = 0;
  uint32_t end = slots->n_chunks << ENTRY_BITS;
  for (uint32_t n = 0;
       migration->slot < end && n < STORE_MIGRATE_SLOTS && bytes < STORE_MIGRATE_BYTES; n++) {
    uint32_t slot = migration->slot++, index = slot % (1u << ENTRY_BITS);
    struct entry *entry = heap_find_entry(&store->heap, slot);
    if (entry == NULL || index >= ENTRIES_PER_CHUNK) {
      migration->slot = entry == NULL ? (slot | ((1u << ENTRY_BITS) - 1)) + 1 : migration->slot;
      continue;
    }
    if (entry->holders != 0 && entry->source == migration->source &&
        is_there(source_of(store), entry, migration->segment))
      bytes += migrate(store, entry);
  }
}

static bool is_empty(const struct store *store) {
  const struct region_source *source = &store->heap.sources[store->migration.source];
  return source->entries[store->migration.segment] == 0 && source->n_spread == 0;
}

/* Returns false if nothing can be migrated now. */
static bool migrate_slice(struct store *store) {
  struct store_migration *migration = &store->migration;
  if (!migration->begun && !choose(store)) {
    for (uint32_t i = 0; i < CATALOG_REGIONS_MAX; i++)
      migration->blocked_segments[i] = 0;
    migration->waiting = true;
    migration->releases = store->heap.source_releases;
    return false;
  }
  bool done = is_empty(store);
  if (!done) {
    walk(store);
    done =
        migration->slot >= store->heap.entries.n_chunks << ENTRY_BITS >> (FC_CATALOG_MUTANT == 2);
  }
  if (!done || (!migration->blocked &&
                region_source_unmap(source_of(store), migration->segment, &migration->unmapped)))
    return true;
  migration->begun = false;
  if (migration->blocked)
    migration->blocked_segments[migration->source] |= UINT64_C(1) << migration->segment;
  else
    release_segment(store, migration->source, migration->segment);
  return true;
}

/* ---- clears of an earlier daemon ---- */

static void step_clears(struct store *store) {
  struct store_migration *migration = &store->migration;
  for (unsigned i = 0; i < migration->n_clears; i++)
    if (!store_clear_step(store, &migration->clears[i], STORE_SLICE))
      return;
  free(migration->clears);
  migration->clears = NULL;
  migration->n_clears = 0;
}

bool store_migrate_step(struct store *store) {
  if (store->migration.n_clears > 0) {
    step_clears(store);
    return true;
  }
  return store_migrate_is_ready(store) && migrate_slice(store) && store->heap.n_sources > 0;
}

bool store_migrate_for_room(struct store *store) {
  uint64_t before = store_migrating_bytes(store);
  if (store->heap.n_sources == 0 || store->migration.active)
    return false;
  store->migration.active = true;
  while (store->heap.n_sources > 0 && store_migrating_bytes(store) == before &&
         migrate_slice(store))
    ;
  store->migration.active = false;
  return store_migrating_bytes(store) < before;
}

void store_migrate_all(struct store *store) {
  store->migration.must_end = true;
  while (store->heap.n_sources > 0 && migrate_slice(store))
    ;
  store->migration.must_end = false;
}
