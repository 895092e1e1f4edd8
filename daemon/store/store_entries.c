#include "daemon/store/store_entries.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "daemon/base/check.h"

/* Entries moved for each one that is removed. One would suffice on average, because at most seven
 * eighths of a chunk's entries have to move before the chunk is free. */
enum { ENTRIES_MOVED = 2 };

enum { PREFETCH_ROUNDS = 5 }; /* a full cache of small values has four entries a bucket */

/* A clear may name a view, an op or both, in one namespace or in all. An entry counts in each. */
#define NAME_WAYS 6u

/* The seed is the last store: a cache without it is new. */
static void init_saved(struct store_saved *saved, uint64_t seed, uint64_t secret) {
  if (saved->seed != 0)
    return;
  memset(saved, 0, sizeof *saved);
  saved->secret = secret;
  saved->generation = 1;
  clear_log_init(&saved->clears, 1);
  catalog_commit_u64(&saved->seed, seed | (seed == 0));
}

int store_entries_init(struct store *store, struct region *region, struct catalog *catalog,
                       uint64_t seed, uint64_t secret) {
  memset(store, 0, sizeof *store);
  store->region = region;
  store->catalog = catalog;
  store->saved = catalog_at(catalog, CATALOG_STORE, 0);
  init_saved(store->saved, seed, secret);
  store->name_counts.seed = store->saved->secret;
  int rc = delete_log_init(&store->deletes, catalog_store_rest(catalog));
  return rc < 0 ? rc : heap_init(&store->heap, region, catalog);
}

void store_entries_deinit(struct store *store) {
  check_eq(store->heap.unlisted_bytes, 0);
  free(store->migration.clears);
  delete_log_deinit(&store->deletes);
  heap_deinit(&store->heap);
}

/* ---- counts by names ---- */

static uint64_t hash_of(const struct store_name_counts *counts, struct fc_str name) {
  return name.data == NULL ? 0 : XXH3_64bits_withSeed(name.data, name.size, counts->seed);
}

/* Takes hashes of names, 0 for any. */
static uint32_t name_counter(uint64_t name_space, uint64_t view, uint64_t op) {
  uint64_t x = name_space + view * 0x9e3779b97f4a7c15u + op * 0xc2b2ae3d27d4eb4fu;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  return (uint32_t)((x ^ (x >> 32)) & (STORE_NAME_COUNTERS - 1));
}

/* Fills the counters of an entry with that key. */
static void name_counters(const struct store_name_counts *counts, uint64_t name_space,
                          const struct fc_key *key, uint32_t counters[NAME_WAYS]) {
  uint64_t view = hash_of(counts, key->view), op = hash_of(counts, key->op);
  counters[0] = name_counter(name_space, view, 0);
  counters[1] = name_counter(name_space, 0, op);
  counters[2] = name_counter(name_space, view, op);
  counters[3] = name_counter(0, view, 0);
  counters[4] = name_counter(0, 0, op);
  counters[5] = name_counter(0, view, op);
}

bool store_may_select(const struct store *store, const struct store_clear *clear) {
  const struct store_name_counts *counts = &store->name_counts;
  if ((clear->ns == NULL ? store->entries : clear->ns->entries) == 0)
    return false;
  if ((clear->view.data == NULL && clear->op.data == NULL) || store->heap.n_sources > 0)
    return true; /* the counts lack entries in sources */
  uint64_t name_space = clear->ns == NULL ? 0 : clear->ns->seed;
  return counts->counts[name_counter(name_space, hash_of(counts, clear->view),
                                     hash_of(counts, clear->op))] > 0;
}

/* ---- LRU lists ---- */

static struct lru_node *node_of(const struct store *store, enum lru_kind kind, uint32_t number) {
  return &heap_entry(&store->heap, number)->lists[kind];
}

/* Returns the number in the list that names the successor of `newer`, or the predecessor of
 * `older`.
 */
static uint32_t *link_from_newer(const struct store *store, struct lru *lru, enum lru_kind kind,
                                 uint32_t newer) {
  return newer == 0 ? &lru->newest : &node_of(store, kind, newer)->older;
}
static uint32_t *link_from_older(const struct store *store, struct lru *lru, enum lru_kind kind,
                                 uint32_t older) {
  return older == 0 ? &lru->oldest : &node_of(store, kind, older)->newer;
}

