/* batch_wait.h - waits for the keys of a batch that other clients compute.
 *
 * Sends gets with deferred replies, many at a time, in a window that fits the buffer of any socket.
 * The replies come in any order. None is pending at the end. One thread. */
#ifndef FC_CLIENT_BATCH_WAIT_H
#define FC_CLIENT_BATCH_WAIT_H

#include "client/lib/api/handle.h"

/* Waits for the prompts of `get` that are LOOKUP_LEASED_ELSEWHERE, up to *left_ns, from which it
 * subtracts the time that it waited. Updates the states and the counters.
 *
 * Returns 0 when every prompt has a reply; 1 soon after a lease was granted, where the prompts that
 * are still LOOKUP_LEASED_ELSEWHERE must be looked up again; or HANDLE_WAIT_CANCELLED, with no
 * lease held. Also returns 1 if the daemon was lost and the next one is there. Ends if it is gone:
 * the connection is then not up. *epoch becomes that of the first reply after which a prompt must
 * be computed, if there is one. */
int batch_wait_pending(struct fcache *cache, const struct fc_get_many *get, uint64_t *left_ns,
                       struct fcache_value *values, enum lookup_state *states,
                       struct fc_epoch *epoch);

#endif
