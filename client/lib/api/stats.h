/* stats.h - a stats reply as the figures that users see. */
#ifndef FC_CLIENT_STATS_H
#define FC_CLIENT_STATS_H

#include "client/lib/conn/connection.h"
#include "fcache.h"

/* Asks the daemon (of one namespace, or all where it is none) and calls `fn` for each
 * figure. 0, or a code as link_exchange. */
int stats_ask(struct link *link, struct fc_str name_space, fcache_stat_fn *fn, void *arg);

#endif
