/* tier_router.h - finds the server for each key: the one of the URLs, or in a cluster that of the
 * key's slot. Private to daemon/tier.
 *
 * The map of a cluster comes from CLUSTER SLOTS, at connect and after a redirection or a failure,
 * REFRESH_NS apart at least. MOVED corrects one slot at once. In a cluster, the server of the URLs
 * is only asked for the map: it has no slots, and its connection is closed while others are usable.
 */
#ifndef FC_DAEMON_TIER_ROUTER_H
#define FC_DAEMON_TIER_ROUTER_H

#include "daemon/tier/tier_internal.h"

/* Returns the server for the op, and sets op->slot. */
struct tier_link *tier_router_find(struct tier_io *tier, struct fleet_op *op);

/* Asks for the map if that is due, and frees servers that have left the cluster. Once per turn, and
 * not within a call of a server. */
void tier_router_turn(struct tier_io *tier, uint64_t now_ns);

#endif
