/* cluster_ranges.h - reads a reply to CLUSTER SLOTS: which server has which slots. The reply is
 * hostile input. No I/O. */
#ifndef FC_DAEMON_CLUSTER_RANGES_H
#define FC_DAEMON_CLUSTER_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/tier/resp_reader.h"

#define CLUSTER_HOST_BYTES 256u

/* The slots `first` to `last` and their primary. */
struct cluster_range {
  uint16_t first, last, port;
  char host[CLUSTER_HOST_BYTES]; /* empty: the host that was asked */
};

/* A position in the reply. Borrows it. */
struct cluster_ranges {
  const struct resp_item *next, *end;
  size_t left;    /* ranges */
  uint32_t slots; /* in the ranges so far */
};

/* Returns 0, or FC_EPROTOCOL if the reply is no list. */
int cluster_ranges_init(struct cluster_ranges *ranges, const struct resp_reply *reply);

/* Reads the next range. Returns 1, 0 at the end, or FC_EPROTOCOL for a malformed one, and for
 * ranges that have more slots together than a cluster. */
int cluster_ranges_next(struct cluster_ranges *ranges, struct cluster_range *range);

/* Copies the host of a server. Returns false if the text is too long, or has a byte that no name
 * and no address has. */
bool cluster_host_take(char host[CLUSTER_HOST_BYTES], const char *text, size_t size);

#endif
