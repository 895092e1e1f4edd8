/* store_restore.h - inserts entries that an earlier daemon stored, and sorts the LRU order by their
 * stamps afterwards.
 *
 * Between the first store_restore and store_sort_lru the LRU order is wrong, and lookups are right.
 * So both run before the daemon serves, with no clear active and no entry held. One thread. */
#ifndef FC_DAEMON_STORE_RESTORE_H
#define FC_DAEMON_STORE_RESTORE_H

#include "daemon/store/store.h"

struct store_restore_info {
  uint64_t digest; /* fc_key_digest(ns->seed, key) */
  uint64_t compute_ns;
  uint64_t stamp;       /* use_stamp of the entry, not 0; unique among the restored entries */
  uint64_t last_use_ns; /* by the clock of this daemon */
  uint64_t hits;
  uint32_t origin; /* as in struct store_put_info */
};

/* Inserts an entry with its stamp, evicts nothing, and raises the store's last_stamp to it. Does
 * not check the namespace's limits, which the caller enforces after store_sort_lru. Returns an enum
 * fc_put_outcome or an error:
 *   FC_STORED  The entry is stored. It replaced an entry of its key that had an older stamp.
 *   FC_KEPT    The key has an entry with the same or a newer stamp. Nothing changed.
 *   FC_ETOOBIG The value exceeds max_value, or the stamp ENTRY_STAMP_BITS. Nothing changed.
 *   FC_ENOMEM  max_bytes, the memory or STORE_CHAIN_MAX leaves no room. An older entry of the key
 *              may be gone. */
int store_restore(struct store *store, struct namespace *ns, const struct fc_key *key,
                  const void *value, uint32_t size, const struct store_restore_info *info);

/* Links all entries of the store into the LRU orders of their namespaces and of all, by their
 * stamps. Reads nothing of the former orders, and finds the entries by their slots (name_space is
 * not 0). Entries with the same stamp become neighbours; *duplicates is their number (NULL: not
 * needed). Needs 4 bytes an entry meanwhile. Returns 0, or FC_ENOMEM with the former orders. */
int store_sort_lru(struct store *store, uint64_t *duplicates);

#endif