static void lru_add(const struct store *store, struct lru *lru, enum lru_kind kind,
                    uint32_t number) {
  struct lru_node *node = node_of(store, kind, number);
  uint32_t *link = link_from_older(store, lru, kind, lru->newest);
  check_eq(node->newer | node->older, 0);
  check_eq(lru->newest == 0, lru->oldest == 0);
  check_eq(*link, 0);
  node->older = lru->newest;
  *link = number;
  lru->newest = number;
}

static void lru_remove(const struct store *store, struct lru *lru, enum lru_kind kind,
                       uint32_t number) {
  struct lru_node *node = node_of(store, kind, number);
  uint32_t *from_newer = link_from_newer(store, lru, kind, node->newer);
  uint32_t *from_older = link_from_older(store, lru, kind, node->older);
  check_eq(*from_newer, number);
  check_eq(*from_older, number);
  *from_newer = node->older;
  *from_older = node->newer;
  *node = (struct lru_node){0};
}

/* A hit costs two calls, so no neighbour is looked up twice. */
static void lru_promote(const struct store *store, struct lru *lru, enum lru_kind kind,
                        struct entry *entry) {
  uint32_t number = entry->number;
  if (lru->newest == number)
    return;
  struct lru_node node = entry->lists[kind];
  struct lru_node *newer = node_of(store, kind, node.newer);
  struct lru_node *newest = node_of(store, kind, lru->newest);
  check_lt(0, node.newer); /* because it is not the newest */
  check_eq(newer->older, number);
  check_eq(newest->newer, 0);
  newer->older = node.older;
  *link_from_older(store, lru, kind, node.older) = node.newer;
  newest->newer = number;
  entry->lists[kind] = (struct lru_node){.older = lru->newest};
  lru->newest = number;
}

/* Updates the list of an entry whose metadata was copied from slot `from` to slot `to`. */
static void lru_entry_moved(const struct store *store, struct lru *lru, enum lru_kind kind,
                            uint32_t from, uint32_t to) {
  const struct lru_node *node = node_of(store, kind, to);
  uint32_t *from_newer = link_from_newer(store, lru, kind, node->newer);
  uint32_t *from_older = link_from_older(store, lru, kind, node->older);
  check_eq(*from_newer, from);
  check_eq(*from_older, from);
  *from_newer = *from_older = to;
}

static struct entry *entry_or_null(const struct store *store, uint32_t number) {
  return number == 0 ? NULL : heap_entry(&store->heap, number);
}

static enum lru_kind kind_of(const struct namespace *ns) {
  return ns == NULL ? LRU_OF_ALL : LRU_OF_NAMESPACE;
}

struct entry *store_oldest(const struct store *store, const struct namespace *ns) {
  return entry_or_null(store, (ns == NULL ? &store->lru : &ns->lru)->oldest);
}

struct entry *store_newest(const struct store *store, const struct namespace *ns) {
  return entry_or_null(store, (ns == NULL ? &store->lru : &ns->lru)->newest);
}

struct entry *store_newer(const struct store *store, const struct namespace *ns,
                          const struct entry *entry) {
  return entry_or_null(store, entry->lists[kind_of(ns)].newer);
}

struct entry *store_older(const struct store *store, const struct namespace *ns,
                          const struct entry *entry) {
  return entry_or_null(store, entry->lists[kind_of(ns)].older);
}

/* ---- active clears ---- */

/* An entry that is used after the start of a clear that selects it was put after the start, because
 * store_find removes older ones. */
bool store_is_selected(const struct store *store, const struct store_clear *clear,
                       const struct entry *entry) {
  const struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  return entry->use_stamp <= clear->last_stamp && (clear->ns == NULL || clear->ns == ns) &&
         !ns->pending_delete && entry_matches(entry, clear->view, clear->op);
}

struct store_clear *store_clear_of(const struct store *store, const struct entry *entry) {
  struct store_clear *clear = store->active_clears;
  while (clear != NULL && !store_is_selected(store, clear, entry))
    clear = clear->next;
  return clear;
}

/* Advances the clears that would examine an entry next which leaves its place in the lists. */
static void advance_clears(const struct store *store, const struct entry *entry) {
  for (struct store_clear *clear = store->active_clears; clear != NULL; clear = clear->next)
    if (clear->at == entry->number)
      clear->at = entry->lists[kind_of(clear->ns)].newer;
}

