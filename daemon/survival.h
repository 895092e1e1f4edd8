/* survival.h - what this daemon adopts from the one before, and leaves to the next.
 *
 * The catalog and the segments of its regions are in the service manager's descriptor store while
 * they hold entries. A region is added before an entry is in it. A file is removed once the store
 * has released it. */
#ifndef FC_DAEMON_SURVIVAL_H
#define FC_DAEMON_SURVIVAL_H

#include <stdint.h>

#include "daemon/base/error_text.h"

struct server;

/* Makes region, catalog, store and namespaces of the server, with the entries of the daemon before
 * if it left memory that this one can adopt (server->has_adopted), or empty. Memory that cannot be
 * adopted is dropped with a log line. Returns 0, or FC_ENOMEM or FC_EREFUSED with *error. */
int survival_fill(struct server *server, uint64_t boot_id, struct error_text *error);

/* Adds this daemon to those of the cache. Adds a new catalog and its region to the descriptor
 * store. Call it when the cache has its entries: a daemon that is killed while it reads the
 * snapshot leaves no memory, and the next one reads it again. */
void survival_begin(struct server *server, uint64_t boot_id);

/* Adds the region that has just replaced another to the descriptor store. Entries of the former
 * region do not move until the service manager has it. */
void survival_region_replaced(struct server *server);

/* Begins to retry changes that the service manager does not read at once, on the server's loop.
 * Returns 0, or FC_EREFUSED if out of descriptors. survival_close ends it, also after a failure.
 * Idempotent. */
int survival_run(struct server *server);
void survival_close(struct server *server);

#endif
