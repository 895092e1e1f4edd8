/* boot_memory.h - the memory of the server's parts: its bounds, the check at start, and the report
 * for the stats. */
#ifndef FC_DAEMON_BOOT_MEMORY_H
#define FC_DAEMON_BOOT_MEMORY_H

#include "daemon/base/error_text.h"
#include "daemon/config/options.h"
#include "daemon/memory_total.h"
#include "daemon/requests/dispatch.h"

struct server;

/* Computes the bounds that the options set. `shares`: clients map the region. */
void boot_memory_bounds(const struct options *options, bool shares, struct memory_amounts *bounds);

/* Compares the server's bounds with the memory that is available, in which the memory of the daemon
 * before counts once. Returns 0, or FC_ENOMEM with a text that names all parts and dead regions. */
int boot_check_memory(struct server *server, struct error_text *error);

/* Compares the bounds of other options than the server's with the available memory, in which the
 * memory that the daemon holds counts once. Bounds that are not higher than today's are not
 * compared. Returns 0, or FC_ENOMEM with a text that names both numbers and all parts. */
int boot_check_options(const struct server *server, const struct options *options,
                       struct error_text *error);

/* A callback for the stats; `arg` is the server. See struct dispatch_config. */
void boot_memory_report(void *arg, struct memory_report *report);

#endif
