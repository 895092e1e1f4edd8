/* namespace_table.h - the namespaces by name: a bounded number of them, made
 * when a client first names them. Past the bound the one longest without clients
 * goes, entries included; past a user's share of the bound (users.h), of those that this user made.
 * One without entries, limit or counts goes when its last client leaves: nothing would be lost. (A
 * manifest alone says what would have gone in.)
 *
 * Owns the namespaces. One thread. */
#ifndef FC_DAEMON_NAMESPACE_TABLE_H
#define FC_DAEMON_NAMESPACE_TABLE_H

#include "daemon/store/namespace.h"
#include "daemon/store/store.h"

#define NAMESPACE_LIMIT_DEFAULT 1024u
/* A stats reply has them all (stats_reply.c has the sum), and a hello walks through them. */
#define NAMESPACE_LIMIT_MAX 1250u

/* Dropped ones of which entries are left: past it, a call that drops one empties others first. */
#define NAMESPACE_CONDEMNED_MAX 64u

struct namespace_table {
  struct namespace *first; /* in order of creation: walk by ->next */
  uint32_t n, limit;
  struct store *store;
  uint64_t made, releases;     /* ever */
  struct namespace *condemned; /* dropped, and not yet empty */
  uint32_t n_condemned;        /* at most NAMESPACE_CONDEMNED_MAX between calls */
};

/* Memory that so many namespaces may take, those that are dropped and the manifests included. */
size_t namespace_table_bytes_max(uint32_t limit);

/* What they take now. It walks through them. */
size_t namespace_table_bytes(const struct namespace_table *table);

/* The store outlives the table. */
void namespace_table_init(struct namespace_table *table, struct store *store, uint32_t limit);

/* Drops all, whether or not they have clients. */
void namespace_table_deinit(struct namespace_table *table);

/* NULL where there is none. */
struct namespace *namespace_table_find(const struct namespace_table *table, struct fc_str name);

/* Finds or makes `name` (valid), and counts one client more. `maker` (NULL: nobody) is charged for
 * one that is made. 0, FC_ENOMEM, or FC_EREFUSED where the bound, or the maker's share of it, is
 * reached and all have clients. Making one raises
 * the store's generation: what began before is stale in it. */
int namespace_table_open(struct namespace_table *table, struct fc_str name, struct user *maker,
                         struct namespace **ns);

/* One client less. The namespace may be gone after. */
void namespace_table_close(struct namespace_table *table, struct namespace *ns);

enum namespace_limit_result { NAMESPACE_LIMITED = 0, NAMESPACE_LIMIT_MORE = 1 };

/* Limits its entries, and evicts; NAMESPACE_LIMIT_MORE where a slice is done of that, and the same
 * call is to be made again, after other work (see store_limit). FC_EMAXENTRIES where not positive.
 */
int namespace_table_set_max_entries(struct namespace_table *table, struct namespace *ns,
                                    int64_t max_entries);

/* The same for the bytes that its entries are charged; FC_EINVAL where that is 0. */
int namespace_table_set_max_bytes(struct namespace_table *table, struct namespace *ns,
                                  uint64_t max_bytes);

/* Frees up to `max_entries` entries of namespaces that were dropped, zeroed (store_drop_step), and
 * up to STORE_SLICE_BYTES, or twice that. True: nothing is left to do. An open does a slice by
 * itself; after it, this is to be called between other work until true. */
bool namespace_table_step(struct namespace_table *table, uint64_t max_entries);

#endif
