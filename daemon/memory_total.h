/* memory_total.h - the bound of the daemon's memory by its options: the one formula, for the check
 * at start, the stats and docs/limits.md.
 *
 * Each module states its own bound (conn_bytes_max, leases_bytes_max, ...). This module adds them
 * up, with the kernel memory that a control group charges to the daemon. */
#ifndef FC_DAEMON_MEMORY_TOTAL_H
#define FC_DAEMON_MEMORY_TOTAL_H

#include <stdbool.h>
#include <stdint.h>

enum memory_part {
  MEMORY_REGION,     /* entries, their metadata and the index */
  MEMORY_MESSAGES,   /* large frames in receipt, and unread replies */
  MEMORY_SOCKETS,    /* the kernel's: send buffers, sockets, pidfds */
  MEMORY_RINGS,      /* where clients record their hits */
  MEMORY_CLIENTS,    /* connections, each with its small messages */
  MEMORY_NAMESPACES, /* manifests included */
  MEMORY_LEASES,     /* and waits */
  MEMORY_TRACE,      /* lines not written yet */
  MEMORY_TIER,       /* fills, values that wait to be written, connections to the tier */
  MEMORY_DAEMON, /* program, libraries, stacks, listings and snapshots in progress, page tables */
  MEMORY_PARTS
};

/* The options that determine the bounds. */
struct memory_settings {
  uint64_t max_bytes, client_budget;
  uint64_t tier_bytes; /* server_tier_bytes_max */
  uint32_t max_value, max_clients, max_namespaces, max_leases;
  bool shares;    /* clients map the region and have rings */
  bool snapshots; /* there is a state folder */
};

struct memory_amounts {
  uint64_t bytes[MEMORY_PARTS];
};

/* Computes the bound of each part. A sum that exceeds 64 bits becomes UINT64_MAX. */
void memory_total_bounds(const struct memory_settings *settings, struct memory_amounts *bounds);

/* Returns the sum of all parts, at most UINT64_MAX. */
uint64_t memory_total_sum(const struct memory_amounts *amounts);

/* Return the bytes per client in the kernel (its smallest send buffer included) and in the daemon's
 * structs, for the amounts in use. */
uint64_t memory_total_socket_bytes(void);
uint64_t memory_total_client_bytes(void);

/* Returns "region", "messages", ...: static strings. */
const char *memory_part_name(enum memory_part part);

#endif
