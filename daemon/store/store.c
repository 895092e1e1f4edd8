#include "daemon/store/store.h"

#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

/* Room in the arena for metadata and for holes, without which a put lets entries migrate first. */
#define MIGRATION_RESERVE (256u << 10)

int store_init(struct store *store, struct region *region, struct catalog *catalog,
               uint64_t max_bytes, uint32_t max_value, uint64_t seed, uint64_t secret) {
  int rc = store_entries_init(store, region, catalog, seed, secret);
  catalog_add_boot(catalog, region->header->boot_id);
  store->max_bytes = max_bytes;
  store->max_value = max_value;
  return rc;
}

void store_deinit(struct store *store) {
  store_entries_deinit(store);
}

/* Returns the charge that counts in max_bytes. Held entries that left the store still take room. */
static uint64_t used_bytes(const struct store *store) {
  return store->bytes + store_unlisted_bytes(store);
}

/* ---- evictions ---- */

/* The order lacks the hits that clients recorded in their rings. */
static void drain_rings_before_eviction(const struct store *store) {
  if (store->before_evict != NULL)
    store->before_evict(store->before_evict_arg);
}

/* Removes an entry. It counts as cleared, not as evicted, if it is pending delete. */
static void evict(struct store *store, struct entry *entry, enum evict_cause cause) {
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  struct store_clear *clear = store_clear_of(store, entry);
  if (clear != NULL)
    clear->removed++;
  if (clear != NULL || ns->pending_delete) {
    store_erase(store, entry);
    return;
  }
  if (store->on_evict != NULL)
    store->on_evict(store->on_evict_arg, ns, entry, cause);
  store_remove(store, entry);
  ns->evictions[cause]++;
  store->saved->evictions[cause]++;
}

static void evict_oldest(struct store *store, enum evict_cause cause) {
  evict(store, store_oldest(store, NULL), cause);
}

static void evict_oldest_of(struct store *store, struct namespace *ns, enum evict_cause cause) {
  uint64_t entries = ns->entries;
  evict(store, store_oldest(store, ns), cause);
  check_lt(ns->entries, entries);
}

static void trim_entries(struct store *store, struct namespace *ns, uint64_t max_entries) {
  while (ns->entries > max_entries)
    evict_oldest_of(store, ns, EVICT_ENTRIES);
}

/* Evicts at most `slice` entries. */
static void trim_bytes(struct store *store, struct namespace *ns, uint64_t max_bytes,
                       uint64_t slice) {
  for (; ns->bytes > max_bytes && slice > 0; slice--)
    evict_oldest_of(store, ns, EVICT_OWN_BYTES);
}

/* ---- another limit ---- */

int store_can_resize(const struct store *store, struct error_text *error) {
  if (store->region->index_fd < 0)
    return error_text_set(error, FC_EREFUSED,
                          "without shared memory the limit cannot change: restart fcached with "
                          "another --max-bytes");
  if (store_is_migrating(store) || store_is_resizing(store))
    return error_text_set(error, FC_EREFUSED,
                          "entries still move to the current region: try again in some seconds");
  return 0;
}

int store_resize(struct store *store, uint64_t max_bytes, uint64_t region_id,
                 struct error_text *error) {
  check_lt(0, max_bytes);
  check_lt(0, region_id);
  int rc = store_can_resize(store, error);
  if (rc < 0)
    return rc;
  store->resize.max_bytes = max_bytes;
  store->resize.region_id = region_id;
  store->resize.waiting = false;
  if (max_bytes < store->max_bytes)
    store->max_bytes = max_bytes;
  return 0;
}

static void end_resize(struct store *store, int rc, const struct error_text *error) {
  store->resize.max_bytes = 0;
  if (store->region_replaced != NULL)
    store->region_replaced(store->region_replaced_arg, rc, error);
}

/* The counts by names have no entry of a source. */
static int replace_region(struct store *store, struct error_text *error) {
  uint64_t max_bytes = store->resize.max_bytes;
  struct region next;
  int rc = region_writer_init(&next, max_bytes, store->max_value, store->region->header->boot_id,
                              true, error);
  if (rc == 0 && next.index_fd < 0)
    rc = FC_ENOMEM;
  if (rc == 0)
    rc = heap_replace_region(&store->heap, &next, store->resize.region_id);
  region_writer_deinit(&next);
  if (rc == 0) {
    memset(store->name_counts.counts, 0, sizeof store->name_counts.counts);
    store->max_bytes = max_bytes;
    store_migrate_begin(store);
  }
  return rc;
}

bool store_resize_is_ready(const struct store *store) {
  return store_is_resizing(store) &&
         !(store->resize.waiting && heap_chunk_blocks(&store->heap, store->resize.chunk));
}

