/* batch_wait.h - a batch's wait for what other clients compute: gets that wait, many at a time, in
 * a window that never fills a socket, and whose replies come in any order. None is outstanding when
 * it is over. One thread. */
#ifndef FC_CLIENT_OTHERS_H
#define FC_CLIENT_OTHERS_H

#include "client/lib/api/handle.h"

/* Waits for the prompts of `get` that are LOOKUP_TAKEN, for up to *left_ns, from which it takes
 * what it waited. Ends when each is answered, or soon after one was granted: then 1, and what is
 * still LOOKUP_TAKEN is to be asked for again; else 0. Also ends where the daemon goes away: the
 * link is then not up; and where the program wants it: HANDLE_ENDED, with no lease held. *epoch
 * becomes that of the first answer after which something is to be computed, if there is one.
 * Counts. */
int others_await(struct fcache *cache, const struct fc_get_many *get, uint64_t *left_ns,
                 struct fcache_value *values, enum lookup_state *states, struct fc_epoch *epoch);

#endif