bool store_is_pending_delete(const struct store *store, const struct entry *entry) {
  return heap_namespace(&store->heap, entry->name_space)->pending_delete ||
         store_clear_of(store, entry) != NULL;
}

/* ---- finding ---- */

/* The value is verified, because the last daemon may have been writing it. */
static struct entry *find_in_sources(const struct store *store, const struct namespace *ns,
                                     uint64_t digest, const struct fc_key *key) {
  const struct heap *heap = &store->heap;
  struct entry *entry = heap_sources_first(heap, digest);
  for (; entry != NULL; entry = heap_sources_next(heap, entry))
    if (entry->digest == digest && entry->name_space == ns->number &&
        entry_is(heap_placed(heap, entry), ns->seed, key) &&
        region_source_verify(&heap->sources[entry->source], entry_place(entry), digest))
      return entry;
  return NULL;
}

struct entry *store_find_in_region(const struct store *store, const struct namespace *ns,
                                   uint64_t digest, const struct fc_key *key) {
  struct fc_region_entry *placed = region_writer_first(store->region, digest);
  while (placed != NULL && !entry_is(placed, ns->seed, key))
    placed = region_writer_next(store->region, placed);
  return placed == NULL ? NULL : heap_entry_at(&store->heap, placed);
}

/* Finds the entry of a key, also if it is pending delete. */
static struct entry *find_any(const struct store *store, const struct namespace *ns,
                              uint64_t digest, const struct fc_key *key) {
  struct entry *entry = store_find_in_region(store, ns, digest, key);
  if (entry != NULL || store->heap.n_sources == 0)
    return entry;
  return find_in_sources(store, ns, digest, key);
}

struct entry *store_find_stamp(const struct store *store, uint64_t digest, uint64_t stamp) {
  for (const struct fc_region_entry *placed = region_writer_first(store->region, digest);
       placed != NULL; placed = region_writer_next(store->region, placed)) {
    struct entry *entry = heap_entry_at(&store->heap, placed);
    if (entry->use_stamp == stamp)
      return entry;
  }
  struct entry *entry = heap_sources_first(&store->heap, digest);
  while (entry != NULL && (entry->use_stamp != stamp || entry->name_space == 0))
    entry = heap_sources_next(&store->heap, entry);
  return entry;
}

struct entry *store_find(struct store *store, const struct namespace *ns, uint64_t digest,
                         const struct fc_key *key) {
  struct entry *entry = find_any(store, ns, digest, key);
  if (entry == NULL)
    return NULL;
  struct store_clear *clear = store_clear_of(store, entry);
  if (clear == NULL)
    return entry;
  clear->removed++;
  store_erase(store, entry);
  return NULL;
}

struct entry *store_peek_digest(const struct store *store, const struct namespace *ns,
                                uint64_t digest, const struct fc_key *key) {
  struct entry *entry = find_any(store, ns, digest, key);
  return entry == NULL || store_is_pending_delete(store, entry) ? NULL : entry;
}

struct entry *store_peek(const struct store *store, const struct namespace *ns,
                         const struct fc_key *key) {
  return store_peek_digest(store, ns, fc_key_digest(ns->seed, key), key);
}

/* An entry's fields, and the first of its names. */
static void prefetch_entry(const struct fc_region_entry *placed) {
  __builtin_prefetch(placed);
  __builtin_prefetch(placed + 1);
}

/* Each round loads one entry of each chain. Later entries of long chains are left to the lookup. */
void store_prefetch_chains(const struct store *store, const uint64_t *digests, size_t n) {
  const struct fc_region_entry *at[STORE_PREFETCH_MAX];
  size_t left = n;
  check_le(n, STORE_PREFETCH_MAX);
  for (size_t i = 0; i < n; i++)
    region_writer_prefetch(store->region, digests[i]);
  for (size_t i = 0; i < n; i++)
    if ((at[i] = region_writer_first(store->region, digests[i])) != NULL)
      prefetch_entry(at[i]);
  for (unsigned round = 0; round < PREFETCH_ROUNDS && left > 0; round++) {
    left = 0;
    for (size_t i = 0; i < n; i++)
      if (at[i] != NULL && (at[i] = region_writer_next(store->region, at[i])) != NULL) {
        prefetch_entry(at[i]);
        left++;
      }
  }
}

