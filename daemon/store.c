#include "daemon/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store_clear.h"
#include "proto/errors.h"

int store_init(struct store *store, struct region *region, uint64_t max_bytes, uint32_t max_value,
               uint64_t seed) {
  memset(store, 0, sizeof *store);
  store->max_bytes = max_bytes;
  store->max_value = max_value;
  store->seed = seed;
  store->region = region;
  store->generation = 1;
  lru_init(&store->lru);
  clear_log_init(&store->clears, 1);
  store_counts_init(&store->counts, seed);
  return heap_init(&store->heap, region);
}

void store_deinit(struct store *store) {
  assert(store->entries == 0 && store->bytes == 0 && store->active_clears == NULL);
  heap_deinit(&store->heap);
}

/* The entry, doomed or not. */
static struct entry *find_any(const struct store *store, const struct namespace *ns,
                              uint64_t digest, const struct fc_key *key) {
  struct fc_region_entry *placed = region_first(store->region, digest);
  while (placed != NULL && !entry_is(placed, ns->seed, key))
    placed = region_next(store->region, placed);
  return placed == NULL ? NULL : heap_entry_at(&store->heap, placed);
}

/* The entry, if it is not doomed. One that is goes here and now, so that what is
 * used or replaced after a clear began is never the clear's business. */
static struct entry *find(struct store *store, const struct namespace *ns, uint64_t digest,
                          const struct fc_key *key) {
  struct entry *entry = find_any(store, ns, digest, key);
  if (entry == NULL)
    return NULL;
  struct store_clear *clear = store_clear_of(store, entry);
  if (clear == NULL)
    return entry;
  clear->removed++;
  store_remove(store, entry);
  return NULL;
}

static void touch(struct store *store, struct entry *entry, uint64_t now_ns) {
  store_clear_leave(store, entry);
  lru_promote(&store->lru, &entry->in_all);
  lru_promote(&entry->ns->lru, &entry->in_namespace);
  entry->use_stamp = ++store->last_stamp;
  entry->last_use_ns = now_ns;
}

/* ---- in and out ---- */

static void add_charge(struct store *store, struct namespace *ns, const struct entry *entry) {
  uint64_t charge = heap_charge_of(entry);
  store->entries++;
  store->bytes += charge;
  ns->entries++;
  ns->bytes += charge;
  struct fc_key key = entry_key(entry);
  store_counts_add(&store->counts, ns->seed, key.view, key.op);
}

/* A placed entry enters the lists; the caller links it. */
static void enlist(struct store *store, struct namespace *ns, struct entry *entry) {
  entry->ns = ns;
  lru_add(&store->lru, &entry->in_all);
  lru_add(&ns->lru, &entry->in_namespace);
  add_charge(store, ns, entry);
}

/* The entry, which the caller has taken out of its chain, leaves everything else. */
static void delist(struct store *store, struct entry *entry) {
  uint64_t charge = heap_charge_of(entry);
  store_clear_leave(store, entry);
  lru_remove(&entry->in_all);
  lru_remove(&entry->in_namespace);
  store->entries--;
  store->bytes -= charge;
  entry->ns->entries--;
  entry->ns->bytes -= charge;
  struct fc_key key = entry_key(entry);
  store_counts_remove(&store->counts, entry->ns->seed, key.view, key.op);
  entry->ns = NULL;
  entry_release(entry);
}

void store_remove(struct store *store, struct entry *entry) {
  uint64_t digest = entry->digest;
  /* The window comes first: only after it may the bytes be given to others. */
  bool opened = FC_REGION_MUTANT != 10 && region_open(store->region, digest);
  region_unlink(store->region, digest, entry->placed);
  if (opened)
    region_close(store->region, digest);
  delist(store, entry);
}

/* ---- evictions ---- */

/* True where the removal counts as an eviction; what a clear or a drop had
 * already taken out of sight does not. */
static bool evict(struct store *store, struct entry *entry) {
  struct store_clear *clear = store_clear_of(store, entry);
  bool counts = clear == NULL && !entry->ns->condemned;
  if (clear != NULL)
    clear->removed++;
  store_remove(store, entry);
  return counts;
}

/* Hits that readers have served change who is the least recently used. */
static void hear_of_hits(const struct store *store) {
  if (store->before_evict != NULL)
    store->before_evict(store->before_evict_arg);
}

static void evict_for(struct store *store, struct entry *entry, enum evict_cause cause) {
  struct namespace *ns = entry->ns;
  if (!evict(store, entry))
    return;
  ns->evictions[cause]++;
  store->evictions[cause]++;
}

