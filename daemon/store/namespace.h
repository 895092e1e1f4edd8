/* namespace.h - one namespace: its LRU order, limits, counters, clears and manifest.
 *
 * Those of the table lie in the catalog, and their manifests too. The next daemon takes them over:
 * it resets all pointers and what it counts anew (namespace_adopt). A changed layout needs another
 * CATALOG_LAYOUT.
 *
 * The table (namespace_table.h) creates and frees namespaces and counts their clients. The comments
 * in the struct name who writes each field. A pointer is valid while its holder counts as a client
 * (namespace_table_open), otherwise until the next open or close. One thread. */
#ifndef FC_DAEMON_NAMESPACE_H
#define FC_DAEMON_NAMESPACE_H

#include <sys/types.h>

#include "daemon/base/users.h"
#include "daemon/region/catalog.h"
#include "daemon/region/entry.h"
#include "daemon/store/clear_log.h"
#include "daemon/store/counters.h"
#include "proto/limits.h"

/* The limit that an eviction restored. */
enum evict_cause {
  EVICT_ENTRIES,   /* the namespace's max_entries */
  EVICT_BYTES,     /* the daemon's max_bytes */
  EVICT_OWN_BYTES, /* the namespace's max_bytes */
  EVICT_FORCED,    /* no limit: a new entry had no hole, and compaction made none */
  EVICT_CHAIN,     /* STORE_CHAIN_MAX of a bucket */
  EVICT_CAUSES
};

struct namespace {
  /* written by the table */
  struct namespace *next; /* in order of creation; NULL: the last */
  struct fc_str name;     /* points into name_data */
  uint64_t seed;          /* of its keys' digests */
  uint64_t serial;        /* order of creation */
  uint32_t clients;       /* with those that namespace_table_hold counted: */
  uint32_t held;
  uint64_t released;  /* order in which the last clients left; valid if clients is 0 */
  struct user *maker; /* charged for it while it is in the table; NULL: no user */

  /* written by permissions.c */
  bool claimed;   /* a client has entered it */
  bool has_owner; /* the first client's user is known: */
  uid_t owner;

  /* written by the store */
  uint64_t max_entries, max_bytes; /* 0: no limit */
  struct lru lru;
  uint32_t number; /* in the heap, by which its entries name it; 0: none. In the catalog it is the
                      index + 1, and its store makes the namespace valid */
  uint64_t entries;
  uint64_t bytes;                   /* charge of its entries */
  uint64_t evictions[EVICT_CAUSES]; /* entries, by cause */
  struct clear_log clears;
  bool pending_delete; /* dropped: no lookup finds its entries, which are removed in slices */

  /* written by the lease table */
  uint64_t lease_ns; /* smoothed time from the grant of a lease to its put; 0: no put yet */
  struct lease *lease_first, *lease_last; /* by serial */

  /* written by the request handlers and the ring reader */
  struct counters counters;
  uint64_t last_use_ns; /* namespace_use */

  /* written by namespace_set_manifest */
  struct fc_str manifest;     /* in the catalog; without data: no hello had one */
  uint64_t manifest_bytes;    /* of it; 0 while it is being changed */
  struct user *manifest_user; /* charged for it; NULL: no user */

  char name_data[FC_NAME_MAX];
};

/* Copies `name` (1 to FC_NAME_MAX bytes). Sets no limit. Puts that began before `generation` are
 * stale. The struct must not move afterwards. */
void namespace_init(struct namespace *ns, struct fc_str name, uint64_t seed, uint64_t generation);

/* Checks a namespace that an earlier daemon left at `index`, and resets what this one counts.
 * `generation` is that of the store. Returns false if it is damaged or unfinished. */
bool namespace_adopt(struct namespace *ns, const struct catalog *catalog, uint64_t index,
                     uint64_t generation);

/* Asserts that no entry is left, and ends the charge for the manifest. */
void namespace_deinit(struct namespace *ns);

/* Replaces the manifest by a copy of `manifest`, or by none, and charges `user` for it until it is
 * replaced or the namespace is dropped. The namespace lies in the catalog. Returns 0, or FC_ENOMEM
 * with nothing changed. */
int namespace_set_manifest(struct namespace *ns, struct catalog *catalog, struct user *user,
                           struct fc_str manifest);

/* Records the time of a lookup, a put or a hello. Ring records may come out of order. */
static inline void namespace_use(struct namespace *ns, uint64_t at_ns) {
  if (ns->last_use_ns < at_ns)
    ns->last_use_ns = at_ns;
}

#endif
