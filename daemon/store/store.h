/* store.h - the cache: puts and evictions within three limits, which are each namespace's
 * max_entries and max_bytes, and max_bytes over all namespaces. Lookups are in store_entries.h,
 * clears in store_clear.h and listings in store_list.h.
 *
 * Values are copied to the region, where clients read them. The time is an argument, from a
 * monotonic clock. One thread. */
#ifndef FC_DAEMON_STORE_H
#define FC_DAEMON_STORE_H

#include "daemon/store/store_clear.h"
#include "daemon/store/store_entries.h"
#include "daemon/store/store_migrate.h"

struct store_put_info {
  uint32_t origin; /* low half of the number of the process that puts (entry_origin) */
  uint64_t compute_ns;
  uint64_t now_ns;
  bool keep_first;     /* an existing entry keeps its value and is promoted */
  bool has_generation; /* the generation when the computation began is known: */
  uint64_t generation;
};

/* Makes an empty store. The region was made for `max_bytes`. Region and catalog outlive the store.
 * In a new catalog it saves `seed` and `secret`, which are random. `seed` keys the digests, and
 * each client can derive it from its namespace's id. `secret` keys what no client may predict. In
 * the catalog of an earlier daemon it keeps the saved ones, and store_adopt (adopt.h) must follow.
 * The struct must not move afterwards. Returns 0 or FC_ENOMEM. */
int store_init(struct store *store, struct region *region, struct catalog *catalog,
               uint64_t max_bytes, uint32_t max_value, uint64_t seed, uint64_t secret);

/* Frees private memory. No entry is held. What lies in the catalog remains for the next daemon. */
void store_deinit(struct store *store);

/* Returns an enum fc_put_outcome or an error:
 *   FC_STORED  The value is stored, replaces any old one, and is the most recently used. Victims
 *              were evicted from the least recently used end: of the namespace until its limits
 *              held, then of all until max_bytes held. A full chain lost one entry.
 *   FC_KEPT    keep_first was set and the key had an entry, which was promoted.
 *   FC_STALE   The key was cleared or deleted after info->generation. Nothing changed.
 *   FC_ETOOBIG The value exceeds max_value, or its charge a max_bytes. Nothing changed.
 *   FC_ENOMEM  Nothing is stored. Other entries, and the key's old one, may be gone. */
int store_put(struct store *store, struct namespace *ns, const struct fc_key *key,
              const void *value, uint32_t size, const struct store_put_info *info);

/* Removes the entry of one key, and makes the puts of the key that were computed before stale. When
 * it returns, no get finds the entry and its bytes are zero, except for a value that is being sent.
 * Raises the store's generation. Returns whether there was an entry. */
bool store_delete(struct store *store, struct namespace *ns, const struct fc_key *key);

/* Prepares a put in slices, because a large value may need the room of 100,000 small ones. Returns
 * true if the put can follow, and false if STORE_SLICE entries were evicted and more have to be. */
bool store_put_has_room(struct store *store, struct namespace *ns, const struct fc_key *key,
                        uint32_t size, const struct store_put_info *info);

/* Begins to change max_bytes at run time. While all entries exceed the new limit, the oldest are
 * evicted in slices. Then a new region replaces the current one, which becomes an earlier region:
 * its entries migrate, and its memory is given back. Clients find it retired and request the new
 * one. store_background_step does all of it, and calls store->region_replaced when `region` has
 * the new one. `region_id` names the new region in the catalog: not 0, and no other region has it.
 * Returns 0, or FC_EREFUSED with *error: the region is private, or entries still migrate. */
int store_resize(struct store *store, uint64_t max_bytes, uint64_t region_id,
                 struct error_text *error);
/* Returns what store_resize would return now, and changes nothing. */
int store_can_resize(const struct store *store, struct error_text *error);
static inline bool store_is_resizing(const struct store *store) {
  return store->resize.max_bytes != 0;
}

/* Returns true if a resize is in progress and waits for no held entry. */
bool store_resize_is_ready(const struct store *store);

/* Does a slice of the work that earlier regions and limits left: migrates entries
 * (store_migrate.h), or evicts some if all exceed max_bytes, which may be lower than an earlier
 * daemon's. Returns store_has_background_work. */
bool store_background_step(struct store *store);
static inline bool store_has_background_work(const struct store *store) {
  return store_migrate_is_ready(store) || store_resize_is_ready(store) ||
         (store->bytes + store_unlisted_bytes(store) > store->max_bytes && store->entries > 0);
}

/* Limit a namespace's entries, or their charge, to a positive number, and evict up to STORE_SLICE
 * entries. Return true if that is the limit now. Else the limit is lower than before and holds, and
 * the caller repeats the call. */
bool store_limit_entries(struct store *store, struct namespace *ns, uint64_t max_entries);
bool store_limit_bytes(struct store *store, struct namespace *ns, uint64_t max_bytes);

/* Marks a namespace as pending delete: no lookup finds its entries any more, and its active clears
 * are finished. Calls of store_drop_step then remove the entries, which are not counted as evicted.
 * Until it returns true, they count in `entries` and `bytes`, and the namespace must exist. */
void store_drop_start(struct store *store, struct namespace *ns);

/* Removes up to `max_entries` of them. If `wipe`, it zeroes their bytes, up to STORE_SLICE_BYTES.
 * Returns true if none remains. */
bool store_drop_step(struct store *store, struct namespace *ns, uint64_t max_entries, bool wipe);

#endif
