/* reclaim.h - takes entries back from replies that are read slowly.
 *
 * A reply holds the entry whose value it sends. While the entry is in the store this costs no
 * memory, however long the peer takes: slow readers are left in peace. One that leaves the store
 * meanwhile (evicted, replaced, cleared) keeps its place in the region until it is sent. Of such
 * entries there may be so many bytes; past that, the connections that read them slowest are cut, at
 * once. Other slow ones are cut where entries that are held, in the store or not, leave no place
 * for a new one. */
#ifndef FC_DAEMON_RECLAIM_H
#define FC_DAEMON_RECLAIM_H

#include "daemon/net/conns.h"

/* For `conns`' store, until reclaim_end. */
void reclaim_begin(struct conns *conns);
void reclaim_end(struct conns *conns);

#endif
