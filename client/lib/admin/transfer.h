/* transfer.h - reads and puts many entries of one namespace, for tools that copy it. No call of it
 * changes a counter of hits and misses or writes a trace line, and reading does not change the LRU
 * order. Errors are those of admin.h. One thread. */
#ifndef FC_CLIENT_TRANSFER_H
#define FC_CLIENT_TRANSFER_H

#include "client/lib/admin/admin.h"

/* Opens another connection to the daemon of `tool`, with a namespace, which it creates if there is
 * none of that name. `manifest` NULL: it stays as it is. Otherwise as admin_open. */
int transfer_open(const struct admin *tool, const char *name_space, const char *manifest,
                  struct admin **out, struct fcache_error *error);

/* Lists all entries of the namespace as admin_list, but in an order that no use changes, and with
 * their stamps. FC_EVERSION if the daemon is too old. */
int transfer_list(struct admin *admin, const char *name_space, pages_entry_fn *fn, void *arg);

/* Receives the value of prompt `index`, or NULL if it has none. The value is valid during the call,
 * which must not use the connection. */
typedef void transfer_value_fn(void *arg, uint32_t index, const void *value, uint32_t size);

/* Reads the values of `n` (at most TRANSFER_KEYS_MAX) prompts, FC_HASH_SIZE bytes each, with the
 * op, view and top_k of `key`. Calls `fn` for each, in order. FC_EVERSION if the daemon is too old.
 */
#define TRANSFER_KEYS_MAX 256u
int transfer_get(struct admin *admin, const struct fc_key *key, const uint8_t *prompts, uint32_t n,
                 transfer_value_fn *fn, void *arg);

struct transfer_put {
  struct fc_key key;
  uint64_t compute_ns;
  const void *value;
  uint32_t size;
};

/* What became of the values of puts. */
struct transfer_counts {
  uint64_t stored;
  uint64_t kept;      /* another value was there before, and stays */
  uint64_t too_big;   /* over the daemon's --max-value, or over max_bytes of it or the namespace */
  uint64_t no_memory; /* the daemon had no memory for them */
};

/* Puts `n` (at most TRANSFER_PUTS_MAX) values in one go, each as the most recently used. A key that
 * has a value keeps it. Adds to *counts, also if it fails after some. */
#define TRANSFER_PUTS_MAX 64u
int transfer_put(struct admin *admin, const struct transfer_put *puts, uint32_t n,
                 struct transfer_counts *counts);

#endif
