/* export_source.h - reads all entries of a namespace from a daemon, the least recently used first,
 * without a change of its LRU order.
 *
 * The keys are listed into memory, in an order that no use changes, and sorted by their last use.
 * The daemon may move an entry to another place while it is listed, so the keys are listed again
 * until a list has no new one. Then the values are read, in parts of a few MiB. One thread. */
#ifndef FC_CTL_EXPORT_SOURCE_H
#define FC_CTL_EXPORT_SOURCE_H

#include "client/ctl/transfer/key_table.h"
#include "client/lib/admin/transfer.h"

#define EXPORT_PASSES_MAX 4u /* workers may add keys all the time */

struct export_source {
  struct admin *admin; /* borrowed: connected with the namespace */
  const char *name_space;
  struct key_table keys;
  uint32_t added; /* new keys of the list in progress */
  uint64_t gone;  /* entries that left the cache before their value was read */
  bool failed;    /* out of memory */
};

/* One entry. Borrowed during the call. */
struct export_entry {
  struct fc_key key;
  uint64_t compute_ns, idle_ns, hits;
  const void *value;
  uint32_t size;
};

/* Returns false to end the export. Must not use the connection. */
typedef bool export_fn(void *arg, const struct export_entry *entry);

void export_source_init(struct export_source *source, struct admin *admin, const char *name_space);
void export_source_deinit(struct export_source *source); /* idempotent */

/* Lists the keys. Returns 0 or an error of admin.h; FC_ENOMEM without a text of the connection. */
int export_source_list(struct export_source *source);

/* Calls `fn` for each entry. Returns as export_source_list; 0 also if `fn` ended it. */
int export_source_read(struct export_source *source, export_fn *fn, void *arg);

#endif
