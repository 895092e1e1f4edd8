/* store_clear.h - clears entries, in slices.
 *
 * A clear takes effect at store_clear_start: no get finds an entry that was stored before, no put
 * keeps it and no list shows it, and puts that were computed before are stale. The calls of
 * store_clear_step then remove the entries and zero their bytes in the region, which clients map.
 * Until then the entries count in the counters and limits. When a clear is finished, nothing of
 * them is left, except for a value that is being sent; its bytes are zeroed when the sender
 * releases it.
 *
 * Slices are needed because a large clear takes too long for one turn of a loop that serves others
 * (store_clear.c has measurements). A clear that selects nothing is finished when it starts. One
 * thread. */
#ifndef FC_DAEMON_STORE_CLEAR_H
#define FC_DAEMON_STORE_CLEAR_H

#include "daemon/store/store_entries.h"

/* Entries that one slice of work puts, removes or evicts. */
#define STORE_SLICE 1024u
/* Bytes (of their charge) of entries that one slice zeroes, except for the last entry. It takes
 * less than a millisecond. */
#define STORE_SLICE_BYTES (4u << 20)

/* Starts a clear and raises the store's generation. Copies `select`. Returns false, with nothing
 * changed, if STORE_CLEARS_MAX are active. */
bool store_clear_start(struct store *store, struct store_clear *clear,
                       const struct store_select *select);

/* Examines up to `max_entries` entries, and zeroes up to STORE_SLICE_BYTES. Returns true when the
 * clear is finished: then `removed` is final, and the store no longer uses the memory. */
bool store_clear_step(struct store *store, struct store_clear *clear, uint64_t max_entries);

/* Continues a clear of an earlier daemon, whose selection and last_stamp are set. It raises the
 * generation, because the earlier daemon may not have. */
void store_clear_resume(struct store *store, struct store_clear *clear);

/* Clears in one slice. Returns the number of removed entries, or 0 if STORE_CLEARS_MAX clears are
 * active. For tests. */
uint64_t store_clear_all(struct store *store, const struct store_select *select);

/* Finishes the clears of a namespace that is dropped. */
void store_clear_forget(struct store *store, const struct namespace *ns);

#endif
