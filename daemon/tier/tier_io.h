/* tier_io.h - the transport to the tier on the libuv loop: implements fleet_io.h for one server or
 * a cluster of Valkey or Redis.
 *
 * Whether the tier is a cluster is found out by asking it (CLUSTER SLOTS). Each server has one
 * connection, and two breakers (fleet/breaker.h), one for each class of ops. A server whose breaker
 * is open is not asked, except by probes. Each change is one line in the log. Ops are collected and
 * written once per server and turn.
 *
 * Deadlines: an op without the first byte of its reply at its deadline, while nothing else arrives
 * from the server, or without the whole reply after FLEET_IO_DEADLINES times as long, ends with
 * FLEET_TIMEOUT. The connection is closed with all its ops, because a late reply would be taken for
 * that of another op.
 *
 * Memory: see tier_io_bytes_max. One thread, that of the loop. */
#ifndef FC_DAEMON_TIER_IO_H
#define FC_DAEMON_TIER_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/error_text.h"
#include "daemon/fleet/fleet_io.h"
#include "daemon/fleet/fleet_report.h"
#include "daemon/tier/tier_config.h"

struct tier_io;

/* Begins to connect. Returns 0; FC_EINVAL if a file for TLS cannot be used, with a text; or
 * FC_ENOMEM or FC_EREFUSED with a text. After a failure, *out is NULL, or a closed transport that
 * tier_io_free frees when the loop has run. */
int tier_io_init(struct tier_io **out, const struct tier_io_config *config,
                 struct error_text *error);

/* The interface for the fleet. Valid until tier_io_free. */
struct fleet_io *tier_io_interface(struct tier_io *tier);

/* Changes the deadline of connecting. Ops have their own. */
void tier_io_set_deadline(struct tier_io *tier, uint64_t deadline_ns);

/* Closes all connections and handles. Not within `done`. No op may be submitted any more; those
 * that are in flight are given back without a call of `done`. Idempotent. */
void tier_io_close(struct tier_io *tier);

/* Frees the transport after the loop has closed its handles. NULL: does nothing. */
void tier_io_free(struct tier_io *tier);

/* As struct tier_source requires; `arg` is the struct tier_io. */
bool tier_io_next_server(void *arg, uint64_t after, struct tier_server_report *report);

/* Returns the bound of the memory for replies of at most `reply_bytes`, without the fleet's ops. */
uint64_t tier_io_bytes_max(uint64_t reply_bytes, bool tls);

#endif