/* While an entry is held whose chunk must move, the resize waits for its release. */
static void resize_step(struct store *store) {
  struct error_text error = {0};
  int rc = heap_chunks_to_catalog(&store->heap, &store->resize.chunk);
  store->resize.waiting = rc == FC_EREFUSED;
  if (rc == 0)
    rc = replace_region(store, &error);
  if (!store->resize.waiting)
    end_resize(store, rc, &error);
}

bool store_background_step(struct store *store) {
  if (used_bytes(store) > store->max_bytes && store->entries > 0) {
    drain_rings_before_eviction(store);
    for (unsigned left = STORE_SLICE;
         left > 0 && used_bytes(store) > store->max_bytes && store->entries > 0; left--)
      evict_oldest(store, EVICT_BYTES);
  } else if (store_resize_is_ready(store)) {
    resize_step(store);
  } else {
    (void)store_migrate_step(store);
  }
  return store_has_background_work(store);
}

bool store_limit_entries(struct store *store, struct namespace *ns, uint64_t max_entries) {
  uint64_t least = ns->entries > STORE_SLICE ? ns->entries - STORE_SLICE : 0;
  check_lt(0, max_entries);
  ns->max_entries = max_entries > least ? max_entries : least;
  if (ns->entries > ns->max_entries) {
    drain_rings_before_eviction(store);
    trim_entries(store, ns, ns->max_entries);
  }
  return ns->max_entries == max_entries;
}

bool store_limit_bytes(struct store *store, struct namespace *ns, uint64_t max_bytes) {
  check_lt(0, max_bytes);
  if (ns->bytes > max_bytes) {
    drain_rings_before_eviction(store);
    trim_bytes(store, ns, max_bytes, STORE_SLICE);
  }
  ns->max_bytes = ns->bytes > max_bytes ? ns->bytes : max_bytes;
  return ns->max_bytes == max_bytes;
}

/* ---- room for a put ---- */

/* Makes room in the limits for an entry of `charge`, which fits alone. `old`, which the caller
 * holds, or NULL, is about to be replaced. It is promoted so that it is not evicted first. */
static void make_room(struct store *store, struct namespace *ns, struct entry *old, uint64_t charge,
                      uint64_t now_ns) {
  bool is_sent = old != NULL && old->holders > 2; /* then it keeps its room for now */
  uint64_t old_charge = old == NULL ? 0 : heap_charge_of(old);
  check_le(charge, store->max_bytes);
  uint64_t max_bytes = store->max_bytes - charge + (is_sent ? 0 : old_charge);
  uint64_t own_max = ns->max_bytes == 0 ? UINT64_MAX : ns->max_bytes - charge + old_charge;
  uint64_t max_entries = ns->max_entries == 0 ? UINT64_MAX : ns->max_entries - (old == NULL);
  if (ns->entries <= max_entries && ns->bytes <= own_max && used_bytes(store) <= max_bytes)
    return;
  drain_rings_before_eviction(store);
  if (old != NULL)
    store_promote(store, old, now_ns);
  trim_entries(store, ns, max_entries);
  trim_bytes(store, ns, own_max, UINT64_MAX);
  while (used_bytes(store) > max_bytes && store->entries > (old != NULL))
    evict_oldest(store, EVICT_BYTES);
}

static void make_room_in_chain(struct store *store, const struct namespace *ns, uint64_t digest) {
  if (store_chain_length(store, digest) < STORE_CHAIN_MAX)
    return;
  drain_rings_before_eviction(store);
  evict(store, store_chain_victim(store, ns, digest), EVICT_CHAIN);
  check_lt(store_chain_length(store, digest), STORE_CHAIN_MAX);
}

/* Evicts an eighth of the needed bytes before the next attempt, because each attempt may move
 * megabytes in vain. */
static void evict_forced(struct store *store, const struct heap_value *value) {
  drain_rings_before_eviction(store);
  uint64_t before = store->bytes;
  do
    evict_oldest(store, EVICT_FORCED);
  while (store->entries > 0 && before - store->bytes < value->size / 8);
}

/* Writes the value and evicts until there is a hole. If a 16th of max_bytes did not help, held
 * entries are in the way, because they do not move: then slow readers must release theirs. */
static bool write_forced(struct store *store, struct entry *entry, const struct heap_value *value) {
  uint64_t before = store->bytes;
  bool reclaimed = false;
  while (!heap_write(&store->heap, entry, value, HEAP_COMPACT)) {
    if (store_migrate_for_room(store))
      continue;
    if (store->entries == 0) {
      store_reclaim(store, STORE_RECLAIM_ALL);
      return heap_write(&store->heap, entry, value, HEAP_COMPACT);
    }
    if (!reclaimed && before - store->bytes > store->max_bytes / 16) {
      reclaimed = true;
      store_reclaim(store, STORE_RECLAIM_SLOW);
    } else {
      evict_forced(store, value);
    }
  }
  return true;
}