static void evict_oldest(struct store *store, enum evict_cause cause) {
  evict_for(store, entry_of_all(lru_oldest(&store->lru)), cause);
}

static void trim_entries(struct store *store, struct namespace *ns, uint64_t most) {
  while (ns->entries > most)
    evict_for(store, entry_of_namespace(lru_oldest(&ns->lru)), EVICT_ENTRIES);
}

/* At most `slice` of them. */
static void trim_bytes(struct store *store, struct namespace *ns, uint64_t most, uint64_t slice) {
  for (; ns->bytes > most && slice > 0; slice--)
    evict_for(store, entry_of_namespace(lru_oldest(&ns->lru)), EVICT_OWN_BYTES);
}

bool store_limit(struct store *store, struct namespace *ns, uint64_t max_entries) {
  uint64_t least = ns->entries > STORE_SLICE ? ns->entries - STORE_SLICE : 0;
  ns->max_entries = max_entries > least ? max_entries : least;
  if (ns->entries > ns->max_entries) {
    hear_of_hits(store);
    trim_entries(store, ns, ns->max_entries);
  }
  return ns->max_entries == max_entries;
}

bool store_limit_bytes(struct store *store, struct namespace *ns, uint64_t max_bytes) {
  if (ns->bytes > max_bytes) {
    hear_of_hits(store);
    trim_bytes(store, ns, max_bytes, STORE_SLICE);
  }
  ns->max_bytes = ns->bytes > max_bytes ? ns->bytes : max_bytes;
  return ns->max_bytes == max_bytes;
}

/* ---- gets and puts ---- */

void store_use(struct store *store, struct entry *entry, uint64_t now_ns) {
  touch(store, entry, now_ns);
  entry->hits++;
}

struct entry *store_peek_digest(const struct store *store, const struct namespace *ns,
                                uint64_t digest, const struct fc_key *key) {
  struct entry *entry = find_any(store, ns, digest, key);
  return entry == NULL || store_is_doomed(store, entry) ? NULL : entry;
}

struct entry *store_peek(const struct store *store, const struct namespace *ns,
                         const struct fc_key *key) {
  return store_peek_digest(store, ns, fc_key_digest(ns->seed, key), key);
}

void store_prefetch(const struct store *store, uint32_t hint) {
  const struct entry *entry = heap_entry_by(&store->heap, hint);
  if (entry == NULL)
    return;
  __builtin_prefetch(entry, 1); /* it straddles two lines */
  __builtin_prefetch((const char *)(entry + 1) - 1, 1);
}

/* A digest of 64 bits is taken for the key: two keys of one in the same namespace would share their
 * promotions now and then, and no value. */
struct entry *store_peek_hint(const struct store *store, const struct namespace *ns, uint32_t hint,
                              uint64_t digest) {
  struct entry *entry = heap_entry_by(&store->heap, hint);
  if (entry == NULL || entry->ns != ns || entry->digest != digest || store_is_doomed(store, entry))
    return NULL;
  __builtin_prefetch(entry->in_all.newer, 1);
  __builtin_prefetch(entry->in_all.older, 1);
  __builtin_prefetch(entry->in_namespace.newer, 1);
  __builtin_prefetch(entry->in_namespace.older, 1);
  return entry;
}

static bool stale(const struct store *store, const struct namespace *ns, const struct fc_key *key,
                  const struct store_put_info *info) {
  return info->has_generation && (clear_log_stale(&store->clears, info->generation, key) ||
                                  clear_log_stale(&ns->clears, info->generation, key));
}

/* Room in the limits for one more entry of `charge`, where `old` (or NULL) is about to go. That is
 * made the newest first, as the others go for it; and without it the charge alone fits. */
static void make_room(struct store *store, struct namespace *ns, struct entry *old, uint64_t charge,
                      uint64_t now_ns) {
  uint64_t old_charge = old == NULL ? 0 : heap_charge_of(old);
  uint64_t bytes_most = store->max_bytes - charge + old_charge;
  uint64_t own_most = ns->max_bytes == 0 ? UINT64_MAX : ns->max_bytes - charge + old_charge;
  uint64_t entries_most = ns->max_entries == 0 ? UINT64_MAX : ns->max_entries - (old == NULL);
  if (ns->entries <= entries_most && ns->bytes <= own_most && store->bytes <= bytes_most)
    return;
  hear_of_hits(store);
  if (old != NULL)
    touch(store, old, now_ns);
  trim_entries(store, ns, entries_most);
  trim_bytes(store, ns, own_most, UINT64_MAX);
  while (store->bytes > bytes_most)
    evict_oldest(store, EVICT_BYTES);
}

