/* namespace_table.h - the namespaces by name. A namespace is created when a client first names it.
 *
 * Their number is bounded. At the bound, the namespace that has been without clients for the
 * longest time is dropped, with its entries. At a user's share of the bound (users.h), it is the
 * longest idle one that this user made. A namespace without entries, limits or counts is dropped
 * when its last client leaves. Owns the namespaces. One thread. */
#ifndef FC_DAEMON_NAMESPACE_TABLE_H
#define FC_DAEMON_NAMESPACE_TABLE_H

#include "daemon/store/namespace.h"
#include "daemon/store/store.h"

#define NAMESPACE_LIMIT_DEFAULT 1024u
/* A stats reply has room for that many (stats_reply.c), and a hello walks through them. */
#define NAMESPACE_LIMIT_MAX 1250u

/* Dropped namespaces with entries. A call that exceeds it empties some of them first. */
#define NAMESPACE_PENDING_DELETE_MAX 64u

struct namespace_table {
  struct namespace *first; /* in order of creation: walk by ->next */
  uint32_t n, limit;
  struct store *store;
  struct namespace *pending_delete; /* dropped, and not empty yet */
  uint32_t n_pending_delete;        /* at most NAMESPACE_PENDING_DELETE_MAX between calls */
};

/* Returns the most memory that so many namespaces take, with manifests and dropped ones. */
size_t namespace_table_bytes_max(uint32_t limit);

/* Returns the memory that they take now. Walks through them. */
size_t namespace_table_bytes(const struct namespace_table *table);

/* The store outlives the table. The namespaces of an earlier daemon are not in it until they are
 * adopted (adopt.h). */
void namespace_table_init(struct namespace_table *table, struct store *store, uint32_t limit);

/* Drops all namespaces, with or without clients. */
void namespace_table_deinit(struct namespace_table *table);

/* Ends the charges of users, and forgets the namespaces. They remain in the catalog for the next
 * daemon. */
void namespace_table_leave(struct namespace_table *table);

/* Sets another limit. If it is lower, some namespaces without clients are dropped now, and others
 * when namespaces are opened. Those with clients stay. */
void namespace_table_set_limit(struct namespace_table *table, uint32_t limit);

/* Drops the namespaces that are too many for the limit, which may be lower than an earlier
 * daemon's. None has clients. */
void namespace_table_trim(struct namespace_table *table);

/* Adds the namespace at an index of the catalog, which namespace_adopt has checked. Returns false
 * if its name is in the table already, or there is no memory. */
bool namespace_table_adopt(struct namespace_table *table, uint64_t index);

/* Charges the namespaces of an earlier daemon, and their manifests, to their owners. Charges
 * nothing to an owner for which there is no memory. Call it once, after they were adopted or
 * restored and before clients connect. */
void namespace_table_charge(struct namespace_table *table, struct users *users);

/* Returns NULL if there is none. */
struct namespace *namespace_table_find(const struct namespace_table *table, struct fc_str name);

/* Finds or creates the namespace `name` (a valid name) and counts a client. A new one is charged to
 * `maker` (NULL: no user), and raises the store's generation, because earlier puts are stale in it.
 * Returns 0, FC_ENOMEM, or FC_EREFUSED if the bound or the maker's share is reached and every
 * candidate has clients. */
int namespace_table_open(struct namespace_table *table, struct fc_str name, struct user *maker,
                         struct namespace **ns);

/* Removes a client. The namespace may be freed by it. */
void namespace_table_close(struct namespace_table *table, struct namespace *ns);

/* Keep a namespace that has clients, or that no call has closed since it was found, as a client
 * does. It may be freed by its release. */
static inline void namespace_table_hold(struct namespace *ns) {
  ns->clients++;
  ns->held++;
}
static inline void namespace_table_release(struct namespace_table *table, struct namespace *ns) {
  ns->held--;
  namespace_table_close(table, ns);
}

/* Returns the number of its clients, without what holds it besides. */
static inline uint32_t namespace_clients(const struct namespace *ns) {
  return ns->clients - ns->held;
}

enum namespace_limit_result { NAMESPACE_LIMITED = 0, NAMESPACE_LIMIT_MORE = 1 };

/* Limits a namespace's entries and evicts. Returns NAMESPACE_LIMIT_MORE after a slice; then the
 * caller repeats the call after other work (store_limit_entries). Returns FC_EMAXENTRIES if
 * `max_entries` is not positive. */
int namespace_table_set_max_entries(struct namespace_table *table, struct namespace *ns,
                                    int64_t max_entries);

/* Limits the charge of a namespace's entries in the same way. Returns FC_EINVAL if `max_bytes` is
 * 0.
 */
int namespace_table_set_max_bytes(struct namespace_table *table, struct namespace *ns,
                                  uint64_t max_bytes);

/* Frees up to `max_entries` entries of dropped namespaces and zeroes them, up to twice
 * STORE_SLICE_BYTES. Returns true if none remains. The other calls do a slice themselves; the
 * caller continues between other work until it returns true. */
bool namespace_table_step(struct namespace_table *table, uint64_t max_entries);

#endif
