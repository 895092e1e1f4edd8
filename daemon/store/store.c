#include "daemon/store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/store_chain.h"
#include "daemon/store/store_clear.h"
#include "daemon/store/store_compact.h"
#include "proto/errors.h"

int store_init(struct store *store, struct region *region, uint64_t max_bytes, uint32_t max_value,
               uint64_t seed, uint64_t secret) {
  memset(store, 0, sizeof *store);
  store->max_bytes = max_bytes;
  store->max_value = max_value;
  store->seed = seed;
  store->region = region;
  store->generation = 1;
  lru_init(&store->lru);
  clear_log_init(&store->clears, 1);
  store_counts_init(&store->counts, secret);
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
  store_erase(store, entry);
  return NULL;
}

static void touch(struct store *store, struct entry *entry, uint64_t now_ns) {
  if (store->active_clears != NULL)
    store_clear_leave(store, entry);
  const struct slots *entries = &store->heap.entries;
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  lru_promote(&store->lru, LRU_OF_ALL, entries, entry);
  lru_promote(&ns->lru, LRU_OF_NAMESPACE, entries, entry);
  entry->use_stamp = ++store->last_stamp;
  entry->last_use_ns = now_ns;
}

/* ---- the order ---- */

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
  entry->name_space = ns->number;
  lru_add(&store->lru, LRU_OF_ALL, &store->heap.entries, entry->number);
  lru_add(&ns->lru, LRU_OF_NAMESPACE, &store->heap.entries, entry->number);
  add_charge(store, ns, entry);
}

static void reclaim(const struct store *store, enum store_reclaim what) {
  if (store->reclaim != NULL)
    store->reclaim(store->reclaim_arg, what);
}

/* The entry, which the caller has taken out of its chain, leaves everything else. */
static void delist(struct store *store, struct entry *entry) {
  uint64_t charge = heap_charge_of(entry);
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  store_clear_leave(store, entry);
  lru_remove(&store->lru, LRU_OF_ALL, &store->heap.entries, entry->number);
  lru_remove(&ns->lru, LRU_OF_NAMESPACE, &store->heap.entries, entry->number);
  store->entries--;
  store->bytes -= charge;
  ns->entries--;
  ns->bytes -= charge;
  struct fc_key key = entry_key(entry);
  store_counts_remove(&store->counts, ns->seed, key.view, key.op);
  entry->name_space = 0;
  entry_unlist(entry);
  if (store_unlisted_bytes(store) > store->unlisted_max)
    reclaim(store, STORE_RECLAIM_UNLISTED);
  store_tidy(store);
}

void store_remove(struct store *store, struct entry *entry) {
  uint64_t digest = entry->digest;
  /* The window comes first: only after it may the bytes be given to others. */
  bool opened = FC_REGION_MUTANT != 10 && region_open(store->region, digest);
  region_unlink(store->region, digest, heap_placed(&store->heap, entry));
  if (opened)
    region_close(store->region, digest);
  delist(store, entry);
}

void store_erase(struct store *store, struct entry *entry) {
  entry_wipe(entry);
  store_remove(store, entry);
}

/* ---- evictions ---- */

/* True where the removal counts as an eviction; what a clear or a drop had
 * already taken out of sight does not. */
static bool evict(struct store *store, struct entry *entry) {
  struct store_clear *clear = store_clear_of(store, entry);
  bool counts = clear == NULL && !heap_namespace(&store->heap, entry->name_space)->condemned;
  if (clear != NULL)
    clear->removed++;
  if (counts)
    store_remove(store, entry);
  else
    store_erase(store, entry);
  return counts;
}

/* Hits that readers have served change who is the least recently used. */
static void hear_of_hits(const struct store *store) {
  if (store->before_evict != NULL)
    store->before_evict(store->before_evict_arg);
}

static void evict_for(struct store *store, struct entry *entry, enum evict_cause cause) {
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  if (!evict(store, entry))
    return;
  ns->evictions[cause]++;
  store->evictions[cause]++;
}

