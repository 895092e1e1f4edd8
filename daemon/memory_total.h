/* memory_total.h - all memory that the daemon may take, as its options bound it: the one formula,
 * for the check at start, the stats and docs/operations.md.
 *
 * Each module states what it may take (conn_bytes_max, leases_bytes_max, ...); here they are added
 * up, with what a control group charges for the daemon's part of the kernel. */
#ifndef FC_DAEMON_MEMORY_TOTAL_H
#define FC_DAEMON_MEMORY_TOTAL_H

#include <stdbool.h>
#include <stdint.h>

enum memory_part {
  MEMORY_REGION,     /* entries, the books about them, and how to find them */
  MEMORY_MESSAGES,   /* large frames that come in, and replies that are not read */
  MEMORY_SOCKETS,    /* the kernel's: send buffers, sockets, process descriptors */
  MEMORY_RINGS,      /* of clients that record their own hits */
  MEMORY_CLIENTS,    /* connections, with what each may hold of small messages */
  MEMORY_NAMESPACES, /* manifests included */
  MEMORY_LEASES,     /* and waits */
  MEMORY_TRACE,      /* lines that are not written yet */
  MEMORY_DAEMON,     /* program, libraries, stacks, listings in work, page tables */
  MEMORY_PARTS
};

/* What determines it; struct options has them. */
struct memory_settings {
  uint64_t max_bytes, client_budget;
  uint32_t max_value, max_clients, max_namespaces, max_leases;
  bool shares; /* clients may map the region, and have rings */
};

struct memory_amounts {
  uint64_t bytes[MEMORY_PARTS];
};

/* The bound of each part. Values that cannot be are bounded by UINT64_MAX. */
void memory_total_bounds(const struct memory_settings *settings, struct memory_amounts *bounds);

/* UINT64_MAX where it is more. */
uint64_t memory_total_sum(const struct memory_amounts *amounts);

/* What the kernel holds for each client besides the send buffer, and the most that each of its
 * structs takes with the daemon: for the part of what is in use. */
uint64_t memory_total_socket_bytes(void);
uint64_t memory_total_client_bytes(void);

/* "region", "messages", ...: static strings. */
const char *memory_part_name(enum memory_part part);

#endif