void store_prefetch(const struct store *store, uint32_t hint) {
  const struct entry *entry = heap_find_entry(&store->heap, hint);
  if (entry != NULL)
    __builtin_prefetch(entry, 1);
}

/* Compares digests of 64 bits, not keys. Two keys of one digest in the same namespace would share
 * promotions, but no value. */
struct entry *store_peek_hint(const struct store *store, const struct namespace *ns, uint32_t hint,
                              uint64_t digest) {
  const struct slots *entries = &store->heap.entries;
  struct entry *entry = heap_find_entry(&store->heap, hint);
  if (entry == NULL || entry->name_space == 0 || entry->name_space != ns->number ||
      entry->digest != digest || ns->pending_delete ||
      (store->active_clears != NULL && store_clear_of(store, entry) != NULL))
    return NULL;
  /* Slot 0 exists, too. The neighbours are often the same in both lists. */
  struct lru_node all = entry->lists[LRU_OF_ALL], own = entry->lists[LRU_OF_NAMESPACE];
  __builtin_prefetch(slots_at(entries, ENTRY_BITS, all.newer), 1);
  __builtin_prefetch(slots_at(entries, ENTRY_BITS, all.older), 1);
  if (own.newer != all.newer)
    __builtin_prefetch(slots_at(entries, ENTRY_BITS, own.newer), 1);
  if (own.older != all.older)
    __builtin_prefetch(slots_at(entries, ENTRY_BITS, own.older), 1);
  return entry;
}

uint32_t store_chain_length(const struct store *store, uint64_t digest) {
  const struct fc_region_entry *placed = region_writer_first(store->region, digest);
  uint32_t n = 0;
  for (; placed != NULL && n < STORE_CHAIN_MAX; n++)
    placed = region_writer_next(store->region, placed);
  return n;
}

static struct entry *older_of(struct entry *a, struct entry *b) {
  return a == NULL || b->use_stamp < a->use_stamp ? b : a;
}

struct entry *store_chain_victim(const struct store *store, const struct namespace *ns,
                                 uint64_t digest) {
  struct entry *oldest = NULL, *own = NULL;
  const struct fc_region_entry *placed = region_writer_first(store->region, digest);
  for (; placed != NULL; placed = region_writer_next(store->region, placed)) {
    struct entry *entry = heap_entry_at(&store->heap, placed);
    oldest = older_of(oldest, entry);
    if (entry->name_space == ns->number)
      own = older_of(own, entry);
  }
  return own != NULL ? own : oldest;
}

/* ---- use, add, remove ---- */

/* The stamp is saved before an entry has it. */
static uint64_t next_stamp(struct store *store) {
  uint64_t stamp = store->saved->last_stamp + 1;
  catalog_commit_u64(&store->saved->last_stamp, stamp);
  return stamp;
}

void store_promote(struct store *store, struct entry *entry, uint64_t now_ns) {
  check_lt(0, entry->name_space);
  if (store->active_clears != NULL)
    advance_clears(store, entry);
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  lru_promote(store, &store->lru, LRU_OF_ALL, entry);
  lru_promote(store, &ns->lru, LRU_OF_NAMESPACE, entry);
  check_le(entry->use_stamp, store->saved->last_stamp);
  entry_set_stamp(entry, next_stamp(store));
  entry->last_use_ns = now_ns;
}

void store_use(struct store *store, struct entry *entry, uint64_t now_ns) {
  store_promote(store, entry, now_ns);
  entry->hits += entry->hits < UINT32_MAX;
}

void store_count_names(struct store *store, const struct namespace *ns, const struct entry *entry) {
  struct fc_key key = entry_key(entry);
  uint32_t counters[NAME_WAYS];
  name_counters(&store->name_counts, ns->seed, &key, counters);
  for (size_t i = 0; i < NAME_WAYS; i++)
    store->name_counts.counts[counters[i]]++;
}

