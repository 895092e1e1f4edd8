/* boot.h - the cache at start: checks the memory, then fills the region, the store and the
 * namespaces before the daemon serves. */
#ifndef FC_DAEMON_BOOT_H
#define FC_DAEMON_BOOT_H

#include "daemon/base/error_text.h"

struct server;

/* Makes the cache of the server, which has its socket, its users and its log. Returns 0, or a
 * negative code with *error: FC_ENOMEM if the options allow more memory than there is. */
int boot_cache(struct server *server, struct error_text *error);

/* Sets what users may hold, by the options; conns sets the limits of connections and messages. */
void boot_set_user_limits(struct server *server);

/* Releases the cache. */
void boot_end_cache(struct server *server);

#endif