/* Finds a place at any price: others go, the least recently used first. */
static bool place_by_force(struct store *store, struct entry *entry,
                           const struct heap_value *value) {
  while (!heap_place(&store->heap, entry, value, HEAP_GATHER)) {
    if (store->entries == 0)
      return false;
    hear_of_hits(store);
    /* An eighth of what is needed before the next try: each may move megabytes in vain. */
    uint64_t before = store->bytes;
    do
      evict_oldest(store, EVICT_FORCED);
    while (store->entries > 0 && before - store->bytes < value->size / 8);
  }
  return true;
}

/* Makes the value stand under the key, as the only and the newest, in one window: so no reader sees
 * neither the old value nor the new. `old` is the key's entry, or NULL. */
static bool replace(struct store *store, struct namespace *ns, struct entry *old,
                    struct entry *entry, const struct heap_value *value) {
  struct region *region = store->region;
  bool placed = heap_place(&store->heap, entry, value, old == NULL ? HEAP_GATHER : HEAP_AS_IT_IS);
  bool opened = region_open(region, value->digest);
  if (old != NULL) { /* its place may be needed: readers of this key wait for the window's end */
    region_unlink(region, value->digest, old->placed);
    delist(store, old);
  }
  placed = placed || place_by_force(store, entry, value);
  if (placed) {
    region_link(region, value->digest, entry->placed);
    enlist(store, ns, entry);
  }
  if (opened)
    region_close(region, value->digest);
  return placed;
}

/* The entry that was put becomes the newest. Where its value lies in several pieces it is charged a
 * little more than was foreseen, and others go for that, too. */
static void settle(struct store *store, struct entry *entry, uint64_t now_ns) {
  struct namespace *ns = entry->ns;
  uint64_t own_most = ns->max_bytes == 0 ? UINT64_MAX : ns->max_bytes;
  if (store->bytes > store->max_bytes || ns->bytes > own_most)
    hear_of_hits(store);
  touch(store, entry, now_ns);
  while (ns->bytes > own_most && ns->entries > 1)
    trim_bytes(store, ns, own_most, 1);
  while (store->bytes > store->max_bytes && store->entries > 1)
    evict_oldest(store, EVICT_BYTES);
}

/* Stores what is not to be written over what is there. */
static int put_new(struct store *store, struct namespace *ns, struct entry *old,
                   const struct heap_value *value, uint64_t now_ns) {
  struct entry *entry = heap_entry_new(&store->heap);
  if (entry == NULL)
    return FC_ENOMEM;
  make_room(store, ns, old, heap_charge(value->key, value->size), now_ns);
  if (!replace(store, ns, old, entry, value)) {
    entry_release(entry);
    return FC_ENOMEM;
  }
  settle(store, entry, now_ns);
  return FC_STORED;
}

int store_put(struct store *store, struct namespace *ns, const struct fc_key *key,
              const void *value, uint32_t size, const struct store_put_info *info) {
  uint64_t charge = heap_charge(key, size);
  if (size > store->max_value || charge > store->max_bytes ||
      (ns->max_bytes != 0 && charge > ns->max_bytes))
    return FC_ETOOBIG;
  if (stale(store, ns, key, info))
    return FC_STALE;
  uint64_t digest = fc_key_digest(ns->seed, key);
  struct entry *old = find(store, ns, digest, key);
  if (old != NULL && info->keep_first) {
    touch(store, old, info->now_ns);
    return FC_KEPT;
  }
  struct heap_value what = {.key = key,
                            .name_space = ns->seed,
                            .digest = digest,
                            .data = value,
                            .size = size,
                            .compute_ns = info->compute_ns,
                            .origin = info->origin};
  if (old != NULL && heap_rewrite(old, &what)) {
    old->hits = 0;
    touch(store, old, info->now_ns);
    return FC_STORED;
  }
  return put_new(store, ns, old, &what, info->now_ns);
}

void store_drop_start(struct store *store, struct namespace *ns) {
  ns->condemned = true;
  store_clear_forget(store, ns);
}

bool store_drop_step(struct store *store, struct namespace *ns, uint64_t max_entries) {
  for (; max_entries > 0 && ns->entries > 0; max_entries--)
    store_remove(store, entry_of_namespace(lru_oldest(&ns->lru)));
  return ns->entries == 0;
}

bool store_is_doomed(const struct store *store, const struct entry *entry) {
  return entry->ns->condemned || store_clear_of(store, entry) != NULL;
}