static void evict_oldest(struct store *store, enum evict_cause cause) {
  evict_for(store, store_oldest(store, NULL), cause);
}

static void trim_entries(struct store *store, struct namespace *ns, uint64_t most) {
  while (ns->entries > most)
    evict_for(store, store_oldest(store, ns), EVICT_ENTRIES);
}

/* At most `slice` of them. */
static void trim_bytes(struct store *store, struct namespace *ns, uint64_t most, uint64_t slice) {
  for (; ns->bytes > most && slice > 0; slice--)
    evict_for(store, store_oldest(store, ns), EVICT_OWN_BYTES);
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
  if (entry != NULL)
    __builtin_prefetch(entry, 1);
}

/* A digest of 64 bits is taken for the key: two keys of one in the same namespace would share their
 * promotions now and then, and no value. */
struct entry *store_peek_hint(const struct store *store, const struct namespace *ns, uint32_t hint,
                              uint64_t digest) {
  const struct slots *entries = &store->heap.entries;
  struct entry *entry = heap_entry_by(&store->heap, hint);
  if (entry == NULL || entry->name_space == 0 || entry->name_space != ns->number ||
      entry->digest != digest || ns->condemned ||
      (store->active_clears != NULL && store_clear_of(store, entry) != NULL))
    return NULL;
  /* 0 is none, and has a place as well. The neighbours are often the same in both lists. */
  struct lru_node all = entry->lists[LRU_OF_ALL], own = entry->lists[LRU_OF_NAMESPACE];
  __builtin_prefetch(slots_at(entries, ENTRY_BITS, all.newer), 1);
  __builtin_prefetch(slots_at(entries, ENTRY_BITS, all.older), 1);
  if (own.newer != all.newer)
    __builtin_prefetch(slots_at(entries, ENTRY_BITS, own.newer), 1);
  if (own.older != all.older)
    __builtin_prefetch(slots_at(entries, ENTRY_BITS, own.older), 1);
  return entry;
}

static bool stale(const struct store *store, const struct namespace *ns, const struct fc_key *key,
                  const struct store_put_info *info) {
  return info->has_generation && (clear_log_stale(&store->clears, info->generation, key) ||
                                  clear_log_stale(&ns->clears, info->generation, key));
}

/* What left the store while it was held has its place still. */
static uint64_t taken_bytes(const struct store *store) {
  return store->bytes + store_unlisted_bytes(store);
}

/* Room in the limits for one more entry of `charge`, where `old` (held by the caller, or NULL) is
 * about to go. That is made the newest first, as the others go for it; and without it the charge
 * alone fits. */
static void make_room(struct store *store, struct namespace *ns, struct entry *old, uint64_t charge,
                      uint64_t now_ns) {
  bool sent = old != NULL && old->holders > 2; /* then it keeps its place for now */
  uint64_t old_charge = old == NULL ? 0 : heap_charge_of(old);
  uint64_t bytes_most = store->max_bytes - charge + (sent ? 0 : old_charge);
  uint64_t own_most = ns->max_bytes == 0 ? UINT64_MAX : ns->max_bytes - charge + old_charge;
  uint64_t entries_most = ns->max_entries == 0 ? UINT64_MAX : ns->max_entries - (old == NULL);
  if (ns->entries <= entries_most && ns->bytes <= own_most && taken_bytes(store) <= bytes_most)
    return;
  hear_of_hits(store);
  if (old != NULL)
    touch(store, old, now_ns);
  trim_entries(store, ns, entries_most);
  trim_bytes(store, ns, own_most, UINT64_MAX);
  while (taken_bytes(store) > bytes_most && store->entries > (old != NULL))
    evict_oldest(store, EVICT_BYTES);
}

/* Room in the digest's bucket for one more entry. */
static void make_room_in_chain(struct store *store, const struct namespace *ns, uint64_t digest) {
  if (store_chain_has_room(store, digest))
    return;
  hear_of_hits(store);
  evict_for(store, store_chain_victim(store, ns, digest), EVICT_CHAIN);
}

