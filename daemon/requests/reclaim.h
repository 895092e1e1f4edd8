/* reclaim.h - takes entries back from replies that are read slowly.
 *
 * A reply holds the entry whose value it sends. While that entry is in the store, the hold costs no
 * memory, so a slow reader is not dropped. An entry that leaves the store while it is held keeps
 * its place in the region until it is sent. The bytes of such entries are bounded: above the bound,
 * the connections that read them slowest are dropped at once. Slow readers of entries in the store
 * are dropped only when held entries leave no place for a new one. */
#ifndef FC_DAEMON_RECLAIM_H
#define FC_DAEMON_RECLAIM_H

#include <stddef.h>

struct dispatch;

/* Installs the store's reclaim callback, until reclaim_deinit. `limit_bytes` bounds the entries
 * that have left the store; a part of the store's max_bytes bounds them too. */
void reclaim_init(struct dispatch *dispatch, size_t limit_bytes);
/* The store's max_bytes has changed. */
void reclaim_limit_changed(struct dispatch *dispatch);
void reclaim_deinit(struct dispatch *dispatch);

#endif
