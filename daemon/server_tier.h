/* server_tier.h - the daemon's fleet: makes the transport to the tier (daemon/tier) and the fleet
 * (daemon/fleet), connects them with the requests, and calls the fleet when its time has come.
 *
 * Without --tier, server->tier.on is false, and the other functions do nothing. Loop thread only.
 */
#ifndef FC_DAEMON_SERVER_TIER_H
#define FC_DAEMON_SERVER_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/error_text.h"

struct options;
struct server;
struct tier_source;

/* Connects to the tier in the background, and sets dispatch->fleet. Call it after dispatch_init and
 * conns_init, before the first request. Returns 0, or a negative code with a text: FC_EINVAL if a
 * file of the configuration cannot be used. */
int server_tier_start(struct server *server, struct error_text *error);

/* Applies the live options. */
void server_tier_apply(struct server *server);

/* Returns whether the fleet still has something to send, after dispatch_stop_leases. Then
 * server_close_all is called as soon as it has not. */
bool server_tier_flush(struct server *server);

/* Closes the connections to the tier, and the handles. What is not sent is dropped. Idempotent. */
void server_tier_close(struct server *server);

/* Frees everything, after the loop has ended and all sessions are gone. */
void server_tier_deinit(struct server *server);

/* Sets the source of the reports for requests/ if the options have a tier. */
void server_tier_source(struct server *server, struct tier_source *source);

/* Begins the clears of the fleet, for the transport that was made: server_tier_clears.c. */
void server_tier_clears_start(struct server *server, uint64_t node, uint64_t seed);

/* Return the bound of the memory for a tier with these options, 0 without one, and what is used. */
uint64_t server_tier_bytes_max(const struct options *options);
uint64_t server_tier_bytes(const struct server *server);

#endif