/* ---- puts ---- */

/* Writes the value and replaces `old` by it in one window, so no reader misses both values. `old`
 * is the key's entry, which the caller holds, or NULL. */
static bool replace(struct store *store, struct namespace *ns, struct entry *old,
                    struct entry *entry, const struct heap_value *value) {
  struct region *region = store->region;
  bool written =
      heap_write(&store->heap, entry, value, old == NULL ? HEAP_COMPACT : HEAP_EXISTING_HOLES);
  bool opened = region_writer_open(region, value->digest);
  if (old != NULL) { /* its room may be needed, so it goes before write_forced */
    if (!heap_is_in_source(&store->heap, old))
      region_writer_unlink(region, value->digest, heap_placed(&store->heap, old));
    entry_release(old);
    store_unlist(store, old);
  }
  written = written || write_forced(store, entry, value);
  if (written) {
    region_writer_link(region, value->digest, heap_placed(&store->heap, entry));
    store_add(store, ns, entry);
  }
  if (opened)
    region_writer_close(region, value->digest);
  return written;
}

/* Promotes the entry of a put. A value in several pieces has a higher charge than make_room
 * expected, so more entries may have to go. */
static void settle(struct store *store, struct namespace *ns, struct entry *entry,
                   uint64_t now_ns) {
  uint64_t own_max = ns->max_bytes == 0 ? UINT64_MAX : ns->max_bytes;
  if (used_bytes(store) > store->max_bytes || ns->bytes > own_max)
    drain_rings_before_eviction(store);
  if (entry->use_stamp == store->saved->last_stamp)
    entry->last_use_ns = now_ns; /* store_add has made it the newest */
  else
    store_promote(store, entry, now_ns);
  while (ns->bytes > own_max && ns->entries > 1)
    trim_bytes(store, ns, own_max, 1);
  while (used_bytes(store) > store->max_bytes && store->entries > 1)
    evict_oldest(store, EVICT_BYTES);
  check_eq(store_newest(store, NULL)->number, entry->number);
  check_eq(store_newest(store, ns)->number, entry->number);
}

/* Allocates an entry, and evicts others if there is no room for its metadata. `old` stays. */
static struct entry *new_entry(struct store *store, struct entry *old, uint64_t now_ns) {
  struct entry *entry;
  while ((entry = heap_entry_new(&store->heap)) == NULL && store->entries > (old != NULL)) {
    if (store_migrate_for_room(store))
      continue;
    drain_rings_before_eviction(store);
    if (old != NULL)
      store_promote(store, old, now_ns); /* as the newest it is not evicted */
    evict_oldest(store, EVICT_FORCED);
  }
  return entry;
}

/* Makes room for the value and allocates its entry, which is held. Returns NULL if there is none.
 * `old` stays. */
static struct entry *prepare(struct store *store, struct namespace *ns, struct entry *old,
                             const struct heap_value *value, uint64_t now_ns) {
  if (ns->number == 0)
    ns->number = heap_add_namespace(&store->heap, ns);
  if (ns->number == 0)
    return NULL;
  make_room(store, ns, old, heap_charge(value->key, value->size), now_ns);
  if (old == NULL)
    make_room_in_chain(store, ns, value->digest);
  return new_entry(store, old, now_ns);
}

/* Stores a value that cannot overwrite the existing one. */
static int put_new(struct store *store, struct namespace *ns, struct entry *old,
                   const struct heap_value *value, uint64_t now_ns) {
  if (old != NULL)
    entry_hold(old); /* an eviction moves entries that are not held */
  struct entry *entry = prepare(store, ns, old, value, now_ns);
  if (entry == NULL) {
    if (old != NULL)
      entry_release(old);
    return FC_ENOMEM;
  }
  bool stored = replace(store, ns, old, entry, value);
  if (stored)
    settle(store, ns, entry, now_ns);
  else
    heap_entry_release(&store->heap, entry); /* the store's reference */
  entry_release(entry);
  return stored ? FC_STORED : FC_ENOMEM;
}

static bool is_too_big(const struct store *store, const struct namespace *ns, uint32_t size,
                       uint64_t charge) {
  return size > store->max_value || charge > store->max_bytes ||
         (ns->max_bytes != 0 && charge > ns->max_bytes);
}

/* Returns the digest of a key for the log of deletes. */
static uint64_t delete_digest(const struct store *store, const struct namespace *ns,
                              const struct fc_key *key) {
  return fc_key_digest(ns->seed ^ store->saved->secret, key);
}

