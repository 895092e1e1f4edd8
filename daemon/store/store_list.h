/* store_list.h - lists entries page by page: the most recently used first, or by their slots. */
#ifndef FC_DAEMON_STORE_LIST_H
#define FC_DAEMON_STORE_LIST_H

#include "daemon/store/store_entries.h"

#define STORE_CURSOR_SIZE 24u /* encoded, bytes */

/* The end of a page. Zero is the start. The next page continues behind the entry with this stamp
 * and digest, if it still has that stamp. Otherwise it restarts from the most recently used entry
 * and skips those that are not below `below`. So no entry is shown twice, and an entry that is used
 * between two pages may be missed. */
struct store_cursor {
  uint64_t stamp, digest; /* of the last entry examined; stamp 0: none */
  uint64_t below;         /* only entries with a lower stamp are shown; 0: all */
};

void store_cursor_encode(const struct store_cursor *cursor, uint8_t bytes[STORE_CURSOR_SIZE]);
/* Accepts any bytes of a peer. `size` 0 is the start. Returns 0, or FC_EINVAL for any other size
 * than STORE_CURSOR_SIZE. */
int store_cursor_decode(struct store_cursor *cursor, const uint8_t *bytes, size_t size);

/* Receives one entry, borrowed, and must not change the store. Returns false if it has no room for
 * the entry: then the page ends before it. */
typedef bool store_list_fn(void *arg, const struct entry *entry);

/* Emits up to `limit` (>= 1) selected entries, examines up to `max_examined` (>= 1), and advances
 * the cursor. Promotes nothing. Returns true if there may be more, even if this page is empty.
 * Returns false at the end, and zeroes the cursor. */
bool store_list(const struct store *store, const struct store_select *select, uint32_t limit,
                uint64_t max_examined, struct store_cursor *cursor, store_list_fn *emit, void *arg);

/* As store_list, in the order of the slots' numbers, from *slot on (at first 0), which becomes the
 * next one. A use does not move an entry there. So each entry that is there throughout is shown
 * once, unless the store makes its slots dense meanwhile. */
bool store_list_slots(const struct store *store, const struct store_select *select, uint32_t limit,
                      uint64_t max_examined, uint32_t *slot, store_list_fn *emit, void *arg);

#endif
