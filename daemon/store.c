#include "daemon/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store_clear.h"
#include "proto/errors.h"

/* A bucket for every 256 bytes of max_bytes: about one for each of the smallest
 * entries that are usual (some 130 bytes of bookkeeping, names, and a number or
 * a few as the value), so chains stay short at every size. */
#define BYTES_PER_BUCKET 256u
#define BUCKETS_MIN 1024u

static uint64_t n_buckets(uint64_t max_bytes) {
  uint64_t n = BUCKETS_MIN;
  while (n < max_bytes / BYTES_PER_BUCKET)
    n *= 2;
  return n;
}

uint64_t store_table_bytes(uint64_t max_bytes) {
  return n_buckets(max_bytes) * sizeof(struct entry *);
}

int store_init(struct store *store, uint64_t max_bytes, uint32_t max_value, uint64_t seed) {
  memset(store, 0, sizeof *store);
  store->max_bytes = max_bytes;
  store->max_value = max_value;
  store->seed = seed;
  store->generation = 1;
  lru_init(&store->lru);
  clear_log_init(&store->clears, 1);
  uint64_t n = n_buckets(max_bytes);
  store->mask = n - 1;
  store->buckets = calloc(n, sizeof(struct entry *));
  return store->buckets == NULL ? FC_ENOMEM : 0;
}

void store_deinit(struct store *store) {
  if (store->buckets == NULL)
    return;
  assert(store->entries == 0 && store->bytes == 0 && store->active_clears == NULL);
  free(store->buckets);
  store->buckets = NULL;
}

static struct entry **bucket_of(const struct store *store, uint64_t digest) {
  return &store->buckets[digest & store->mask];
}

/* The entry, doomed or not. */
static struct entry *find_any(const struct store *store, const struct namespace *ns,
                              uint64_t digest, const struct fc_key *key) {
  struct entry *entry = *bucket_of(store, digest);
  while (entry != NULL &&
         !(entry->digest == digest && entry->ns == ns && entry_has_key(entry, key)))
    entry = entry->chain;
  return entry;
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

static void insert(struct store *store, struct namespace *ns, uint64_t digest,
                   struct entry *entry) {
  struct entry **bucket = bucket_of(store, digest);
  entry->chain = *bucket;
  *bucket = entry;
  entry->ns = ns;
  entry->digest = digest;
  lru_add(&store->lru, &entry->in_all);
  lru_add(&ns->lru, &entry->in_namespace);
  uint64_t charge = entry_charge_of(entry);
  store->entries++;
  store->bytes += charge;
  ns->entries++;
  ns->bytes += charge;
}

void store_remove(struct store *store, struct entry *entry) {
  store_clear_leave(store, entry);
  struct entry **link = bucket_of(store, entry->digest);
  while (*link != entry)
    link = &(*link)->chain;
  *link = entry->chain;
  lru_remove(&entry->in_all);
  lru_remove(&entry->in_namespace);
  uint64_t charge = entry_charge_of(entry);
  store->entries--;
  store->bytes -= charge;
  entry->ns->entries--;
  entry->ns->bytes -= charge;
  entry_release(entry);
}

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

static void trim_entries(struct store *store, struct namespace *ns) {
  while (ns->max_entries != 0 && ns->entries > ns->max_entries)
    if (evict(store, entry_of_namespace(lru_oldest(&ns->lru)))) {
      ns->evictions.by_entries++;
      store->evictions.by_entries++;
    }
}

bool store_limit(struct store *store, struct namespace *ns, uint64_t max_entries) {
  uint64_t least = ns->entries > STORE_SLICE ? ns->entries - STORE_SLICE : 0;
  ns->max_entries = max_entries > least ? max_entries : least;
  trim_entries(store, ns);
  return ns->max_entries == max_entries;
}

static void trim_bytes(struct store *store) {
  while (store->bytes > store->max_bytes) {
    struct entry *oldest = entry_of_all(lru_oldest(&store->lru));
    struct namespace *ns = oldest->ns;
    if (evict(store, oldest)) {
      ns->evictions.by_bytes++;
      store->evictions.by_bytes++;
    }
  }
}

void store_use(struct store *store, struct entry *entry, uint64_t now_ns) {
  touch(store, entry, now_ns);
  entry->hits++;
}

struct entry *store_peek(const struct store *store, const struct namespace *ns,
                         const struct fc_key *key) {
  struct entry *entry = find_any(store, ns, fc_key_digest(ns->seed, key), key);
  return entry == NULL || store_is_doomed(store, entry) ? NULL : entry;
}

static bool stale(const struct store *store, const struct namespace *ns, const struct fc_key *key,
                  const struct store_put_info *info) {
  return info->has_generation && (clear_log_stale(&store->clears, info->generation, key) ||
                                  clear_log_stale(&ns->clears, info->generation, key));
}

/* Makes the value stand under the key, as the only and the newest; `old` is the
 * key's entry, or NULL. */
static struct entry *replace(struct store *store, struct namespace *ns, uint64_t digest,
                             struct entry *old, const struct fc_key *key, const void *value,
                             uint32_t size) {
  /* In place spares a large value its fresh pages; not while somebody sends it. */
  if (old != NULL && old->value_size == size && old->holders == 1) {
    entry_set_value(old, value);
    return old;
  }
  struct entry *entry = entry_new(key, value, size);
  if (entry == NULL)
    return NULL;
  if (old != NULL)
    store_remove(store, old);
  insert(store, ns, digest, entry);
  return entry;
}

int store_put(struct store *store, struct namespace *ns, const struct fc_key *key,
              const void *value, uint32_t size, const struct store_put_info *info) {
  if (size > store->max_value || entry_charge(key, size) > store->max_bytes)
    return FC_ETOOBIG;
  if (stale(store, ns, key, info))
    return FC_STALE;
  uint64_t digest = fc_key_digest(ns->seed, key);
  struct entry *old = find(store, ns, digest, key);
  if (old != NULL && info->keep_first) {
    touch(store, old, info->now_ns);
    return FC_KEPT;
  }
  struct entry *entry = replace(store, ns, digest, old, key, value, size);
  if (entry == NULL)
    return FC_ENOMEM;
  touch(store, entry, info->now_ns);
  entry->client_id = info->client_id;
  entry->compute_ns = info->compute_ns;
  entry->hits = 0;
  /* The new entry is the newest and fits alone, so neither loop can come to it. */
  trim_entries(store, ns);
  trim_bytes(store);
  return FC_STORED;
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
