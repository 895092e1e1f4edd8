/* store_saved.h - the part of the store's state that the next daemon takes over: it lies in the
 * catalog. A changed layout needs another CATALOG_LAYOUT. */
#ifndef FC_DAEMON_STORE_SAVED_H
#define FC_DAEMON_STORE_SAVED_H

#include "daemon/region/catalog.h"
#include "daemon/store/clear_log.h"
#include "daemon/store/delete_log.h"
#include "daemon/store/namespace.h"

/* Clears that may be active at once, because each get, put and eviction looks at all of them. */
#define STORE_CLEARS_MAX 16u

/* An active clear, to be finished by the next daemon. */
struct saved_clear {
  uint32_t in_use;     /* the last store, and the first one when the clear is finished */
  uint32_t name_space; /* number of the namespace; 0: all */
  uint64_t seed;       /* of that namespace */
  uint64_t last_stamp;
  uint16_t any_view, any_op, view_size, op_size;
  char view[FC_NAME_MAX + 1], op[FC_NAME_MAX + 1];
};

struct store_saved {
  uint64_t seed;       /* of the namespaces' seeds; clients know those, and so this one. 0: this is
                          a new cache */
  uint64_t secret;     /* of the hashes of names, which no client may predict */
  uint64_t generation; /* rises with each clear; never 0; sent as clear_generation */
  uint64_t last_stamp; /* of all uses; no entry has a higher one */
  uint64_t evictions[EVICT_CAUSES];   /* entries, by cause */
  uint64_t namespaces_made, releases; /* total, see namespace_table.h */
  uint64_t namespace_slots;           /* of the catalog that have memory */
  struct clear_log clears;            /* of all namespaces */
  struct saved_clear active_clears[STORE_CLEARS_MAX];
};
static_assert(sizeof(struct store_saved) + sizeof(struct saved_deletes) <= CATALOG_ALIGN,
              "the deletes are in the rest of the area: catalog_store_rest");
static_assert(sizeof(struct saved_clear) == 544, "catalog layout 1");
static_assert(offsetof(struct store_saved, clears) == 96, "catalog layout 1");

#endif