void store_add(struct store *store, struct namespace *ns, struct entry *entry) {
  uint64_t charge = heap_charge_of(entry);
  check_eq(entry->name_space, 0);
  check_lt(0, ns->number);
  lru_add(store, &store->lru, LRU_OF_ALL, entry->number);
  lru_add(store, &ns->lru, LRU_OF_NAMESPACE, entry->number);
  store->entries++;
  store->bytes += charge;
  ns->entries++;
  ns->bytes += charge;
  check_le(ns->entries, store->entries);
  check_le(ns->bytes, store->bytes);
  store_count_names(store, ns, entry);
  if (entry->use_stamp == 0)
    entry_set_stamp(entry, next_stamp(store));
  entry_set_name_space(entry, ns->number);
}

static void remove_from_counts(struct store *store, struct namespace *ns,
                               const struct entry *entry) {
  uint64_t charge = heap_charge_of(entry);
  check_lt(0, ns->entries);
  check_le(ns->entries, store->entries);
  check_le(charge, ns->bytes);
  check_le(ns->bytes, store->bytes);
  store->entries--;
  store->bytes -= charge;
  ns->entries--;
  ns->bytes -= charge;
  if (heap_is_in_source(&store->heap, entry)) /* not counted by its names yet */
    return;
  struct fc_key key = entry_key(entry);
  uint32_t counters[NAME_WAYS];
  name_counters(&store->name_counts, ns->seed, &key, counters);
  for (size_t i = 0; i < NAME_WAYS; i++) {
    check_lt(0, store->name_counts.counts[counters[i]]);
    store->name_counts.counts[counters[i]]--;
  }
}

/* Moves one entry's metadata to another slot if they are sparse. A kill may leave it in both, with
 * the same stamp. */
static bool compact_entries(struct store *store) {
  struct heap *heap = &store->heap;
  uint32_t from, to;
  if (heap->n_sources > 0 || !slots_next_move(&heap->entries, &from, &to))
    return false;
  struct entry *entry = heap_entry(heap, to), copy = *heap_entry(heap, from);
  check_eq(copy.number, from);
  uint32_t name_space = copy.name_space;
  copy.number = to;
  copy.name_space = 0; /* until the copy is complete */
  *entry = copy;
  entry_set_name_space(entry, name_space);
  struct namespace *ns = heap_namespace(heap, entry->name_space);
  lru_entry_moved(store, &store->lru, LRU_OF_ALL, from, to);
  lru_entry_moved(store, &ns->lru, LRU_OF_NAMESPACE, from, to);
  for (struct store_clear *clear = store->active_clears; clear != NULL; clear = clear->next)
    if (clear->at == from)
      clear->at = to;
  heap_entry_moved(heap, from, to);
  return true;
}

void store_unlist(struct store *store, struct entry *entry) {
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  check_lt(0, entry->name_space);
  advance_clears(store, entry);
  lru_remove(store, &store->lru, LRU_OF_ALL, entry->number);
  lru_remove(store, &ns->lru, LRU_OF_NAMESPACE, entry->number);
  remove_from_counts(store, ns, entry);
  struct entry before = *entry;
  (void)before; /* mutant 1 alone uses it */
  entry_set_name_space(entry, 0);
  store->migration.waiting = false;
  entry_unlist(entry);
  if (FC_CATALOG_MUTANT == 1 && before.holders == 1) {
    before.holders = 0;
    *entry = before;
  }
  if (store_unlisted_bytes(store) > store->unlisted_max)
    store_reclaim(store, STORE_RECLAIM_UNLISTED);
  for (int i = 0; i < ENTRIES_MOVED && !store->keep_slots && compact_entries(store); i++)
    ;
  heap_compact_metadata(&store->heap);
}

void store_remove(struct store *store, struct entry *entry) {
  uint64_t digest = entry->digest;
  if (heap_is_in_source(&store->heap, entry)) { /* its chain is only read, and leads nowhere then */
    store_unlist(store, entry);
    return;
  }
  /* The window comes first: only after it may the bytes be reused. */
  bool opened = FC_REGION_MUTANT != 10 && region_writer_open(store->region, digest);
  region_writer_unlink(store->region, digest, heap_placed(&store->heap, entry));
  if (opened)
    region_writer_close(store->region, digest);
  store_unlist(store, entry);
}

void store_erase(struct store *store, struct entry *entry) {
  if (FC_CATALOG_MUTANT != 1)
    entry_wipe(entry);
  store_remove(store, entry);
}