static bool is_stale(const struct store *store, const struct namespace *ns,
                     const struct fc_key *key, const struct store_put_info *info) {
  if (!info->has_generation || info->generation >= store->saved->generation)
    return false;
  return clear_log_stale(&store->saved->clears, info->generation, key) ||
         clear_log_stale(&ns->clears, info->generation, key) ||
         (info->generation < store->deletes.newest &&
          delete_log_stale(&store->deletes, info->generation, delete_digest(store, ns, key)));
}

/* After a kill, the memory of an earlier daemon may have two entries of a key. */
bool store_delete(struct store *store, struct namespace *ns, const struct fc_key *key) {
  uint64_t digest = fc_key_digest(ns->seed, key);
  struct entry *entry;
  bool existed = false;
  assert(!ns->pending_delete);
  store->saved->generation++;
  delete_log_add(&store->deletes, store->saved->generation, delete_digest(store, ns, key));
  while ((entry = store_find(store, ns, digest, key)) != NULL) {
    store_erase(store, entry);
    existed = true;
  }
  return existed;
}

int store_put(struct store *store, struct namespace *ns, const struct fc_key *key,
              const void *value, uint32_t size, const struct store_put_info *info) {
  uint64_t charge = heap_charge(key, size);
  assert(!ns->pending_delete);
  if (is_too_big(store, ns, size, charge))
    return FC_ETOOBIG;
  if (is_stale(store, ns, key, info))
    return FC_STALE;
  uint64_t digest = fc_key_digest(ns->seed, key);
  struct entry *old = store_find(store, ns, digest, key);
  if (old != NULL && info->keep_first) {
    store_promote(store, old, info->now_ns);
    return FC_KEPT;
  }
  struct heap_value new_value = {.key = key,
                                 .name_space = ns->seed,
                                 .digest = digest,
                                 .data = value,
                                 .size = size,
                                 .compute_ns = info->compute_ns,
                                 .origin = info->origin};
  if (old != NULL && heap_overwrite(old, &new_value)) {
    old->hits = 0;
    store_promote(store, old, info->now_ns);
    return FC_STORED;
  }
  return put_new(store, ns, old, &new_value, info->now_ns);
}

/* ---- puts in slices ---- */

/* Returns true if `bytes` more exceed the namespace's limit, and it has an entry to evict. */
static bool exceeds_own(const struct namespace *ns, uint64_t bytes) {
  return ns->max_bytes != 0 && ns->bytes > ns->max_bytes - bytes && ns->entries > 0;
}
/* Returns true if `bytes` more exceed a limit, and there is an entry to evict. */
static bool exceeds(const struct store *store, const struct namespace *ns, uint64_t bytes) {
  return exceeds_own(ns, bytes) ||
         (used_bytes(store) > store->max_bytes - bytes && store->entries > 0);
}

static void evict_slice(struct store *store, struct namespace *ns, uint64_t bytes) {
  drain_rings_before_eviction(store);
  for (unsigned left = STORE_SLICE; left > 0 && exceeds(store, ns, bytes); left--) {
    if (exceeds_own(ns, bytes))
      trim_bytes(store, ns, ns->max_bytes - bytes, 1);
    else
      evict_oldest(store, EVICT_BYTES);
  }
}

/* While entries migrate, earlier regions have most of the memory. Returns false after a slice that
 * may give some of it up. */
static bool migration_has_room(struct store *store, uint64_t charge) {
  const struct arena *arena = &store->heap.arena;
  if (arena_free_bytes(arena) >= charge + MIGRATION_RESERVE || !store_migrate_is_ready(store))
    return true;
  (void)store_migrate_step(store);
  return false;
}

bool store_put_has_room(struct store *store, struct namespace *ns, const struct fc_key *key,
                        uint32_t size, const struct store_put_info *info) {
  uint64_t charge = heap_charge(key, size);
  if (store->heap.n_sources > 0 && !migration_has_room(store, charge))
    return false;
  if (charge <= STORE_SLICE * heap_charge(key, 0) || is_too_big(store, ns, size, charge) ||
      is_stale(store, ns, key, info))
    return true;
  struct entry *old = store_peek(store, ns, key);
  uint64_t old_charge = old == NULL ? 0 : heap_charge_of(old);
  if ((old != NULL && info->keep_first) || old_charge >= charge ||
      !exceeds(store, ns, charge - old_charge))
    return true;
  if (old != NULL)
    store_promote(store, old, info->now_ns); /* as in make_room */
  evict_slice(store, ns, charge - old_charge);
  return !exceeds(store, ns, charge - old_charge);
}

/* ---- dropped namespaces ---- */

void store_drop_start(struct store *store, struct namespace *ns) {
  ns->pending_delete = true;
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
  check_eq(ns->bytes, 0);
  if (ns->number != 0)
    heap_remove_namespace(&store->heap, ns->number);
  catalog_commit_u32(&ns->number, 0);
  return true;
}