/* Evicts an eighth of what is needed before the next try: each may move megabytes in vain. */
static void evict_by_force(struct store *store, const struct heap_value *value) {
  hear_of_hits(store);
  uint64_t before = store->bytes;
  do
    evict_oldest(store, EVICT_FORCED);
  while (store->entries > 0 && before - store->bytes < value->size / 8);
}

/* Finds a place at any price: others go, the least recently used first. Where a 16th of all did not
 * help, it is the entries that replies hold, as these cannot be moved: slow readers go. */
static bool place_by_force(struct store *store, struct entry *entry,
                           const struct heap_value *value) {
  uint64_t before = store->bytes;
  bool reclaimed = false;
  while (!heap_place(&store->heap, entry, value, HEAP_GATHER)) {
    if (store->entries == 0) {
      reclaim(store, STORE_RECLAIM_ALL);
      return heap_place(&store->heap, entry, value, HEAP_GATHER);
    }
    if (!reclaimed && before - store->bytes > store->max_bytes / 16) {
      reclaimed = true;
      reclaim(store, STORE_RECLAIM_SLOW);
    } else {
      evict_by_force(store, value);
    }
  }
  return true;
}

/* Makes the value stand under the key, as the only and the newest, in one window: so no reader sees
 * neither the old value nor the new. `old` is the key's entry, held, or NULL. */
static bool replace(struct store *store, struct namespace *ns, struct entry *old,
                    struct entry *entry, const struct heap_value *value) {
  struct region *region = store->region;
  bool placed = heap_place(&store->heap, entry, value, old == NULL ? HEAP_GATHER : HEAP_AS_IT_IS);
  bool opened = region_open(region, value->digest);
  if (old != NULL) { /* its place may be needed: readers of this key wait for the window's end */
    region_unlink(region, value->digest, heap_placed(&store->heap, old));
    entry_release(old);
    delist(store, old);
  }
  placed = placed || place_by_force(store, entry, value);
  if (placed) {
    region_link(region, value->digest, heap_placed(&store->heap, entry));
    enlist(store, ns, entry);
  }
  if (opened)
    region_close(region, value->digest);
  return placed;
}

/* The entry that was put becomes the newest. Where its value lies in several pieces it is charged a
 * little more than was foreseen, and others go for that, too. */
static void settle(struct store *store, struct entry *entry, uint64_t now_ns) {
  struct namespace *ns = entry_namespace(entry);
  uint64_t own_most = ns->max_bytes == 0 ? UINT64_MAX : ns->max_bytes;
  if (taken_bytes(store) > store->max_bytes || ns->bytes > own_most)
    hear_of_hits(store);
  touch(store, entry, now_ns);
  while (ns->bytes > own_most && ns->entries > 1)
    trim_bytes(store, ns, own_most, 1);
  while (taken_bytes(store) > store->max_bytes && store->entries > 1)
    evict_oldest(store, EVICT_BYTES);
}

/* A fresh entry, for which others go where there is no room for its books. `old` stays. */
static struct entry *new_entry(struct store *store, struct entry *old, uint64_t now_ns) {
  struct entry *entry;
  while ((entry = heap_entry_new(&store->heap)) == NULL && store->entries > (old != NULL)) {
    hear_of_hits(store);
    if (old != NULL)
      touch(store, old, now_ns); /* the newest: it is not the one that goes */
    evict_oldest(store, EVICT_FORCED);
  }
  return entry;
}

/* Makes room for the value and its entry, which is held. NULL: there is none. `old` stays where it
 * is. */
static struct entry *prepare(struct store *store, struct namespace *ns, struct entry *old,
                             const struct heap_value *value, uint64_t now_ns) {
  if (!heap_number_namespace(&store->heap, ns))
    return NULL;
  make_room(store, ns, old, heap_charge(value->key, value->size), now_ns);
  if (old == NULL)
    make_room_in_chain(store, ns, value->digest);
  return new_entry(store, old, now_ns);
}

