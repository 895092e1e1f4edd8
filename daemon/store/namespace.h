/* namespace.h - one namespace: its LRU order, limit, counters, clears and manifest. The
 * store keeps the entries and figures; the table (namespace_table.h) makes,
 * names, counts clients and frees. Nobody else writes, but for what the struct says.
 *
 * One thread. A pointer is valid while its holder counts as a client of it
 * (namespace_table_open), otherwise until the next call that opens or closes. */
#ifndef FC_DAEMON_NAMESPACE_H
#define FC_DAEMON_NAMESPACE_H

#include <sys/types.h>

#include "daemon/base/users.h"
#include "daemon/region/lru.h"
#include "daemon/store/clear_log.h"
#include "daemon/store/counters.h"
#include "proto/limits.h"

/* Why entries go. */
enum evict_cause {
  EVICT_ENTRIES,   /* the namespace's max_entries */
  EVICT_BYTES,     /* the daemon's max_bytes */
  EVICT_OWN_BYTES, /* the namespace's max_bytes */
  EVICT_FORCED,    /* none: there was no hole for a new entry, however others were moved */
  EVICT_CHAIN,     /* its bucket of the index was full (store_chain.h) */
  EVICT_CAUSES
};

struct namespace {
  /* written by the table */
  struct namespace *next; /* in order of creation; NULL: the last */
  struct fc_str name;     /* points into name_data */
  uint64_t seed;          /* of its keys' digests */
  uint64_t serial;        /* order of creation */
  uint32_t clients;
  uint64_t released;  /* order in which the last client left; of use where clients is 0 */
  struct user *maker; /* charged for it while it is in the table; NULL: nobody */

  /* written by permissions_claim_namespace */
  bool claimed;   /* a client has entered it */
  bool has_owner; /* that client's user is known: */
  uid_t owner;

  /* written by the store */
  uint64_t max_entries, max_bytes; /* 0: no limit */
  struct lru lru;
  uint32_t number; /* in the heap, for its entries to name it; 0: it has had none */
  uint64_t entries;
  uint64_t bytes;                   /* charge of its entries */
  uint64_t evictions[EVICT_CAUSES]; /* entries, by cause */
  struct clear_log clears;
  bool condemned; /* dropped: its entries are no longer found, and go step by step */

  /* written by the lease table */
  uint64_t lease_ns; /* smoothed time from the grant of a lease to its put; 0: none was put */
  struct lease *lease_first, *lease_last; /* by serial */

  /* written by whoever counts */
  struct counters counters;
  uint64_t last_use_ns; /* namespace_use */

  /* namespace_set_manifest; none: no hello had one */
  struct fc_str manifest;     /* points to manifest_data */
  char *manifest_data;        /* owned */
  struct user *manifest_user; /* charged for it; NULL: nobody */

  char name_data[FC_NAME_MAX];
};

/* `name` is copied: 1 to FC_NAME_MAX bytes. No limit, no clients; puts that
 * began before `generation` are stale. The struct must not be moved after. */
void namespace_init(struct namespace *ns, struct fc_str name, uint64_t seed, uint64_t generation);

/* Asserts that no entry is left, and frees. */
void namespace_deinit(struct namespace *ns);

/* Keeps a copy of `manifest` in place of the one that was there, and charges `user` for it until it
 * is replaced or the namespace is dropped; none frees that. 0, or FC_ENOMEM with nothing changed.
 */
int namespace_set_manifest(struct namespace *ns, struct user *user, struct fc_str manifest);

/* It was used at that time, or is known to have been later: a lookup, a put, a hello. */
static inline void namespace_use(struct namespace *ns, uint64_t at_ns) {
  if (ns->last_use_ns < at_ns)
    ns->last_use_ns = at_ns;
}

#endif
