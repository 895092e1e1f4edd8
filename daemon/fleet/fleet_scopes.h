/* fleet_scopes.h - the clear table: the clear version of the last clear of each scope.
 *
 * A scope selects by namespace, view and op, each a name or any. The clear version of a key is the
 * largest version of the scopes that have it. The table is bounded in bytes. At the bound, and
 * without memory, a clear counts as one of all keys: that is safe, and costs values. Zero is an
 * empty table. Owns its memory. One thread. */
#ifndef FC_DAEMON_FLEET_SCOPES_H
#define FC_DAEMON_FLEET_SCOPES_H

#include "daemon/fleet/fleet_records.h"

/* Of all scopes: about 12,000 with names of 20 bytes. The tier's script bounds their number before
 * (fleet_clear_scripts.h). */
#define FLEET_SCOPES_BYTES_MAX (2u << 20)

struct fleet_scope_entry; /* a scope and its version */

struct fleet_scopes {
  uint64_t all; /* of the scope of all keys */
  /* private */
  struct fleet_scope_entry **entries; /* owned */
  uint32_t n, capacity;
  uint32_t *buckets; /* owned: 1 + index of an entry, or 0; a power of two of them */
  uint32_t n_buckets;
  size_t bytes;
};

void fleet_scopes_deinit(struct fleet_scopes *scopes); /* empties it; idempotent */

/* Raises the version of a scope, and drops the scopes that it covers with a lower one. */
void fleet_scopes_raise(struct fleet_scopes *scopes, const struct fc_select *select,
                        uint64_t version);

/* Does so without the drops, which take time in proportion to the table: to fill a table. */
void fleet_scopes_load(struct fleet_scopes *scopes, const struct fc_select *select,
                       uint64_t version);

/* Returns the clear version of a key. */
uint64_t fleet_scopes_version_of(const struct fleet_scopes *scopes, struct fc_str name_space,
                                 struct fc_str view, struct fc_str op);

/* Calls `fn` for each scope; `select` is valid during the call. It stops if `fn` returns false, and
 * returns whether it did not. */
typedef bool fleet_scopes_fn(void *arg, const struct fc_select *select, uint64_t version);
bool fleet_scopes_each(const struct fleet_scopes *scopes, fleet_scopes_fn *fn, void *arg);

/* Returns the lowest version that any key of the scope has. */
uint64_t fleet_scopes_floor_of(const struct fleet_scopes *scopes, const struct fc_select *select);

#endif