/* Stores what is not to be written over what is there. */
static int put_new(struct store *store, struct namespace *ns, struct entry *old,
                   const struct heap_value *value, uint64_t now_ns) {
  if (old != NULL)
    entry_hold(old); /* others that go let entries change their places */
  struct entry *entry = prepare(store, ns, old, value, now_ns);
  if (entry == NULL) {
    if (old != NULL)
      entry_release(old);
    return FC_ENOMEM;
  }
  bool stored = replace(store, ns, old, entry, value);
  if (stored)
    settle(store, entry, now_ns);
  else
    heap_entry_drop(&store->heap, entry);
  entry_release(entry);
  return stored ? FC_STORED : FC_ENOMEM;
}

/* A value that fits in no cache, or in no limit of the namespace. */
static bool is_too_big(const struct store *store, const struct namespace *ns, uint32_t size,
                       uint64_t charge) {
  return size > store->max_value || charge > store->max_bytes ||
         (ns->max_bytes != 0 && charge > ns->max_bytes);
}

/* Has one entry of the namespace to go for a put of `bytes` more than there are; or any entry? */
static bool is_over_own(const struct namespace *ns, uint64_t bytes) {
  return ns->max_bytes != 0 && ns->bytes > ns->max_bytes - bytes && ns->entries > 0;
}
static bool is_over(const struct store *store, const struct namespace *ns, uint64_t bytes) {
  return is_over_own(ns, bytes) ||
         (taken_bytes(store) > store->max_bytes - bytes && store->entries > 0);
}

static void evict_slice(struct store *store, struct namespace *ns, uint64_t bytes) {
  hear_of_hits(store);
  for (unsigned left = STORE_SLICE; left > 0 && is_over(store, ns, bytes); left--) {
    if (is_over_own(ns, bytes))
      trim_bytes(store, ns, ns->max_bytes - bytes, 1);
    else
      evict_oldest(store, EVICT_BYTES);
  }
}

bool store_put_has_room(struct store *store, struct namespace *ns, const struct fc_key *key,
                        uint32_t size, const struct store_put_info *info) {
  uint64_t charge = heap_charge(key, size);
  if (charge <= STORE_SLICE * heap_charge(key, 0) || is_too_big(store, ns, size, charge) ||
      stale(store, ns, key, info))
    return true;
  struct entry *old = store_peek(store, ns, key);
  uint64_t old_charge = old == NULL ? 0 : heap_charge_of(old);
  if ((old != NULL && info->keep_first) || old_charge >= charge ||
      !is_over(store, ns, charge - old_charge))
    return true;
  if (old != NULL)
    touch(store, old, info->now_ns); /* as in make_room */
  evict_slice(store, ns, charge - old_charge);
  return !is_over(store, ns, charge - old_charge);
}

int store_put(struct store *store, struct namespace *ns, const struct fc_key *key,
              const void *value, uint32_t size, const struct store_put_info *info) {
  uint64_t charge = heap_charge(key, size);
  if (is_too_big(store, ns, size, charge))
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

bool store_drop_step(struct store *store, struct namespace *ns, uint64_t max_entries, bool wipe) {
  uint64_t erased_bytes = 0;
  for (; max_entries > 0 && erased_bytes < STORE_SLICE_BYTES && ns->entries > 0; max_entries--) {
    struct entry *entry = store_oldest(store, ns);
    erased_bytes += wipe ? heap_charge_of(entry) : 0;
    if (wipe)
      store_erase(store, entry);
    else
      store_remove(store, entry);
  }
  if (ns->entries > 0)
    return false;
  heap_forget_namespace(&store->heap, ns);
  return true;
}

bool store_is_doomed(const struct store *store, const struct entry *entry) {
  return heap_namespace(&store->heap, entry->name_space)->condemned ||
         store_clear_of(store, entry) != NULL;
}
