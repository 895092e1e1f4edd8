/* store_list.h - looks through the entries, most recently used first, page by page. */
#ifndef FC_DAEMON_STORE_LIST_H
#define FC_DAEMON_STORE_LIST_H

#include "daemon/store/store.h"
#include "daemon/store/store_clear.h"

#define STORE_CURSOR_SIZE 24u /* encoded, bytes */

/* Where a page ended. Zero: the start. The next page goes on behind the entry
 * that has this stamp and digest, if it still stands with that stamp; otherwise
 * from the most recently used on, passing over what is not below `below`. So no
 * entry is shown twice, and one that is used while pages are read may be missed. */
struct store_cursor {
  uint64_t stamp, digest; /* the last entry examined; stamp 0: none */
  uint64_t below;         /* only entries with a lower stamp are shown; 0: all */
};

void store_cursor_encode(const struct store_cursor *cursor, uint8_t bytes[STORE_CURSOR_SIZE]);
/* From a peer: any content is safe. `size` 0 is the start; 0, or FC_EINVAL where it is not
 * a cursor's size. */
int store_cursor_decode(struct store_cursor *cursor, const uint8_t *bytes, size_t size);

/* Takes one entry, borrowed; it must not change the store. False: there is no
 * room for it: the page ends before it. */
typedef bool store_list_fn(void *arg, const struct entry *entry);

/* Emits up to `limit` (>= 1) selected entries, examining up to `max_examined` (>= 1),
 * and moves the cursor on. True: there may be more, even where this page is
 * empty. False: the end; the cursor is zero. Nothing is promoted. */
bool store_list(const struct store *store, const struct store_select *select, uint32_t limit,
                uint64_t max_examined, struct store_cursor *cursor, store_list_fn *emit, void *arg);

#endif
