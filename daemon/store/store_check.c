#include "daemon/base/check.h"
#include "daemon/store/store_entries.h"

/* Checks an entry in the region: one in a source may be damaged. */
static void check_bytes(const struct store *store, const struct namespace *ns,
                        const struct entry *entry) {
  const struct heap *heap = &store->heap;
  struct fc_key key = entry_key(entry);
  check_lt(0, entry->block);
  check_eq(arena_owner(&heap->arena, entry->block), heap_owner(HEAP_OWNER_ENTRY, entry->number));
  check_eq(arena_offset(&heap->arena, entry->block) + store->region->arena_offset,
           entry_place(entry));
  check_eq(entry->digest, fc_key_digest(ns->seed, &key));
}

/* Returns the number of live entries in sources. */
static uint64_t entries_in_sources(const struct store *store) {
  uint64_t n = 0;
  for (const struct entry *entry = store_newest(store, NULL); entry != NULL;
       entry = store_older(store, NULL, entry))
    n += heap_is_in_source(&store->heap, entry);
  return n;
}

/* Returns the number of entries of an order, each of which is checked against `store`. */
static uint64_t check_order(const struct store *store, const struct namespace *ns,
                            uint64_t *bytes) {
  uint64_t entries = 0, stamp = store->saved->last_stamp + 1;
  uint32_t newer = 0;
  enum lru_kind kind = ns == NULL ? LRU_OF_ALL : LRU_OF_NAMESPACE;
  for (const struct entry *entry = store_newest(store, ns); entry != NULL;
       entry = store_older(store, ns, entry)) {
    const struct namespace *own = entry_namespace(entry);
    check_lt(entry->use_stamp, stamp);
    check_eq(entry->lists[kind].newer, newer);
    check_lt(0, entry->holders);
    assert(own != NULL && (ns == NULL || own == ns));
    if (!heap_is_in_source(&store->heap, entry))
      check_bytes(store, own, entry);
    stamp = entry->use_stamp;
    newer = entry->number;
    *bytes += heap_charge_of(entry);
    check_lt(entries, store->entries);
    entries++;
  }
  check_eq((ns == NULL ? &store->lru : &ns->lru)->oldest, newer);
  return entries;
}

/* Returns the number of entries in all chains. */
static uint64_t check_chains(const struct store *store) {
  uint64_t entries = 0, n_buckets = store->region->n_buckets;
  for (uint64_t bucket = 0; bucket < n_buckets; bucket++) {
    uint64_t digest = ((bucket << 32) + n_buckets - 1) / n_buckets << 32; /* one of the bucket */
    uint32_t length = 0;
    for (const struct fc_region_entry *placed = region_writer_first(store->region, digest);
         placed != NULL; placed = region_writer_next(store->region, placed)) {
      const struct entry *entry = heap_entry_at(&store->heap, placed);
      assert(heap_placed(&store->heap, entry) == placed);
      check_eq(fc_region_bucket_of(entry->digest, n_buckets), bucket);
      length++;
    }
    check_le(length, STORE_CHAIN_MAX);
    entries += length;
  }
  return entries;
}

static void check_name_counts(const struct store *store, uint64_t entries) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < STORE_NAME_COUNTERS; i++)
    sum += store->name_counts.counts[i];
  check_eq(sum % 6, 0); /* an entry counts in six */
  check_eq(sum / 6, entries);
}

void store_check(const struct store *store) {
  uint64_t bytes = 0, own_bytes = 0, own_entries = 0;
  check_eq(check_order(store, NULL, &bytes), store->entries);
  check_eq(bytes, store->bytes);
  for (uint32_t number = 1; number < store->heap.n_namespaces; number++) {
    const struct namespace *ns = heap_namespace(&store->heap, number);
    if (ns == NULL)
      continue;
    uint64_t before = own_bytes;
    check_eq(ns->number, number);
    check_eq(check_order(store, ns, &own_bytes), ns->entries);
    check_eq(own_bytes - before, ns->bytes);
    own_entries += ns->entries;
  }
  check_eq(own_entries, store->entries);
  check_eq(own_bytes, store->bytes);
  uint64_t in_region = store->entries - entries_in_sources(store);
  check_eq(check_chains(store), in_region);
  check_name_counts(store, in_region);
  check_le(store->n_active_clears, STORE_CLEARS_MAX);
  check_le(store->heap.arena.used_bytes, store->region->committed_bytes);
  slots_check(&store->heap.entries);
  arena_check(&store->heap.arena);
}
