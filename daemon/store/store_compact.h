/* store_compact.h - keeps the entries' books dense, so that their memory goes back to values. */
#ifndef FC_DAEMON_STORE_TIDY_H
#define FC_DAEMON_STORE_TIDY_H

#include "daemon/store/store.h"

/* For the store alone, after an entry has gone: a bounded step. Entries that are not held may get
 * another number and place. */
void store_tidy(struct store *store);

#endif
